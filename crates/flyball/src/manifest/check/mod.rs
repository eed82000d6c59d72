//! Checks a tree against the tables, and makes plain JSON of it that is sure to fit the types.

mod hide;
mod scalar;
mod unknown;

pub(crate) use unknown::did_you_mean;

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use super::Env;
use super::table::{Key, Kind, Kinds, Section};
use super::tree::{Data, Entry, Node, Place};

/// The keys of a map that were read, and where they stand.
type Seen<'n> = BTreeMap<&'n str, Place>;

/// What came to light while a file was read.
pub(super) struct Checker<'a> {
    pub env: &'a Env<'a>,
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
    /// Where each value stands, by its path in the file.
    pub places: BTreeMap<String, Place>,
    /// Bytes of the file that must not be shown.
    pub hidden: Vec<Range<usize>>,
}

/// A mistake, before it is put beside the file's text.
#[derive(Debug)]
pub(super) struct Finding {
    pub place: Place,
    pub field: String,
    pub message: String,
    pub help: Option<String>,
}

/// Mistakes of one file that are reported. Whoever made more has them from one cause.
const MAX_FINDINGS: usize = 100;

impl<'a> Checker<'a> {
    pub fn new(env: &'a Env<'a>) -> Self {
        Self { env, errors: Vec::new(), warnings: Vec::new(), places: BTreeMap::new(), hidden: Vec::new() }
    }

    pub fn error(&mut self, place: Place, field: &str, message: impl Into<String>, help: Option<String>) {
        // A mistake that another one at the same field has caused says nothing new.
        if self.errors.len() < MAX_FINDINGS && !self.errors.iter().any(|known| known.place == place && known.field == field) {
            self.errors.push(Finding { place, field: field.to_owned(), message: message.into(), help });
        }
    }

    pub fn warn(&mut self, place: Place, field: &str, message: impl Into<String>, help: Option<String>) {
        if self.warnings.len() < MAX_FINDINGS {
            self.warnings.push(Finding { place, field: field.to_owned(), message: message.into(), help });
        }
    }

    /// Reads a map with known keys. What is wrong is reported and left out.
    pub fn section(&mut self, section: &Section, node: &Node, path: &str) -> Option<Map<String, Value>> {
        self.places.insert(path.to_owned(), node.place);
        let Data::Map(entries) = &node.data else {
            self.wrong_type("a map of settings", node, path);
            return None;
        };
        let group = self.group(section, node, path);
        let mut read = Map::new();
        let mut seen = Seen::new();
        for entry in entries {
            let field = join(path, &entry.key);
            if self.repeats(&mut seen, entry, &field) {
                continue;
            }
            let Some(key) = section.key(&entry.key) else {
                self.unknown_key(section, group, entry, &field);
                continue;
            };
            if let Some(value) = self.known_key(key, group, entry, &field) {
                read.insert(entry.key.clone(), value);
            }
        }
        self.required(section, group, node, path);
        Some(settle(section.kinds, read))
    }

    fn known_key(&mut self, key: &Key, group: Option<&str>, entry: &Entry, field: &str) -> Option<Value> {
        if let Some(instead) = key.refused {
            self.error(entry.key_place, field, "is not supported by this version", Some(instead.to_owned()));
            return None;
        }
        if let (Some(of), Some(group)) = (key.group, group)
            && of != group
        {
            self.hide(&key.kind, &entry.value);
            let message = format!("belongs to {}, and this is {}", kind_name(of), kind_name(group));
            self.error(entry.key_place, field, message, None);
            return None;
        }
        self.places.insert(field.to_owned(), entry.value.place);
        self.hide(&key.kind, &entry.value);
        let value = self.value(&key.kind, &entry.value, field);
        if value.is_none()
            && let (Some(why), Some(last)) = (key.why, self.errors.last_mut())
            && last.field == field
            && last.help.is_none()
        {
            last.help = Some(why.to_owned());
        }
        value
    }

    pub(super) fn value(&mut self, kind: &Kind, node: &Node, path: &str) -> Option<Value> {
        if matches!(node.data, Data::Null) && !matches!(kind, Kind::Json) {
            let help = "give it a value or remove the key".to_owned();
            // What was taken for a tag is told already.
            if !self.errors.iter().any(|known| known.field == path) {
                self.error(node.place, path, "has no value", Some(help));
            }
            return None;
        }
        match kind {
            Kind::Section(section) => self.section(section, node, path).map(Value::Object),
            Kind::List(of) => self.list(of, node, path),
            Kind::OneOrList(of) => self.one_or_list(of, node, path),
            Kind::Map(of) => self.map(of, node, path),
            Kind::Json => self.json(node, path),
            scalar => self.scalar(scalar, node, path),
        }
    }

    fn list(&mut self, of: &Kind, node: &Node, path: &str) -> Option<Value> {
        let Data::List(items) = &node.data else {
            self.wrong_type("a list", node, path);
            return None;
        };
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.places.insert(path.clone(), item.place);
            read.push(self.value(of, item, &path));
        }
        read.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn one_or_list(&mut self, of: &Kind, node: &Node, path: &str) -> Option<Value> {
        match &node.data {
            Data::List(items) if items.is_empty() => {
                self.error(node.place, path, "must not be empty", None);
                None
            }
            Data::List(_) => self.list(of, node, path),
            _ => self.value(of, node, path),
        }
    }

