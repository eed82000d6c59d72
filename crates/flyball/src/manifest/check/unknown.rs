//! Keys that nobody knows, and what was probably meant.

use super::Checker;
use crate::manifest::config::PROCESS;
use crate::manifest::document::{MANIFEST, RUNTIME};
use crate::manifest::table::{Key, Kind, Section};
use crate::manifest::tree::Entry;

impl Checker<'_> {
    pub(super) fn unknown_key(&mut self, section: &Section, group: Option<&str>, entry: &Entry, field: &str) {
        let near = section.keys.iter().filter(|key| key.refused.is_none() && fits(key, group));
        let help = did_you_mean(&entry.key, near.map(|key| key.name)).or_else(|| elsewhere(section, &entry.key));
        let meant_secret = section.keys.iter().any(|key| key.kind.is_hidden() && similar(&entry.key, key.name));
        if meant_secret {
            self.hide_all(&entry.value);
        }
        let help = help.or_else(|| Some(known(section, group)));
        self.error(entry.key_place, field, "unknown key", help);
    }
}

/// The nearest of `known`, as a question.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    known
        .filter(|candidate| similar(word, candidate))
        .min_by_key(|candidate| strsim::damerau_levenshtein(&fold(word), &fold(candidate)))
        .map(|candidate| format!("did you mean '{candidate}'?"))
}

pub(super) fn similar(word: &str, candidate: &str) -> bool {
    // Longer words are no typing errors, and comparing them takes the square of their length.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return false;
    }
    let (word, candidate) = (fold(word), fold(candidate));
    let distance = strsim::damerau_levenshtein(&word, &candidate);
    distance <= (candidate.len().min(word.len()) / 3).max(1)
        || word.len() > 3 && (candidate.ends_with(&word) || candidate.starts_with(&word))
}

/// `maxTurns`, `max-turns` and `max_turns` are the same slip.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// Where a key that is written exactly so would be right.
fn elsewhere(section: &Section, name: &str) -> Option<String> {
    let usable = |of: &Section| of.key(name).is_some_and(|key| key.refused.is_none());
    if section.name == RUNTIME.name {
        return None;
    }
    if section.name == MANIFEST.name && usable(&PROCESS) {
        return Some(format!("put it under `config:`, as `config: {{{name}: …}}`"));
    }
    if section.name != MANIFEST.name && usable(&MANIFEST) {
        return Some("it belongs to the top of the file".to_owned());
    }
    // The names in `memory` are too plain to tell what was meant.
    let sections = MANIFEST.keys.iter().filter(|key| key.refused.is_none() && key.name != "memory");
    let mut homes = sections.filter_map(|key| match inner(&key.kind) {
        Some(home) if home.name != section.name && usable(home) => Some(key.name),
        _ => None,
    });
    // Where several sections have it, nobody knows which was meant.
    let home = homes.next()?;
    homes.next().is_none().then(|| format!("it belongs to `{home}`"))
}

fn inner(kind: &Kind) -> Option<&'static Section> {
    match kind {
        Kind::Section(section) => Some(section),
        Kind::List(of) | Kind::Map(of) => inner(of),
        _ => None,
    }
}

fn fits(key: &Key, group: Option<&str>) -> bool {
    match (key.group, group) {
        (Some(of), Some(group)) => of == group,
        _ => true,
    }
}

fn known(section: &Section, group: Option<&str>) -> String {
    let keys = section.keys.iter().filter(|key| key.refused.is_none() && fits(key, group));
    let names: Vec<&str> = keys.map(|key| key.name).collect();
    format!("there are: {}", names.join(", "))
}
