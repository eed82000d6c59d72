//! How much of the past is kept: the oldest segments are dropped whole, once nobody needs them to go on.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::oneshot;

use super::batch::Chains;
use super::line;
use super::queue::Work;
use super::recover::{self, Extent, io_error};
use super::request::Request;
use super::{Log, closed};
use crate::{DEDUP_WINDOW, Entry, Error, Record};

/// What is kept of the past. What is needed to go on is kept in any case, and so is what is younger than
/// [`DEDUP_WINDOW`] while a process has taken in more events since than it remembers by itself: a duplicate of
/// one would else be taken for new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many bytes of segments; without, all of them.
    pub max_bytes: Option<u64>,
    /// What is younger than this; without, however old it is.
    pub max_age: Option<Duration>,
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// The segments that were dropped, oldest first.
    pub dropped: Vec<String>,
    /// How many bytes they had.
    pub bytes: u64,
    /// The processes whose records were carried on, because nothing else had happened to them for long.
    pub carried: Vec<String>,
    /// The processes that still need what would else have been dropped. They are busy, and will have
    /// written a checkpoint next time; or they took in more events lately than they remember; or their records
    /// are damaged.
    pub kept_for: Vec<String>,
}

impl Default for Retention {
    /// Four GiB, of any age: enough to look back for weeks, and, unless three days of events need more, not enough to
    /// fill a disk.
    fn default() -> Self {
        Self { max_bytes: Some(4 << 30), max_age: None }
    }
}

/// A segment that need not be kept.
struct Segment {
    name: String,
    bytes: u64,
}

impl Retention {
    /// Whether the oldest segment need not be kept: nothing in it is younger than `until`, and it and
    /// all after it have `bytes`.
    fn lets_go(&self, bytes: u64, until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let too_old = self.max_age.is_some_and(|age| (now - until).to_std().is_ok_and(|old| old > age));
        too_old || self.max_bytes.is_some_and(|max| bytes > max)
    }
}

impl Log {
    /// Drops what `retention` does not keep, oldest first, as far as no process needs it to go on. Where
    /// an idle process does, its records are first written once more at the log's end.
    ///
    /// Blocks while it reads and writes. A crash meanwhile leaves some of the segments there.
    pub fn compact(&self, retention: &Retention, now: DateTime<Utc>) -> Result<Compacted, Error> {
        let mut done = Compacted::default();
        let segments = self.droppable(retention, now, &mut done)?;
        let Some(last) = segments.last().map(|segment| segment.name.clone()) else { return Ok(done) };
        // Two generations stand after what is dropped, so an idle process is carried on twice.
        for _ in 0..2 {
            let chains = self.chains()?;
            for process in needing(&chains, &last) {
                match self.carry(&process, chains[process.as_str()].n) {
                    Ok(true) if !done.carried.contains(&process) => done.carried.push(process),
                    // On a full disk what nobody needs is dropped all the same, and makes room.
                    Ok(_) | Err(Error::Full { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let chains = self.chains()?;
        let oldest_needed = chains.values().map(|place| Arc::clone(&place.before)).min();
        for segment in segments {
            if oldest_needed.as_ref().is_some_and(|needed| *segment.name >= **needed) {
                done.kept_for.extend(needing(&chains, &last));
                done.kept_for.sort_unstable();
                done.kept_for.dedup();
                break;
            }
            // One after the other, each for good: after a crash there is no gap.
            let removed = crate::storage::remove(&*self.storage, &segment.name);
            removed.map_err(|error| io_error("removing", &*self.storage, &segment.name, &error))?;
            done.bytes += segment.bytes;
            done.dropped.push(segment.name);
        }
        Ok(done)
    }

    /// The segments that `retention` does not keep; never the one that is being written. For whom others are kept is
    /// noted.
    fn droppable(&self, retention: &Retention, now: DateTime<Utc>, done: &mut Compacted) -> Result<Vec<Segment>, Error> {
        let mut forgetful = self.forgetful.lock().expect("no holder of the map panics").clone();
        forgetful.retain(|_, until| *until >= now);
        let failed = |name: &str, error: std::io::Error| io_error("reading", &*self.storage, name, &error);
        let names = self.storage.list().map_err(|error| failed("", error))?;
        let size = |name: &String| self.storage.len(name).map_err(|error| failed(name, error));
        let sizes = names.iter().map(size).collect::<Result<Vec<u64>, Error>>()?;
        let mut left: u64 = sizes.iter().sum();
        let mut segments = Vec::new();
        for (pair, bytes) in names.windows(2).zip(sizes) {
            let [name, next] = pair else { break };
            // Without a header nothing says how old it is; it is kept, and all after it.
            let header = line::header_of(&*self.storage, next).map_err(|error| failed(next, error))?;
            let Some(header) = header else { break };
            if !retention.lets_go(left, header.at, now) {
                break;
            }
            // One that was begun under a clock that was ahead says nothing of its age.
            let is_young = header.at <= now && now - header.at <= DEDUP_WINDOW;
            if !forgetful.is_empty() && is_young {
                done.kept_for = forgetful.keys().map(ToString::to_string).collect();
                break;
            }
            left -= bytes;
            segments.push(Segment { name: name.clone(), bytes });
        }
        Ok(segments)
    }

    /// Writes what `process`, whose last record is its `n`-th, is made of once more. `false` if it
    /// moved on meanwhile, and so is not idle, or if it is damaged.
    fn carry(&self, process: &str, n: u64) -> Result<bool, Error> {
        let (mut recovery, _) = recover::read::<Vec<Record>>(&*self.storage, Extent::Needed)?;
        if recovery.damaged.contains_key(process) {
            return Ok(false);
        }
        let records = recovery.processes.remove(process).unwrap_or_default();
        let (done, told) = oneshot::channel();
        let request = Request::new(process.into(), vec![Entry::Carried { records }], Some(done))?;
        let request = Request { only_after: Some(n), ..request };
        self.queue.send(Work::Append(request))?;
        match wait(told)? {
            Ok(_) => Ok(true),
            Err(Error::MovedOn) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn chains(&self) -> Result<Chains, Error> {
        let (ask, told) = oneshot::channel();
        self.queue.send(Work::Places(ask))?;
        wait(told)
    }
}

/// Waits for an answer of the writer. A thread of a tokio runtime may do so too; its budget for polls
/// would else keep it waiting for ever.
fn wait<T>(told: oneshot::Receiver<T>) -> Result<T, Error> {
    futures::executor::block_on(tokio::task::unconstrained(told)).map_err(|_| closed())
}

/// The processes that need a segment up to `last`.
fn needing(chains: &Chains, last: &str) -> Vec<String> {
    chains.iter().filter(|(_, place)| *place.before <= *last).map(|(process, _)| process.to_string()).collect()
}

#[cfg(test)]
mod tests;
