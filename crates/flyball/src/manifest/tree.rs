//! A YAML document as a tree that remembers where everything stands.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    /// The bytes it is written in; where an alias stands for it, those that the alias stands for.
    pub bytes: Range<usize>,
    pub data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value. Keys may repeat; the reader of the tree complains.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

/// A line and a column, both counted from 1 in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is no YAML, and where.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub place: Place,
    pub message: String,
}

/// Deeper than this nobody writes by hand, and the tree is walked by recursion.
const MAX_DEPTH: usize = 64;
/// More nodes than this no manifest has; an alias that stands for many counts as many.
const MAX_NODES: usize = 100_000;

/// Reads one document. Nothing at all is an empty map.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let read = serde_saphyr::from_str_with_options::<Spanned<Data>>(text, options());
    let node = read.map(node).map_err(|error| SyntaxError {
        place: error.location().map_or(Place::default(), place),
        message: UserMessageFormatter.format_message(error.without_snippet()).into_owned(),
    })?;
    Ok(match node.data {
        Data::Null => Node { place: Place { line: 1, column: 1 }, data: Data::Map(Vec::new()), ..node },
        _ => node,
    })
}

impl Node {
    /// The entries of a map.
    pub fn entries(&self) -> &[Entry] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value under `key`, the first if it repeats.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    // `no`, `on` and `y` are words, as in YAML 1.2.
    options.strict_booleans = true;
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.with_snippet = false;
    options.emit_comments = false;
    options.alias_limits.max_total_replayed_events = MAX_NODES;
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    options.budget = Some(budget);
    options
}

fn node(spanned: Spanned<Data>) -> Node {
    Node { place: place(spanned.referenced), bytes: bytes(spanned.defined), data: spanned.value }
}

fn place(location: Location) -> Place {
    let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Place { line: at(location.line()), column: at(location.column()) }
}

fn bytes(location: Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    let len = span.byte_len().and_then(|len| usize::try_from(len).ok()).unwrap_or(0);
    start..start.saturating_add(len)
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Data, E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond every range that a manifest knows, so only its size matters")]
        Ok(i64::try_from(value).map_or(Data::Float(value as f64), Data::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Data, E> {
        Ok(Data::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Data, E> {
        Ok(Data::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(node(item));
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Data, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = pairs.next_key::<Spanned<Data>>()? {
            let key_place = place(key.referenced);
            let key = match key.value {
                Data::Text(text) => text,
                Data::Int(number) => number.to_string(),
                Data::Float(number) => number.to_string(),
                Data::Bool(truth) => truth.to_string(),
                Data::Null => "null".to_owned(),
                Data::List(_) | Data::Map(_) => return Err(A::Error::custom("a key must be text")),
            };
            entries.push(Entry { key, key_place, value: node(pairs.next_value()?) });
        }
        Ok(Data::Map(entries))
    }
}
