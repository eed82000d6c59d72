//! What is written at once: the lines of some requests, and the commit line that closes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::oneshot;

use super::hash::Hash;
use super::line::{self, Commit, Place};
use crate::{Entry, Error, Record};

/// What a process wants appended.
pub(super) struct Request {
    pub process: Arc<str>,
    pub entries: Vec<Entry>,
    /// Told the last sequence number once the group is durable. Without it nobody waits.
    pub done: Option<Done>,
    /// Append only if this is the number of the process's last record: the entries were made from
    /// what is recorded up to there.
    pub only_after: Option<u64>,
}

pub(super) type Done = oneshot::Sender<Result<u64, Error>>;

impl Request {
    /// Entries that nobody waits for.
    pub fn push(process: Arc<str>, entries: Vec<Entry>) -> Self {
        Self { process, entries, done: None, only_after: None }
    }

    /// The same wish once more.
    fn again(record: &Record) -> Self {
        Self::push(record.process.as_str().into(), vec![record.entry.clone()])
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
}

/// How far a process's chain has come.
#[derive(Clone)]
struct Head {
    n: u64,
    hash: Hash,
    restates: bool,
}

/// Lines that are ready to be written.
#[derive(Default)]
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    pub records: Vec<Arc<Record>>,
    pub waiting: Vec<(Done, u64)>,
    /// Those of the records that nobody waits for.
    pushed: Vec<Arc<Record>>,
    heads: BTreeMap<String, Head>,
    restates: Option<String>,
}

/// The batch before: its first record and its processes' heads.
#[derive(Default)]
pub(super) struct Before {
    first: Option<u64>,
    heads: BTreeMap<String, Hash>,
}

impl Batch {
    /// Turns `requests` into lines, numbered from `next_seq`. One that cannot be written is refused.
    pub fn of(requests: Vec<Request>, next_seq: u64, places: &BTreeMap<String, Place>) -> Self {
        let restates = match requests.as_slice() {
            [only] if only.restates() => Some(only.process.to_string()),
            _ => None,
        };
        let mut batch = Self { restates, ..Self::default() };
        for request in requests {
            batch.add(request, next_seq, places);
        }
        batch
    }

    fn add(&mut self, request: Request, next_seq: u64, places: &BTreeMap<String, Place>) {
        let before = (self.bytes.len(), self.records.len(), self.pushed.len());
        let process: &str = &request.process;
        let known = self.heads.get(process).cloned();
        let known = known.or_else(|| places.get(process).map(|place| Head { n: place.n, hash: place.hash, restates: false }));
        let mut head = known.unwrap_or(Head { n: 0, hash: Hash::GENESIS, restates: false });
        if request.only_after.is_some_and(|n| n != head.n) {
            return request.refuse(&Error::MovedOn);
        }
        for entry in request.entries {
            head.restates |= entry.restates();
            let seq = next_seq + self.records.len() as u64;
            let record = Record { seq, process: process.to_owned(), n: head.n + 1, epoch: 1, at: Utc::now(), entry };
            match line::write_record(&mut self.bytes, &record, head.hash) {
                Ok(hash) => (head.n, head.hash) = (record.n, hash),
                Err(error) => {
                    self.bytes.truncate(before.0);
                    self.records.truncate(before.1);
                    self.pushed.truncate(before.2);
                    if let Some(done) = request.done {
                        let _ = done.send(Err(Error::Closed(error.to_string())));
                    }
                    return;
                }
            }
            let record = Arc::new(record);
            if request.done.is_none() {
                self.pushed.push(Arc::clone(&record));
            }
            self.records.push(record);
        }
        if self.records.len() > before.1 {
            self.heads.insert(process.to_owned(), head);
        }
        let last = next_seq + self.records.len() as u64 - 1;
        self.waiting.extend(request.done.map(|done| (done, last)));
    }

    /// Adds the line that closes the batch.
    pub fn close(&mut self, next_seq: u64, before: &Before) -> Result<(), Error> {
        let mut heads = before.heads.clone();
        heads.extend(self.hashes());
        let commit = Commit {
            first: next_seq,
            before: before.first.unwrap_or(next_seq),
            last: next_seq + self.records.len() as u64 - 1,
            sum: crc32c::crc32c(&self.bytes),
            heads,
            restates: self.restates.clone(),
        };
        line::write_commit(&mut self.bytes, &commit).map_err(|error| Error::Closed(error.to_string()))
    }

    /// What the next batch must know of this one.
    pub fn as_before(&self, first: u64) -> Before {
        Before { first: Some(first), heads: self.hashes().collect() }
    }

    /// Moves the processes' places on, now that the batch stands in `segment`.
    pub fn settle(&self, places: &mut BTreeMap<String, Place>, segment: &str) {
        for (process, head) in &self.heads {
            let place = Place::after(places.get(process), head.n, head.hash, segment, head.restates);
            places.insert(process.clone(), place);
        }
    }

    /// What nobody waited for, to be wished for again.
    pub fn pushed_again(&self) -> Vec<Request> {
        self.pushed.iter().map(|record| Request::again(record)).collect()
    }

    fn hashes(&self) -> impl Iterator<Item = (String, Hash)> {
        self.heads.iter().map(|(process, head)| (process.clone(), head.hash))
    }
}
