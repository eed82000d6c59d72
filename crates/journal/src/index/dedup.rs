//! Which events a log took in within the window, by their keys: for processes whose memory holds less.
//!
//! What it says is looked up in the log before anybody relies on it. What the log has dropped it forgets,
//! so that it never holds the only copy of a key.

use std::collections::VecDeque;
use std::path::Path;

use flyball_core_agent::TriggerEvent;
use sha2::{Digest, Sha256};
use sled::{Batch, Tree};

use super::database::{Database, Found, guarded, trouble};
use super::posting::{Kind, Posting, decode, encode};
use crate::dedup::{DEDUP_WINDOW, WITNESSES};
use crate::log::follow::{self, Halt, Reached, Stretch, follow_events};
use crate::log::line::{self, Header};
use crate::log::spots::{Spot, records_at};
use crate::storage::{FileStorage, Storage};
use crate::{Entry, Record};

/// The keys of a log.
pub(super) struct DedupIndex {
    storage: FileStorage,
    database: Database,
    reached: Reached,
    /// When the latest events were taken in, as seconds, at most [`WITNESSES`]: so many must agree that a key is old.
    latest: VecDeque<i64>,
    /// Recovery has looked at the log up to this record.
    past: u64,
}

/// What the database's entries mean. Another number makes every index anew.
const VERSION: u32 = 1;

/// Under this key stands how far the log was read.
const REACHED: &[u8] = b"\0reached";

/// A key of an event, and where the last record that took such a one in lies.
const KEY: u8 = b'k';

/// The number of such a record, its time, and the key: oldest first.
const ORDER: u8 = b'o';

impl DedupIndex {
    /// The keys of the log in `journal`, as they were left; made if they are not there. Up to the record `past`
    /// recovery has said which processes are damaged.
    pub fn open(journal: &Path, past: u64) -> Result<Self, Halt> {
        let storage = crate::log::open(journal).map_err(Halt::Failed)?;
        let (database, found) = Database::open(&journal.join("index").join("dedup"), VERSION)?;
        if let Found::Spoiled(why) = found {
            tracing::warn!(journal = %journal.display(), why, "the journal's index of keys is made anew");
        }
        let mut index = Self { storage, database, reached: Reached::default(), latest: VecDeque::new(), past };
        let said = index.database.tree()?.get(REACHED).map_err(|error| trouble(journal, error))?;
        match said.map(|text| serde_json::from_slice(&text)) {
            Some(Ok(reached)) => index.reached = reached,
            Some(Err(_)) => index.begin_again()?,
            None => {}
        }
        Ok(index)
    }

    /// Where keys are looked up, by [`look_up`].
    pub fn tree(&self) -> Result<Tree, Halt> {
        self.database.tree().cloned()
    }

    /// The last record whose key is here.
    pub fn reached(&self) -> u64 {
        self.reached.seq
    }

    /// Forgets everything. Nobody may hold a [`tree`](Self::tree) any more.
    pub fn begin_again(&mut self) -> Result<(), Halt> {
        self.reached = Reached::default();
        self.database.clear()
    }

    /// Reads on to the log's end, but no further once `stop` says so.
    pub fn catch_up(&mut self, stop: &dyn Fn() -> bool) -> Result<(), Halt> {
        Halt::try_again(|| if stop() { Ok(()) } else { guarded(|| self.read_on(stop))? })
    }

    fn read_on(&mut self, stop: &dyn Fn() -> bool) -> Result<(), Halt> {
        let listed = self.storage.list();
        let names = listed.map_err(|error| Halt::Failed(crate::log::io_error("listing", &self.storage, "", &error)))?;
        if names.first().is_some_and(|first| !self.reached.segment.is_empty() && *first > self.reached.segment) {
            return Err(Halt::Wrong("what it has read was dropped".into()));
        }
        let first = if self.reached.segment.is_empty() { self.within_the_window(&names)? } else { 0 };
        let tree = self.database.tree()?;
        let (mut reached, mut latest) = (self.reached.clone(), self.latest.clone());
        let followed = follow_events(&self.storage, &names[first..], self.reached.clone(), self.past, &mut |stretch, now| {
            if stop() {
                return Err(Halt::Vanished);
            }
            if *now != reached || !stretch.records.is_empty() {
                add(tree, &stretch, now, &mut latest).map_err(|error| trouble(self.storage.path(), error))?;
                reached = now.clone();
            }
            Ok(())
        });
        let oldest = names.first().and_then(|name| follow::number(name)).unwrap_or(0);
        forget(tree, oldest, &latest).map_err(|error| trouble(self.storage.path(), error))?;
        (self.reached, self.latest) = (reached, latest);
        followed
    }

