//! Brings the places where a manifest may say the same thing together into one.

use serde_json::{Map, Value};

use super::check::Checker;
use super::config::SHARED;
use super::tree::Place;

/// The keys of the top that are other names for keys of `context`.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("world", "initial_state"),
    ("memory.provider", "memory_provider"),
    ("memory.auto_store", "memory_auto_store"),
    ("memory.max", "memory_max"),
    ("memory.min_score", "memory_min_score"),
];

/// One process's settings out of a manifest's. What is said twice is reported, with both lines.
pub(super) fn merge(checker: &mut Checker<'_>, mut top: Map<String, Value>) -> Map<String, Value> {
    let mut process = object(top.remove("config"));
    for key in &SHARED {
        let Some(value) = top.remove(key.name) else { continue };
        if process.contains_key(key.name) {
            twice(checker, &format!("config.{}", key.name), key.name);
        }
        process.insert(key.name.to_owned(), value);
    }
    let memory = object(top.remove("memory"));
    let mut context = object(process.remove("context"));
    for (name, of_context) in OTHER_NAMES {
        let value = match name.strip_prefix("memory.") {
            Some(key) => memory.get(key),
            None => top.get(name),
        };
        let Some(value) = value else { continue };
        if context.contains_key(of_context) {
            let (field, _) = locate(checker, &format!("context.{of_context}"));
            twice(checker, &field, name);
        }
        context.insert(of_context.to_owned(), value.clone());
    }
    process.insert("context".to_owned(), Value::Object(context));
    process
}

/// Where a setting of the process stands and what it is called there; where it is not written, the
/// place of the section that it would be in.
pub(super) fn locate(checker: &Checker<'_>, path: &str) -> (String, Place) {
    let written = |path: &str| checker.places.get(path).map(|place| (path.to_owned(), *place));
    let under_config = format!("config.{path}");
    let other_name = OTHER_NAMES.iter().find(|(_, key)| path.strip_prefix("context.") == Some(key));
    let found = written(path).or_else(|| written(&under_config)).or_else(|| written(other_name?.0));
    if let Some(found) = found {
        return found;
    }
    let Some(parent) = path.rfind(['.', '[']).map(|at| &path[..at]) else {
        return (path.to_owned(), Place { line: 1, column: 1 });
    };
    let (shown, place) = locate(checker, parent);
    (format!("{shown}{}", &path[parent.len()..]), place)
}

fn twice(checker: &mut Checker<'_>, field: &str, other: &str) {
    let place = |checker: &Checker<'_>, path: &str| checker.places.get(path).copied().unwrap_or_default();
    let (here, there) = (place(checker, field), place(checker, other));
    let message = format!("is set twice: here in line {}, and as `{other}` in line {}", here.line, there.line);
    checker.error(here, field, message, Some("keep one of the two".to_owned()));
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
