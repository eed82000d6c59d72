//! The language in which the keys of a file are described: one table says what is read, and the
//! reference page is printed from it.

/// A map with known keys.
#[derive(Debug)]
pub struct Section {
    /// What the reference page calls it.
    pub name: &'static str,
    /// Its keys, in the page's order.
    pub keys: &'static [Key],
    /// The key whose value says which other keys belong to an entry, where there is one.
    pub kinds: Kinds,
}

/// How the keys of a section depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinds {
    /// They do not.
    One,
    /// `type` says which trigger it is.
    Trigger,
    /// `url` or `command` says which server it is.
    Server,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What holds where it is not written, as YAML; nothing where that is "not set".
    pub default: Option<&'static str>,
    /// It must be written (within its group, if it has one).
    pub required: bool,
    /// The kind of entry that it belongs to, such as `cron`.
    pub group: Option<&'static str>,
    /// Known, but not to this version: what to do instead.
    pub refused: Option<&'static str>,
    /// Why the range is what it is, where a person would ask.
    pub why: Option<&'static str>,
    /// What it means.
    pub meaning: &'static str,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that is not empty.
    Filled,
    /// A path, relative to the file's directory.
    Path,
    /// A secret, filled in when the file is read.
    Secret,
    /// Text that is not shown, though it need not be a secret.
    Private,
    /// A secret that stays a reference until the process starts.
    SecretSource,
    /// `true` or `false`.
    Bool,
    /// A whole number, both ends included.
    Int(i64, i64),
    /// A number.
    Float(Span),
    /// One of these words.
    Choice(&'static [Word]),
    /// A list.
    List(&'static Kind),
    /// One, or a list with at least one.
    OneOrList(&'static Kind),
    /// A map whose keys are names that the author chooses.
    Map(&'static Kind),
    /// A map with known keys.
    Section(&'static Section),
    /// Anything.
    Json,
}

/// A range of numbers; its upper end is included.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The lower end.
    pub min: f64,
    /// The lower end itself is excluded.
    pub open: bool,
    /// The upper end.
    pub max: f64,
}

/// A word of a choice.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// As it is written.
    pub name: &'static str,
    /// Known, but not to this version: what to do instead.
    pub refused: Option<&'static str>,
}

/// Seconds end here (31 years), so that no sum of two times can overflow.
const MAX_SECONDS: f64 = 1e9;

/// Seconds, of which 0 means never.
pub(super) const SECONDS: Kind = Kind::Float(Span { min: 0.0, open: false, max: MAX_SECONDS });
/// Seconds, more than none.
pub(super) const SOME_SECONDS: Kind = Kind::Float(Span { min: 0.0, open: true, max: MAX_SECONDS });
/// A number above 0.
pub(super) const ABOVE_ZERO: Kind = Kind::Float(Span { min: 0.0, open: true, max: f64::INFINITY });
/// A number from 0 to 1.
pub(super) const FRACTION: Kind = Kind::Float(Span { min: 0.0, open: false, max: 1.0 });
/// A number above 0, up to 1.
pub(super) const SOME_FRACTION: Kind = Kind::Float(Span { min: 0.0, open: true, max: 1.0 });
/// A count of which there must be one.
pub(super) const AT_LEAST_ONE: Kind = Kind::Int(1, i64::MAX);

impl Span {
    /// Whether `number` lies in it.
    pub fn holds(&self, number: f64) -> bool {
        number <= self.max && if self.open { number > self.min } else { number >= self.min }
    }
}

impl Section {
    /// The key named `name`.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Word {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, refused: None }
    }

    pub(super) const fn refused(name: &'static str, instead: &'static str) -> Self {
        Self { name, refused: Some(instead) }
    }
}

impl Key {
    pub(super) const fn new(name: &'static str, kind: Kind, meaning: &'static str) -> Self {
        Self { name, kind, default: None, required: false, group: None, refused: None, why: None, meaning }
    }

    /// A key of the format that this version does not read.
    pub(super) const fn refused(name: &'static str, instead: &'static str) -> Self {
        let mut key = Self::new(name, Kind::Json, "");
        key.refused = Some(instead);
        key
    }

    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn of(mut self, group: &'static str) -> Self {
        self.group = Some(group);
        self
    }

    pub(super) const fn because(mut self, why: &'static str) -> Self {
        self.why = Some(why);
        self
    }
}

impl Kind {
    /// What it is called in the reference and in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Text | Self::Filled | Self::Private => "text".into(),
            Self::Path => "path".into(),
            Self::Secret | Self::SecretSource => "secret".into(),
            Self::Bool => "true or false".into(),
            Self::Int(..) => "whole number".into(),
            Self::Float(_) => "number".into(),
            Self::Choice(words) => {
                let known: Vec<&str> = words.iter().filter(|word| word.refused.is_none()).map(|word| word.name).collect();
                known.join(", ")
            }
            Self::List(of) => format!("list of {}", of.name()),
            Self::OneOrList(of) => format!("{}, or a list of them", of.name()),
            Self::Map(of) => format!("map of names to {}", of.name()),
            Self::Section(section) => format!("`{}` section", section.name),
            Self::Json => "anything".into(),
        }
    }

    /// Its range in words; nothing where there is none.
    pub fn range(&self) -> Option<String> {
        match self {
            Self::Filled | Self::Path | Self::Secret | Self::SecretSource => Some("not empty".into()),
            Self::Int(min, i64::MAX) => Some(format!("at least {min}")),
            Self::Int(min, max) => Some(format!("from {min} to {max}")),
            Self::Float(span) => Some(span.words()),
            Self::List(of) | Self::OneOrList(of) | Self::Map(of) => of.range(),
            _ => None,
        }
    }

    /// Its value must not be shown.
    pub fn is_hidden(&self) -> bool {
        match self {
            Self::Secret | Self::Private | Self::SecretSource => true,
            Self::List(of) | Self::OneOrList(of) | Self::Map(of) => of.is_hidden(),
            Self::Section(section) => section.keys.iter().any(|key| key.kind.is_hidden()),
            _ => false,
        }
    }
}

impl Span {
    fn words(&self) -> String {
        let above = if self.open { "above" } else { "at least" };
        match (self.max.is_finite(), self.open) {
            (false, _) => format!("{above} {}", self.min),
            (true, true) => format!("above {}, at most {}", self.min, self.max),
            (true, false) => format!("from {} to {}", self.min, self.max),
        }
    }
}
