//! Where values live, and the two things that happen to text: values in, values out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::forms::forms;

/// A value shorter than this would be masked wherever it stands by chance.
pub(super) const MIN_CHARS: usize = 4;

/// Earlier values of a secret that are still masked, because a tool may still say them.
const MAX_OLD: usize = 10;

/// What stands before a secret's name in an argument.
pub(super) const PREFIX: &str = "secret://";

/// The secrets of one process. No `Debug`, no `Serialize`, no way to read a value but into a call.
#[derive(Default)]
pub(super) struct Vault {
    entries: BTreeMap<String, Entry>,
    masker: Arc<Masker>,
}

struct Entry {
    value: Zeroizing<String>,
    old: VecDeque<Zeroizing<String>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Vault {
    /// Puts a value in, in place of the one before.
    pub(super) fn put(&mut self, name: &str, value: Zeroizing<String>, expires_at: Option<DateTime<Utc>>) {
        let before = self.entries.remove(name);
        let mut old = VecDeque::new();
        if let Some(before) = before {
            old = before.old;
            old.push_front(before.value);
            old.truncate(MAX_OLD);
        }
        self.entries.insert(name.to_owned(), Entry { value, old, expires_at });
        self.masker = Arc::new(self.new_masker());
    }

    /// Overwrites a secret's values with zeros and forgets it. Returns whether there was one.
    pub(super) fn revoke(&mut self, name: &str) -> bool {
        let removed = self.entries.remove(name).is_some();
        self.masker = Arc::new(self.new_masker());
        removed
    }

    /// Overwrites every value with zeros and forgets it. A call that is under way keeps what it needs
    /// to mask its result until that is there.
    pub(super) fn revoke_all(&mut self) {
        self.entries.clear();
        self.masker = Arc::default();
    }

    /// The names and ends of all secrets.
    pub(super) fn list(&self) -> impl Iterator<Item = (&str, Option<DateTime<Utc>>)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.expires_at))
    }

    /// The names of the secrets that may be used at `now`.
    pub(super) fn usable(&self, now: DateTime<Utc>) -> Vec<&str> {
        self.list().filter(|(_, end)| end.is_none_or(|end| now < end)).map(|(name, _)| name).collect()
    }

    pub(super) fn masker(&self) -> Arc<Masker> {
        Arc::clone(&self.masker)
    }

    /// Puts the values in place of their names in every string of `value`, and their names into `used`.
    /// The error names a secret that there is not, or no longer.
    pub(super) fn fill(&self, value: &mut Value, now: DateTime<Utc>, used: &mut Vec<String>) -> Result<(), String> {
        match value {
            Value::String(text) if text.contains(PREFIX) => {
                let mut filled = self.fill_text(text, now, used)?;
                *text = std::mem::take(&mut *filled);
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill(item, now, used)),
            Value::Object(map) => map.values_mut().try_for_each(|item| self.fill(item, now, used)),
            _ => Ok(()),
        }
    }

    fn fill_text(&self, text: &str, now: DateTime<Utc>, used: &mut Vec<String>) -> Result<Zeroizing<String>, String> {
        // Large enough at once where it can be: a string that grows leaves its old bytes behind.
        let longest = self.entries.values().map(|entry| entry.value.len()).max().unwrap_or(0);
        let room = text.len() + text.matches(PREFIX).count() * longest;
        let mut filled = Zeroizing::new(String::with_capacity(room));
        let mut rest = text;
        while let Some((before, from)) = rest.split_once(PREFIX) {
            filled.push_str(before);
            let (name, entry) = self.named_at(from).ok_or_else(|| unknown(from))?;
            if entry.expires_at.is_some_and(|end| now >= end) {
                return Err(format!("secret '{name}' has expired"));
            }
            filled.push_str(&entry.value);
            if !used.contains(&name.to_owned()) {
                used.push(name.to_owned());
            }
            rest = &from[name.len()..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// The secret with whose name `text` begins. A dot or dash behind the name is punctuation.
    fn named_at<'a>(&self, text: &'a str) -> Option<(&'a str, &Entry)> {
        let mut name = &text[..name_length(text)];
        loop {
            if let Some(entry) = self.entries.get(name) {
                return Some((name, entry));
            }
            name = name.strip_suffix(['.', '-'])?;
        }
    }

    fn new_masker(&self) -> Masker {
        let values = self
            .entries
            .iter()
            .flat_map(|(name, entry)| std::iter::once(&entry.value).chain(&entry.old).map(move |value| (name.as_str(), value)));
        Masker::new(values)
    }
}

fn unknown(text: &str) -> String {
    format!("there is no secret '{}'", &text[..name_length(text)])
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(text.len())
}

/// Whether a secret can have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name_length(name) == name.len() && !name.ends_with(['.', '-'])
}

/// The instant `ttl` seconds after `now`; none where there is no end that can be told.
pub(super) fn end(now: DateTime<Utc>, ttl: Option<f64>) -> Option<DateTime<Utc>> {
    now.checked_add_signed(TimeDelta::try_milliseconds((ttl? * 1e3) as i64)?)
}

/// Knows every shape of every value, the longest first.
#[derive(Default)]
pub(super) struct Masker {
    shapes: Vec<(Zeroizing<String>, String)>,
}

impl Masker {
    fn new<'a>(values: impl Iterator<Item = (&'a str, &'a Zeroizing<String>)>) -> Self {
        let mut shapes: Vec<(Zeroizing<String>, String)> = values
            .flat_map(|(name, value)| forms(value).into_iter().map(move |form| (form, format!("[secret {name}]"))))
            .collect();
        shapes.sort_by_key(|(shape, _)| std::cmp::Reverse(shape.len()));
        Self { shapes }
    }

    /// `text` with every value in it masked, in one pass, so that no mask is masked again.
    pub(super) fn mask(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match self.shapes.iter().find(|(shape, _)| rest.as_bytes().starts_with(shape.as_bytes())) {
                Some((shape, mask)) => {
                    masked.push_str(mask);
                    rest = &rest[shape.len()..];
                }
                None => {
                    masked.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        masked
    }

    /// The same for every string and every key of `value`.
    pub(super) fn mask_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.mask(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_value(item)),
            Value::Object(map) => {
                let masked = std::mem::take(map).into_iter().map(|(key, mut item)| {
                    self.mask_value(&mut item);
                    (self.mask(&key), item)
                });
                *map = masked.collect();
            }
            _ => {}
        }
    }
}

/// Overwrites every string of `value` with zeros.
pub(super) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        _ => {}
    }
}