    fn map(&mut self, of: &Kind, node: &Node, path: &str) -> Option<Value> {
        let Data::Map(entries) = &node.data else {
            self.wrong_type("a map", node, path);
            return None;
        };
        let mut read = Map::new();
        let mut seen = Seen::new();
        for entry in entries {
            let path = join(path, &entry.key);
            if self.repeats(&mut seen, entry, &path) {
                continue;
            }
            self.places.insert(path.clone(), entry.value.place);
            if let Some(value) = self.value(of, &entry.value, &path) {
                read.insert(entry.key.clone(), value);
            }
        }
        Some(Value::Object(read))
    }

    fn json(&mut self, node: &Node, path: &str) -> Option<Value> {
        Some(match &node.data {
            Data::Null => Value::Null,
            Data::Bool(truth) => Value::Bool(*truth),
            Data::Int(number) => Value::from(*number),
            Data::Float(number) => Value::from(*number),
            Data::Text(text) => Value::String(self.filled_in(text, node, path)?),
            Data::List(_) => self.list(&Kind::Json, node, path)?,
            Data::Map(_) => self.map(&Kind::Json, node, path)?,
        })
    }

    /// Whether the key was `seen` before; if so that is reported.
    fn repeats<'n>(&mut self, seen: &mut Seen<'n>, entry: &'n Entry, field: &str) -> bool {
        let Some(first) = seen.get(entry.key.as_str()) else {
            seen.insert(&entry.key, entry.key_place);
            return false;
        };
        let message = format!("is given twice; the first is in line {}", first.line);
        self.error(entry.key_place, field, message, Some("remove one of the two".to_owned()));
        true
    }

    fn required(&mut self, section: &Section, group: Option<&str>, node: &Node, path: &str) {
        for key in section.keys.iter().filter(|key| key.required && node.get(key.name).is_none()) {
            let message = match key.group {
                Some(of) if group == Some(of) => format!("is missing, and {} needs it", kind_name(of)),
                Some(_) => continue,
                None => "is missing".to_owned(),
            };
            // A misspelt key is told already, with what it should be.
            let misspelt = |entry: &Entry| section.key(&entry.key).is_none() && unknown::similar(&entry.key, key.name);
            if !node.entries().iter().any(misspelt) {
                self.error(node.place, &join(path, key.name), message, Some(describe(key)));
            }
        }
    }

    /// Which of its kinds a section's entry is of, where that can be told.
    fn group(&mut self, section: &Section, node: &Node, path: &str) -> Option<&'static str> {
        match section.kinds {
            Kinds::One => None,
            Kinds::Trigger => {
                let text = node.get("type")?.text()?;
                let named = super::substitute::substitute(text, self.env).ok()?;
                section.keys.iter().filter_map(|key| key.group).find(|group| *group == named)
            }
            Kinds::Server => match (node.get("url"), node.get("command")) {
                (Some(_), None) => Some("url"),
                (None, Some(_)) => Some("command"),
                (Some(_), Some(command)) => {
                    self.error(command.place, path, "has both `url` and `command`", Some("a server is one or the other".into()));
                    None
                }
                // A misspelt key is told already, with what it should be.
                (None, None) if node.entries().iter().any(|entry| misspelt_server(section, entry)) => None,
                (None, None) => {
                    let help = "give the address of a running server, or the program to start".to_owned();
                    self.error(node.place, path, "has neither `url` nor `command`", Some(help));
                    None
                }
            },
        }
    }
}

/// An unknown key that is nearly `url` or `command`.
fn misspelt_server(section: &Section, entry: &Entry) -> bool {
    section.key(&entry.key).is_none() && ["url", "command"].into_iter().any(|key| unknown::similar(&entry.key, key))
}

/// The path of `key` below `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    // A key of a map may be anything: it must not break a line of a message.
    let key: String = key.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// What a missing key would say.
fn describe(key: &Key) -> String {
    let meaning = key.meaning.trim_end_matches('.');
    let mut chars = meaning.chars();
    let meaning: String = chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect();
    match key.kind {
        Kind::Choice(_) => format!("{meaning}: {}", key.kind.name()),
        _ => meaning,
    }
}

fn kind_name(group: &str) -> String {
    match group {
        "url" => "a server with a `url`".to_owned(),
        "command" => "a server with a `command`".to_owned(),
        "event" => "an event trigger".to_owned(),
        trigger => format!("a {trigger} trigger"),
    }
}

/// Brings the names that a section has twice down to one.
fn settle(kinds: Kinds, mut read: Map<String, Value>) -> Map<String, Value> {
    match kinds {
        Kinds::One | Kinds::Trigger => {}
        Kinds::Server => {
            if let Some(transport) = read.remove("type") {
                read.insert("transport".to_owned(), transport);
            }
        }
    }
    read
}
