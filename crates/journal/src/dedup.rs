//! Which events were taken in lately, so that a second arrival is known as one.
//!
//! What lies in memory, and in each checkpoint, is bounded by a count. Where that is less than the window,
//! the older keys are looked up in the log.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long a key is remembered. A source that repeats itself does so within days.
pub const DEDUP_WINDOW: TimeDelta = TimeDelta::hours(72);

/// Keys that a process remembers by itself, and writes into each of its checkpoints; beyond that the oldest
/// go, so that a flood can fill neither the memory nor the journal.
pub const MAX_DEDUP_KEYS: usize = 10_000;

/// So many events must agree that a key is too old to be remembered.
pub(crate) const WITNESSES: usize = 256;

/// Whether an event was taken in before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recalled {
    /// It was not, within the window and as far back as the log goes.
    Never,
    /// It was, under this id.
    As(String),
    /// That cannot be told yet. Offer it again a little later.
    NotYet,
}

/// The keys of the events that were taken in within the window.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Vec<Seen>", into = "Vec<Seen>")]
pub(crate) struct Dedup {
    /// Places in `order`, counted from the first that was ever there.
    by_key: HashMap<u128, u64>,
    order: VecDeque<Seen>,
    /// How many have left `order`.
    gone: u64,
    limit: usize,
}

impl Default for Dedup {
    fn default() -> Self {
        Self { by_key: HashMap::new(), order: VecDeque::new(), gone: 0, limit: MAX_DEDUP_KEYS }
    }
}

/// Trigger and key as [`digest`] has them, the event's id, its time in seconds, and the record that took it in.
/// Without names, because a checkpoint has thousands of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen(#[serde(with = "hex")] u128, Box<str>, i64, u64);

impl Seen {
    /// It came within the window before `at`.
    fn is_within(&self, at: i64) -> bool {
        at - self.2 <= DEDUP_WINDOW.num_seconds()
    }
}

/// The same for the same trigger and key, and of the same length for all: keys come from outside, and may be
/// long, and chosen so that they are mistaken for others.
fn digest(trigger: &str, key: &str) -> u128 {
    let mut digest = Sha256::new();
    digest.update((trigger.len() as u64).to_be_bytes());
    digest.update(trigger.as_bytes());
    digest.update(key.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest.finalize()[..16]);
    u128::from_be_bytes(half)
}

impl Dedup {
    /// The same, with room for `limit` keys.
    pub fn limited(mut self, limit: usize) -> Self {
        self.limit = limit;
        self.shrink();
        self
    }

    /// With room for how many keys.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// There is no more room, and what went, or goes with the next key, may be of the window before `at`.
    pub fn is_full(&self, at: DateTime<Utc>) -> bool {
        self.reaches(self.limit, at.timestamp())
    }

    /// There will soon be no more room.
    pub fn is_half_full(&self) -> bool {
        self.newest().is_some_and(|at| self.reaches(self.limit / 2, at))
    }

    /// Where it is full before the newest event: when what is here is all of the past again, if nothing comes.
    pub fn full_until(&self) -> Option<DateTime<Utc>> {
        let newest = self.newest().filter(|at| self.reaches(self.limit, *at))?;
        DateTime::from_timestamp(newest, 0)?.checked_add_signed(DEDUP_WINDOW)
    }

    /// Among the oldest of the last `count` keys there is one of the window before `at`: one alone may bear the time of
    /// a clock that was behind.
    fn reaches(&self, count: usize, at: i64) -> bool {
        let Some(first) = self.order.len().checked_sub(count.max(1)) else { return false };
        self.order.iter().skip(first).take((count / 8).clamp(1, WITNESSES)).any(|seen| seen.is_within(at))
    }

    fn newest(&self) -> Option<i64> {
        self.order.back().map(|Seen(_, _, at, _)| *at)
    }

    /// The oldest record whose key is here. Those of all later ones are here too.
    pub fn reaches_back_to(&self) -> u64 {
        self.order.front().map_or(u64::MAX, |Seen(_, _, _, seq)| *seq)
    }

    /// The id under which an event of this trigger with this key was taken in, within the window before `at`.
    pub fn seen(&self, trigger: &str, key: &str, at: DateTime<Utc>) -> Option<&str> {
        let place = self.by_key.get(&digest(trigger, key))? - self.gone;
        let seen = self.order.get(usize::try_from(place).ok()?)?;
        seen.is_within(at.timestamp()).then_some(&*seen.1)
    }

    /// Remembers an event, and forgets what is too old, or too many.
    pub fn remember(&mut self, trigger: &str, key: &str, event: &str, at: DateTime<Utc>, seq: u64) {
        self.put(Seen(digest(trigger, key), event.into(), at.timestamp(), seq));
        self.shrink();
        // Where there is no room, one of the window may have gone before: it is told by those that are here.
        while self.order.front().is_some_and(|oldest| self.is_past(oldest)) && !self.is_full(at) {
            self.forget_oldest();
        }
    }