    /// The place in `names` of the last segment before which everything is older than the window.
    fn within_the_window(&self, names: &[String]) -> Result<usize, Halt> {
        let mut newest = None;
        for (place, name) in names.iter().enumerate().rev() {
            let Some(header) = self.header(name)? else { return Ok(0) };
            let newest = *newest.get_or_insert(header.at);
            if newest - header.at > DEDUP_WINDOW {
                return Ok(place);
            }
        }
        Ok(0)
    }

    fn header(&self, name: &str) -> Result<Option<Header>, Halt> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Halt::Vanished,
            _ => Halt::Failed(crate::log::io_error("reading", &self.storage, name, &error)),
        };
        line::header_of(&self.storage, name).map_err(failed)
    }
}

/// The event of the log in `storage` that `tree` has under the key of `event`, if it is still there and
/// within the window.
pub(super) fn look_up(
    tree: &Tree,
    storage: &dyn Storage,
    process: &str,
    event: &TriggerEvent,
) -> Result<Option<TriggerEvent>, Halt> {
    let key = key(process, event);
    let Some(value) = guarded(|| tree.get(key))?.map_err(|error| trouble(storage.path(), error))? else { return Ok(None) };
    let spot = spot(&value).ok_or_else(|| Halt::Wrong("an entry of it cannot be read".into()))?;
    let record = match records_at(storage, &[spot]) {
        Ok((mut records, _)) => records.pop(),
        // The log has dropped it a moment ago.
        Err(Halt::Vanished) => None,
        Err(halt) => return Err(halt),
    };
    match record.map(|record| (record.process, record.entry)) {
        None => Ok(None),
        Some((of, Entry::TriggerEvent { event: first, .. }))
            if of == process && first.trigger_id == event.trigger_id && first.key() == event.key() =>
        {
            Ok(Some(first).filter(|first| event.timestamp - first.timestamp <= DEDUP_WINDOW))
        }
        Some(_) => Err(Halt::Wrong(format!("record {} took in another event", spot.seq))),
    }
}

/// Adds the events of a stretch.
fn add(tree: &Tree, stretch: &Stretch, reached: &Reached, latest: &mut VecDeque<i64>) -> sled::Result<()> {
    let mut batch = Batch::default();
    let segment = follow::number(stretch.segment).unwrap_or(0);
    for located in &stretch.records {
        // What was carried on was in the memory of its process when that was done.
        let Record { seq, process, at, entry: Entry::TriggerEvent { event, .. }, .. } = &located.record else { continue };
        let key = key(process, event);
        let spot = Spot { segment, start: located.start, len: located.len, carried: None, seq: *seq };
        let place = encode(&[Posting { spot, kind: Kind::Event }]);
        batch.insert(key.as_slice(), [segment.to_be_bytes().as_slice(), &place].concat());
        batch.insert([&[ORDER], seq.to_be_bytes().as_slice()].concat(), [at.timestamp().to_be_bytes().as_slice(), &key].concat());
        if latest.len() == WITNESSES {
            latest.pop_front();
        }
        latest.push_back(at.timestamp());
    }
    let reached = serde_json::to_vec(reached).map_err(|error| sled::Error::ReportableBug(error.to_string()))?;
    batch.insert(REACHED, reached);
    tree.apply_batch(batch)
}

/// Forgets the events before the segment `oldest`, and those that are older than the window before all of the `latest`.
fn forget(tree: &Tree, oldest: u64, latest: &VecDeque<i64>) -> sled::Result<()> {
    let agreed = latest.iter().min().filter(|_| latest.len() == WITNESSES);
    let until = agreed.map_or(i64::MIN, |first| first.saturating_sub(DEDUP_WINDOW.num_seconds()));
    for entry in tree.scan_prefix([ORDER]) {
        let (order, value) = entry?;
        let seq = order.get(1..).and_then(|seq| seq.try_into().ok()).map_or(0, u64::from_be_bytes);
        let (at, key) = value.split_at_checked(8).unwrap_or_default();
        if seq >= oldest && at.try_into().map_or(0, i64::from_be_bytes) >= until {
            break;
        }
        // Unless the same key came again since.
        if tree.get(key)?.and_then(|value| spot(&value)).is_some_and(|spot| spot.seq == seq) {
            tree.remove(key)?;
        }
        tree.remove(order)?;
    }
    Ok(())
}

fn spot(value: &[u8]) -> Option<Spot> {
    let (segment, place) = value.split_at_checked(8)?;
    Some(decode(place, u64::from_be_bytes(segment.try_into().ok()?))?.first()?.spot)
}

/// The same for the same process, trigger and key, and of the same length for all: keys come from outside.
fn key(process: &str, event: &TriggerEvent) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in [process, &event.trigger_id, event.key()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    [&[KEY], &digest.finalize()[..16]].concat()
}
