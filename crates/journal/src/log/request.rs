//! What a process wants appended, as it comes to the writer.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball_core_agent::nesting;
use tokio::sync::oneshot;

use crate::{Entry, Error};

/// Entries of one process that are appended together.
pub(super) struct Request {
    pub process: Arc<str>,
    pub entries: Vec<Entry>,
    /// What they look like: turned into text where they come from, so that the one writer need not.
    pub bodies: Bodies,
    /// Told the last sequence number once the group is durable. Without it nobody waits.
    pub done: Option<Done>,
    /// Append only if this is the number of the process's last record: the entries were made from
    /// what is recorded up to there.
    pub only_after: Option<u64>,
    /// When it was asked for. The queue says so, and so the times are in the records' order.
    pub at: DateTime<Utc>,
}

pub(super) type Done = oneshot::Sender<Result<u64, Error>>;

impl Request {
    /// Entries that nobody waits for. Fails for what cannot be written as text.
    pub fn push(process: Arc<str>, entries: Vec<Entry>) -> Result<Self, Error> {
        Self::new(process, entries, None)
    }

    /// Entries, and who waits for them. Fails for what cannot be written as text.
    pub fn new(process: Arc<str>, entries: Vec<Entry>, done: Option<Done>) -> Result<Self, Error> {
        let bodies = Bodies::of(&entries)?;
        Ok(Self { process, entries, bodies, done, only_after: None, at: Utc::now() })
    }

    /// It is one entry that says again what is known without it. Such a one has a batch of its own,
    /// so that it can be told from others even if it is damaged.
    pub fn restates(&self) -> bool {
        matches!(self.entries.as_slice(), [entry] if entry.restates())
    }

    /// It asks for something to be done that was not promised yet.
    pub fn accepts(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::TriggerEvent { .. }))
    }

    /// Tells whoever waits that it was not done.
    pub fn refuse(self, error: &Error) {
        if let Some(done) = self.done {
            let _ = done.send(Err(error.clone()));
        }
    }

    /// How many bytes of lines it comes to, roughly.
    pub fn weight(&self) -> usize {
        self.bodies.text.len() + LINE_WEIGHT * self.entries.len()
    }
}

/// What a line has beside its entry, in bytes, roughly.
const LINE_WEIGHT: usize = 200;

/// An entry may be nested so deep. What comes from outside is refused long before, where it comes in;
/// this is for whatever else there may be.
pub(super) const MAX_ENTRY_LEVELS: usize = 100;

/// The same for one that holds others: it wraps them in some levels more. An older version let in what is
/// nested deeper than an entry may be now, and it must still be possible to say that again.
const MAX_RESTATING_LEVELS: usize = 160;

/// An entry that could be written and not be read back would keep the whole log from being opened.
fn check_levels(entry: &Entry, text: &[u8]) -> Result<(), Error> {
    let levels = nesting::levels(text);
    let max = if entry.restates() { MAX_RESTATING_LEVELS } else { MAX_ENTRY_LEVELS };
    if levels > max { Err(Error::TooDeep { levels, max }) } else { Ok(()) }
}

/// Entries as JSON objects, one after the other.
#[derive(Default)]
pub(super) struct Bodies {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Bodies {
    /// What `entries` look like. Fails for what cannot be written as text, or not be read back.
    pub fn of(entries: &[Entry]) -> Result<Self, Error> {
        let mut bodies = Self { text: Vec::with_capacity(256 * entries.len()), ends: Vec::with_capacity(entries.len()) };
        for entry in entries {
            let start = bodies.text.len();
            serde_json::to_writer(&mut bodies.text, entry).map_err(|error| Error::Closed(error.to_string()))?;
            check_levels(entry, &bodies.text[start..])?;
            bodies.ends.push(bodies.text.len());
        }
        Ok(bodies)
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}
