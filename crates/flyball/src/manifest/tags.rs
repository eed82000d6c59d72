//! Values that begin with `!` without quotes: YAML takes the first word for a tag and drops it.

use super::check::join;
use super::tree::{Data, Entry, Node, Place};

/// A value whose beginning is taken for a tag.
pub(super) struct Tag {
    /// Where the `!` stands.
    pub place: Place,
    /// The path of the key.
    pub field: String,
}

/// Those of a tree. `!!`, with which YAML's own types begin, is left alone.
pub(super) fn of(text: &str, node: &Node) -> Vec<Tag> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    walk(&lines, node, "", &mut found);
    found
}

fn walk(lines: &[&str], node: &Node, path: &str, found: &mut Vec<Tag>) {
    match &node.data {
        Data::Map(entries) => {
            for entry in entries {
                let field = join(path, &entry.key);
                if let Some(place) = tag(lines, entry) {
                    found.push(Tag { place, field: field.clone() });
                }
                walk(lines, &entry.value, &field, found);
            }
        }
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(lines, item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Where the tag of an entry's value stands: right behind the key.
fn tag(lines: &[&str], entry: &Entry) -> Option<Place> {
    let Place { line, column } = entry.key_place;
    let written: Vec<char> = lines.get(line.checked_sub(1)?)?.chars().skip(column.checked_sub(1)?).collect();
    // Quotes around the key, if there are any, are no part of it.
    let colon = written.iter().enumerate().skip(entry.key.chars().count()).find(|(_, c)| **c == ':')?.0;
    let value = written.iter().enumerate().skip(colon + 1).find(|(_, c)| !c.is_whitespace())?.0;
    let is_tag = written[value] == '!' && written.get(value + 1) != Some(&'!');
    is_tag.then_some(Place { line, column: column + value })
}
