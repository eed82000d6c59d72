//! Where entries of one process go.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::Utc;

use crate::{Entry, Error, Record};

/// The journal of one process.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends `entries` in order, as one group, and returns the last one's sequence number once
    /// all of them are durable. What returned cannot be lost.
    ///
    /// An error means that nothing of the group may be relied upon. Dropping the future leaves
    /// open whether the group was written.
    async fn append(&self, entries: Vec<Entry>) -> Result<u64, Error>;

    /// Appends an entry that becomes durable with the next group that is waited for. It keeps its
    /// place before everything appended later.
    fn push(&self, entry: Entry) -> Result<(), Error>;
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
    async fn append(&self, entries: Vec<Entry>) -> Result<u64, Error> {
        for entry in entries {
            self.push(entry)?;
        }
        Ok(self.lock().len() as u64)
    }

    fn push(&self, entry: Entry) -> Result<(), Error> {
        let mut records = self.lock();
        let seq = records.len() as u64 + 1;
        records.push(Record { seq, process: self.process.clone(), n: seq, epoch: 1, at: Utc::now(), entry });
        Ok(())
    }
}
