//! Which events were taken in lately, so that a second arrival is known as one.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How long a key is remembered. A source that repeats itself does so within days.
pub const DEDUP_WINDOW: TimeDelta = TimeDelta::hours(72);

/// Keys remembered at most; beyond that the oldest go, so that a flood cannot fill the memory.
pub const MAX_DEDUP_KEYS: usize = 100_000;

/// The keys of the events that were taken in within the window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Seen>", into = "Vec<Seen>")]
pub(crate) struct Dedup {
    by_key: HashMap<(String, String), String>,
    order: VecDeque<Seen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    trigger: String,
    key: String,
    event: String,
    at: DateTime<Utc>,
}

impl Dedup {
    /// The id under which an event of this trigger with this key was taken in.
    pub fn seen(&self, trigger: &str, key: &str) -> Option<&str> {
        self.by_key.get(&(trigger.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Remembers an event, and forgets what is too old.
    pub fn remember(&mut self, trigger: &str, key: &str, event: &str, at: DateTime<Utc>) {
        let seen = Seen { trigger: trigger.to_owned(), key: key.to_owned(), event: event.to_owned(), at };
        self.put(seen);
        while self.order.len() > MAX_DEDUP_KEYS || self.order.front().is_some_and(|oldest| at - oldest.at > DEDUP_WINDOW) {
            let Some(oldest) = self.order.pop_front() else { break };
            self.by_key.remove(&(oldest.trigger, oldest.key));
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    fn put(&mut self, seen: Seen) {
        let key = (seen.trigger.clone(), seen.key.clone());
        if self.by_key.insert(key, seen.event.clone()).is_none() {
            self.order.push_back(seen);
        }
    }
}

impl From<Vec<Seen>> for Dedup {
    fn from(all: Vec<Seen>) -> Self {
        let mut dedup = Self::default();
        all.into_iter().for_each(|seen| dedup.put(seen));
        dedup
    }
}

impl From<Dedup> for Vec<Seen> {
    fn from(dedup: Dedup) -> Self {
        dedup.order.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_within_the_window_and_forgotten_after_it() {
        let mut dedup = Dedup::default();
        let start = DateTime::UNIX_EPOCH;
        dedup.remember("t", "a", "e1", start);
        dedup.remember("t", "b", "e2", start + DEDUP_WINDOW);
        assert_eq!(dedup.seen("t", "a"), Some("e1"));
        dedup.remember("t", "c", "e3", start + DEDUP_WINDOW + TimeDelta::seconds(1));
        assert_eq!((dedup.seen("t", "a"), dedup.seen("t", "b"), dedup.seen("u", "b")), (None, Some("e2"), None));
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let mut dedup = Dedup::default();
        dedup.remember("t", "a", "e1", DateTime::UNIX_EPOCH);
        let text = serde_json::to_string(&dedup).expect("written");
        assert_eq!(serde_json::from_str::<Dedup>(&text).expect("read"), dedup);
    }
}
