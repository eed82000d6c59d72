//! Where entries of one process go.

use std::sync::Mutex;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use flyball_core_agent::TriggerEvent;
use tokio_util::sync::CancellationToken;

use crate::{Entry, Error, Recalled, Record};

/// What became of a group of entries. Whoever folds them goes by this, and comes to what a reader of the
/// journal comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The last one's sequence number.
    pub seq: u64,
    /// The time that their records bear.
    pub at: DateTime<Utc>,
}

/// The journal of one process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends `entries` in order, as one group, and tells where they are once all of them are durable.
    /// What returned cannot be lost.
    ///
    /// An error means that nothing of the group may be relied upon. Dropping the future leaves
    /// open whether the group was written.
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, Error>;

    /// Appends an entry that becomes durable with the next group that is waited for. It keeps its
    /// place before everything appended later. Returns the record's time.
    fn push(&self, entry: Entry) -> Result<DateTime<Utc>, Error>;

    /// There is no room: events are refused, and nothing new should be begun.
    fn is_full(&self) -> bool {
        false
    }

    /// The process will soon ask [`recall`](Journal::recall). Returns at once.
    fn prepare_recall(&self) {}

    /// Until then some of the events of the last [`DEDUP_WINDOW`](crate::DEDUP_WINDOW) are known to the journal alone,
    /// and it must not drop them.
    fn rely_on_recall(&self, until: DateTime<Utc>) {
        let _ = until;
    }

    /// Whether an event with `event`'s trigger and key was taken in before the record `before`, within
    /// [`DEDUP_WINDOW`](crate::DEDUP_WINDOW). [`Recalled::Never`] is also the answer of a journal that looks
    /// nothing up. It may read a record.
    fn recall(&self, event: &TriggerEvent, before: u64) -> Recalled {
        let _ = (event, before);
        Recalled::Never
    }
}

/// How long a full disk is left alone before it is tried again.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// As [`Journal::append`], but on a full disk it waits for room, until `cancel` says that it shall not
/// wait any longer. What happened is then recorded when that is possible, and nobody takes a full disk
/// for a failure of the work.
pub async fn append_patiently(journal: &dyn Journal, entries: Vec<Entry>, cancel: &CancellationToken) -> Result<Appended, Error> {
    patiently(|| journal.append(entries.clone()), cancel).await
}

/// Tries again and again while there is no room.
pub(crate) async fn patiently<T, Attempt>(attempt: impl Fn() -> Attempt, cancel: &CancellationToken) -> Result<T, Error>
where
    Attempt: Future<Output = Result<T, Error>>,
{
    loop {
        match attempt().await {
            Err(Error::Full { .. }) if !cancel.is_cancelled() => tokio::select! {
                () = tokio::time::sleep(FULL_WAIT) => {}
                () = cancel.cancelled() => {}
            },
            done => return done,
        }
    }
}

/// A journal that lives in memory: for tests, and for processes that ask for no other.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    process: String,
    records: Mutex<Vec<Record>>,
}

impl MemoryJournal {
    /// An empty journal of `process`.
    pub fn new(process: &str) -> Self {
        Self { process: process.to_owned(), records: Mutex::default() }
    }

    /// Everything appended so far.
    pub fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().expect("no holder of the records panics")
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, Error> {
        let (mut records, at) = (self.lock(), Utc::now());
        for entry in entries {
            let seq = records.len() as u64 + 1;
            records.push(Record { seq, process: self.process.clone(), n: seq, epoch: 1, at, entry });
        }
        Ok(Appended { seq: records.len() as u64, at })
    }

    fn push(&self, entry: Entry) -> Result<DateTime<Utc>, Error> {
        let (mut records, at) = (self.lock(), Utc::now());
        let seq = records.len() as u64 + 1;
        records.push(Record { seq, process: self.process.clone(), n: seq, epoch: 1, at, entry });
        Ok(at)
    }
}
