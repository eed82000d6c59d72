//! The tables as a page for people.

use super::config::{
    BUDGET, CONTEXT, DELIVERY, ESCALATION, HEALTH, JOURNAL, MISSION, PROCESS, SECRETS, SERVER, TOOL, TOOL_COST, TRIGGER,
};
use super::document::{KEEP, MANIFEST, MEMORY, RUNTIME};
use super::table::{Key, Kind, Section};

/// Every section of the two files: its name and its keys as a Markdown table. The reference page is
/// held against it.
pub fn reference() -> Vec<(&'static str, String)> {
    let sections = [
        &MANIFEST,
        &PROCESS,
        &SERVER,
        &TRIGGER,
        &DELIVERY,
        &CONTEXT,
        &MEMORY,
        &JOURNAL,
        &BUDGET,
        &TOOL_COST,
        &ESCALATION,
        &HEALTH,
        &MISSION,
        &SECRETS,
        &TOOL,
        &RUNTIME,
        &KEEP,
    ];
    sections.into_iter().map(|section| (section.name, table(section))).collect()
}

fn table(section: &Section) -> String {
    let mut page = String::new();
    let grouped = section.keys.iter().any(|key| key.group.is_some());
    let heads: &[&str] =
        if grouped { &["Key", "For", "Value", "Default", "Meaning"] } else { &["Key", "Value", "Default", "Meaning"] };
    row(&mut page, heads.iter().map(|head| (*head).to_owned()));
    row(&mut page, heads.iter().map(|_| "---".to_owned()));
    for key in section.keys.iter().filter(|key| key.refused.is_none()) {
        let mut cells = vec![format!("`{}`", key.name)];
        if grouped {
            cells.push(key.group.map_or_else(|| "all".to_owned(), |group| format!("`{group}`")));
        }
        cells.extend([value(&key.kind), default(key), key.meaning.to_owned()]);
        row(&mut page, cells.into_iter());
    }
    let refused: Vec<&Key> = section.keys.iter().filter(|key| key.refused.is_some()).collect();
    if !refused.is_empty() {
        page.push_str("\nNot supported by this version, and refused:\n\n");
        for key in refused {
            page.push_str(&format!("- `{}`: {}\n", key.name, key.refused.unwrap_or_default()));
        }
    }
    page
}

fn row(page: &mut String, cells: impl Iterator<Item = String>) {
    page.push('|');
    for cell in cells {
        page.push_str(&format!(" {} |", cell.replace('|', "\\|")));
    }
    page.push('\n');
}

fn value(kind: &Kind) -> String {
    let refused = match kind {
        Kind::Choice(words) => words.iter().filter(|word| word.refused.is_some()).map(|word| word.name).collect(),
        _ => Vec::new(),
    };
    let mut text = kind.name();
    if let Some(range) = kind.range() {
        text.push_str(&format!(", {range}"));
    }
    if !refused.is_empty() {
        text.push_str(&format!(" (not yet: {})", refused.join(", ")));
    }
    text
}

fn default(key: &Key) -> String {
    match (key.required, key.default) {
        (true, _) => "needed".to_owned(),
        (false, Some(default)) => format!("`{default}`"),
        (false, None) => "not set".to_owned(),
    }
}
