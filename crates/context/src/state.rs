//! An agent's key-value state, with the history of every key.

mod toolbox;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};
use flyball_core_agent::{Change, nesting};
use serde_json::{Map, Value};

use crate::Error;
use crate::suggest::did_you_mean;

pub use toolbox::StateToolbox;
pub(crate) use toolbox::pin_start;

/// What a [`State`] begins with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateConfig {
    /// The keys that may be written. Empty: all.
    pub writable_keys: Vec<String>,
    /// The values there are before anything was written. They need not be writable.
    pub initial_state: Map<String, Value>,
}

/// One value that a key had.
#[derive(Debug, Clone, PartialEq)]
pub struct StateEntry {
    /// The value.
    pub value: Value,
    /// When it was written.
    pub timestamp: DateTime<Utc>,
    /// Who wrote it; `system` for an initial value.
    pub source: String,
}

/// Key-value state. Put it into an `Arc` to share it; it locks itself.
///
/// It is the fold of [`State::apply`] over its initial values and the changes so far, in order:
/// live and after a crash the same.
#[derive(Debug)]
pub struct State {
    writable: Vec<String>,
    keys: RwLock<BTreeMap<String, Past>>,
}

/// Entries kept per key. Enough to see how a value came about; the journal has the rest.
const MAX_HISTORY: usize = 100;

/// Bytes of JSON kept per key, so that a hundred big values do not stay in memory for ever.
/// The current value always stays.
const MAX_HISTORY_BYTES: usize = 64 * 1024;

/// A value's size as JSON. State is shown to a model at every run; what is bigger belongs in a file or a database.
const MAX_VALUE_BYTES: usize = 10_000;

/// Keys in a state that has no `writable_keys`, so that an agent which makes up names comes to an end.
const MAX_KEYS: usize = 100;

/// A key's length.
const MAX_KEY_BYTES: usize = 128;

impl State {
    /// A state as `config` has it. `at` dates the initial values.
    pub fn new(config: StateConfig, at: DateTime<Utc>) -> Self {
        let state = Self { writable: config.writable_keys, keys: RwLock::default() };
        for (key, value) in config.initial_state {
            state.apply(&Change { key, value, source: "system".to_owned(), at });
        }
        state
    }

    /// The value of `key` now.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.read().get(key).and_then(Past::value).cloned()
    }

    /// All values now.
    pub fn snapshot(&self) -> Map<String, Value> {
        let keys = self.read();
        keys.iter().filter_map(|(key, past)| Some((key.clone(), past.value()?.clone()))).collect()
    }

    /// The keys there are, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// What `key` was, oldest first, its present value last: the last 100 entries, and of big values
    /// fewer. Empty if there is no such key.
    pub fn history(&self, key: &str) -> Vec<StateEntry> {
        self.read().get(key).map(|past| past.entries.iter().cloned().collect()).unwrap_or_default()
    }

    /// The keys that may be written. Empty: all.
    pub fn writable_keys(&self) -> &[String] {
        &self.writable
    }

    /// The change that writes `value`, if it is allowed. Nothing is written: whoever must make the
    /// change durable first does that, and then calls [`State::apply`].
    ///
    /// # Errors
    /// [`Error::NotWritable`] if the key may not be written, [`Error::TooLarge`] if it is over a limit
    /// (value 10,000 bytes of JSON, key 128 bytes, 100 keys where all are writable).
    pub fn change(&self, key: &str, value: Value, source: &str, at: DateTime<Utc>) -> Result<Change, Error> {
        let keys = self.read();
        self.admit(key, &value, keys.len(), keys.contains_key(key))?;
        Ok(Change { key: key.to_owned(), value, source: source.to_owned(), at })
    }

    /// Writes `value` at once and returns the change, for whoever keeps a journal.
    ///
    /// # Errors
    /// As for [`State::change`]; then nothing was written.
    pub fn put(&self, key: &str, value: Value, source: &str, at: DateTime<Utc>) -> Result<Change, Error> {
        let change = self.change(key, value, source, at)?;
        self.apply(&change);
        Ok(change)
    }

    /// Takes a change over. It never fails and asks for no permission: what was once admitted and
    /// written down stays true, also where the configuration has changed since.
    pub fn apply(&self, change: &Change) {
        let entry = StateEntry { value: change.value.clone(), timestamp: change.at, source: change.source.clone() };
        self.write().entry(change.key.clone()).or_default().push(entry);
    }

    /// Whether `value` may be written to `key` of a state with `count` keys.
    fn admit(&self, key: &str, value: &Value, count: usize, exists: bool) -> Result<(), Error> {
        if !self.writable.is_empty() && !self.writable.iter().any(|allowed| allowed == key) {
            let hint = did_you_mean(key, self.writable.iter().map(String::as_str));
            return Err(Error::NotWritable {
                key: flyball_core_agent::text::one_line(key, MAX_KEY_BYTES),
                hint,
                writable: self.writable.join(", "),
            });
        }
        check_size(key, value)?;
        if self.writable.is_empty() && !exists && count >= MAX_KEYS {
            let what = format!("the state has {count} keys already and takes at most {MAX_KEYS}: write to one of them");
            return Err(Error::TooLarge(what));
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Past>> {
        self.keys.read().expect("no holder of the state panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Past>> {
        self.keys.write().expect("no holder of the state panics")
    }
}

/// Whether one key with one value keeps the limits.
pub(crate) fn check_size(key: &str, value: &Value) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(Error::TooLarge(format!("a state key has 1 to {MAX_KEY_BYTES} bytes; this one has {}", key.len())));
    }
    if !nesting::fits(value) {
        return Err(Error::TooLarge(format!("the value of '{key}' cannot be kept: {}", nesting::refusal())));
    }
    let size = size_of(value);
    if size > MAX_VALUE_BYTES {
        let what = format!("the value of '{key}' has {size} bytes as JSON; a state value has at most {MAX_VALUE_BYTES}");
        return Err(Error::TooLarge(what));
    }
    Ok(())
}

fn size_of(value: &Value) -> usize {
    value.to_string().len()
}

/// What one key was, the present value last.
#[derive(Debug, Default)]
struct Past {
    entries: VecDeque<StateEntry>,
    bytes: usize,
}

impl Past {
    fn value(&self) -> Option<&Value> {
        self.entries.back().map(|entry| &entry.value)
    }

    fn push(&mut self, entry: StateEntry) {
        self.bytes += size_of(&entry.value);
        self.entries.push_back(entry);
        while self.entries.len() > 1 && (self.entries.len() > MAX_HISTORY || self.bytes > MAX_HISTORY_BYTES) {
            if let Some(oldest) = self.entries.pop_front() {
                self.bytes -= size_of(&oldest.value);
            }
        }
    }
}