    /// It is older than the window before all of the latest events. A clock that is ahead for a few of them would
    /// else cost everything that was taken in before.
    fn is_past(&self, seen: &Seen) -> bool {
        self.order.iter().rev().take(WITNESSES).all(|later| !seen.is_within(later.2))
    }

    fn shrink(&mut self) {
        while self.order.len() > self.limit {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(Seen(key, ..)) = self.order.pop_front() {
            // The key may have been used again since, after the window.
            if self.by_key.get(&key) == Some(&self.gone) {
                self.by_key.remove(&key);
            }
            self.gone += 1;
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    fn put(&mut self, seen: Seen) {
        let place = self.gone + self.order.len() as u64;
        self.by_key.insert(seen.0, place);
        self.order.push_back(seen);
    }
}

/// Two are the same if they remember the same; it does not matter what they forgot.
impl PartialEq for Dedup {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order && self.limit == other.limit
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

/// Digests as 32 hexadecimal digits.
mod hex {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(digest: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{digest:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let digits = Cow::<str>::deserialize(deserializer)?;
        u128::from_str_radix(&digits, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_within_the_window_and_forgotten_after_it() {
        let mut dedup = Dedup::default();
        let start = DateTime::UNIX_EPOCH;
        dedup.remember("t", "a", "e1", start, 1);
        dedup.remember("t", "b", "e2", start + DEDUP_WINDOW, 2);
        assert_eq!(dedup.seen("t", "a", start + DEDUP_WINDOW), Some("e1"));
        let later = start + DEDUP_WINDOW + TimeDelta::seconds(1);
        assert_eq!(dedup.seen("t", "a", later), None, "though nothing came since");
        dedup.remember("t", "c", "e3", later, 3);
        let seen = |trigger, key| dedup.seen(trigger, key, later);
        assert_eq!((seen("t", "a"), seen("t", "b"), seen("u", "b")), (None, Some("e2"), None));
    }

    #[test]
    fn one_event_of_a_wrong_clock_costs_no_key() {
        let mut dedup = Dedup::default();
        let today = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        dedup.remember("t", "a", "e1", today, 1);
        dedup.remember("t", "b", "e2", today + TimeDelta::days(3_650), 2);
        dedup.remember("t", "c", "e3", DateTime::UNIX_EPOCH, 3);
        let seen = ["a", "b", "c"].map(|key| dedup.seen("t", key, today + TimeDelta::hours(1)));
        assert_eq!(seen, [Some("e1"), Some("e2"), None], "the third is older than the window by its own time");
    }

    #[test]
    fn what_is_too_old_by_many_clocks_is_forgotten() {
        let mut dedup = Dedup::default();
        let hours = |hours| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        (0..1000).for_each(|hour| dedup.remember("t", &hour.to_string(), "e", hours(hour), 1));
        assert_eq!(dedup.len(), WITNESSES + 72);
    }

    #[test]
    fn what_is_older_than_the_window_fills_nothing() {
        let mut dedup = Dedup::default().limited(4);
        let days = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        (0..6).for_each(|day| dedup.remember("t", &day.to_string(), "e", days(2 * day), 1));
        // Of the last three days there are two.
        assert_eq!((dedup.is_half_full(), dedup.full_until(), dedup.is_full(days(10))), (true, None, false));
        assert!(!dedup.is_full(days(100)) && dedup.is_full(days(6)));
    }

    #[test]
    fn a_key_that_is_used_again_after_the_window_is_another_event() {
        let mut dedup = Dedup::default();
        let week = TimeDelta::days(7);
        for (number, event) in (0..3).zip(["e1", "e2", "e3"]) {
            let at = DateTime::UNIX_EPOCH + week * number;
            assert_eq!(dedup.seen("t", "weekly", at), None);
            dedup.remember("t", "weekly", event, at, 1);
            assert_eq!(dedup.seen("t", "weekly", at + TimeDelta::hours(1)), Some(event));
        }
        assert_eq!(dedup.by_key.len(), 1);
    }

    #[test]
    fn where_there_is_no_room_the_oldest_keys_go_and_it_tells_how_far_back_it_reaches() {
        let mut dedup = Dedup::default().limited(4);
        let mut told = Vec::new();
        for seq in 1..=6 {
            dedup.remember("t", &seq.to_string(), "e", DateTime::UNIX_EPOCH, seq);
            told.push((dedup.is_half_full(), dedup.is_full(DateTime::UNIX_EPOCH), dedup.reaches_back_to()));
        }
        let (no, half, full) = ((false, false), (true, false), (true, true));
        let expected = [(no, 1), (half, 1), (half, 1), (full, 1), (full, 2), (full, 3)];
        assert_eq!(told, expected.map(|((half, full), back)| (half, full, back)));
        assert_eq!((dedup.seen("t", "2", DateTime::UNIX_EPOCH), dedup.seen("t", "3", DateTime::UNIX_EPOCH)), (None, Some("e")));
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let mut dedup = Dedup::default();
        dedup.remember("t", "a", "e1", DateTime::UNIX_EPOCH, 1);
        let text = serde_json::to_string(&dedup).expect("written");
        assert_eq!(serde_json::from_str::<Dedup>(&text).expect("read"), dedup);
    }
}
