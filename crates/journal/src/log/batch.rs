//! What is written at once: the lines of some requests, and the commit line that closes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hash::Hash;
use super::line::{self, Closing, Envelope, Place};
use super::request::Request;
use crate::{Error, Record};

/// How far each process's chain has come.
pub(super) type Chains = BTreeMap<Arc<str>, Place>;

struct Head {
    n: u64,
    hash: Hash,
    restates: bool,
}

/// A request whose lines are in the batch.
struct Placed {
    request: Request,
    /// Its last line's number in the log, or that of the last line before it if it has none.
    last: u64,
    /// The number among the process's records of the one before its first.
    n: u64,
}

/// Lines that are ready to be written.
pub(super) struct Batch {
    pub bytes: Vec<u8>,
    first: u64,
    next: u64,
    placed: Vec<Placed>,
    heads: BTreeMap<Arc<str>, Head>,
}

/// The batch before: its first record and its processes' heads.
#[derive(Default)]
pub(super) struct Before {
    first: Option<u64>,
    heads: BTreeMap<Arc<str>, Head>,
}

impl Batch {
    /// Turns `requests` into lines, numbered from `first`.
    pub fn of(requests: Vec<Request>, first: u64, chains: &Chains) -> Self {
        let weight = requests.iter().map(Request::weight).sum();
        let bytes = Vec::with_capacity(weight);
        let placed = Vec::with_capacity(requests.len());
        let mut batch = Self { bytes, first, next: first, placed, heads: BTreeMap::new() };
        for request in requests {
            batch.add(request, chains);
        }
        batch
    }

    fn add(&mut self, request: Request, chains: &Chains) {
        let known = self.heads.get(&request.process).map(|head| (head.n, head.hash));
        let known = known.or_else(|| chains.get(&request.process).map(|place| (place.n, place.hash)));
        let (before, mut hash) = known.unwrap_or((0, Hash::GENESIS));
        if request.only_after.is_some_and(|n| n != before) {
            return request.refuse(&Error::MovedOn);
        }
        let (mut n, at) = (before, line::timestamp(request.at));
        for body in request.bodies.iter() {
            n += 1;
            let envelope = Envelope { seq: self.next, process: &request.process, n, at: &at };
            hash = line::write_record(&mut self.bytes, &envelope, body, hash);
            self.next += 1;
        }
        if n > before {
            let restates = request.entries.iter().any(crate::Entry::restates);
            self.heads.insert(Arc::clone(&request.process), Head { n, hash, restates });
        }
        self.placed.push(Placed { request, last: self.next - 1, n: before });
    }

    /// It has no lines: everybody in it only waits for those before.
    pub fn is_empty(&self) -> bool {
        self.next == self.first
    }

    /// The number of the record that comes after it.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Adds the line that closes the batch.
    pub fn close(&mut self, before: &Before) {
        let restates = match self.placed.as_slice() {
            [only] if only.request.restates() => Some(&*only.request.process),
            _ => None,
        };
        let (first, last) = (self.first, self.next - 1);
        let closing = Closing { first, last, before: before.first.unwrap_or(first), restates };
        let older = before.heads.iter().filter(|(process, _)| !self.heads.contains_key(*process));
        let heads = self.heads.iter().chain(older).map(|(process, head)| (&**process, head.hash));
        line::write_commit(&mut self.bytes, &closing, heads);
    }

    /// Moves the processes' chains on, now that the batch stands in `segment`.
    pub fn settle(&self, chains: &mut Chains, segment: &Arc<str>) {
        for (process, head) in &self.heads {
            match chains.get_mut(process) {
                Some(place) => place.move_on(head.n, head.hash, segment, head.restates),
                None => drop(chains.insert(Arc::clone(process), Place::new(head.n, head.hash, segment))),
            }
        }
    }

    /// Its records, for whoever watches.
    pub fn records(&self) -> impl Iterator<Item = Arc<Record>> {
        self.placed.iter().flat_map(|placed| {
            let (entries, at) = (&placed.request.entries, placed.request.at);
            let first = placed.last + 1 - entries.len() as u64;
            let process = &*placed.request.process;
            (0..).zip(entries).map(move |(index, entry)| {
                let (seq, n, entry) = (first + index, placed.n + 1 + index, entry.clone());
                Arc::new(Record { seq, process: process.to_owned(), n, epoch: line::EPOCH, at, entry })
            })
        })
    }

    /// It is durable: whoever waits is told so. The rest is what the next batch must know of it.
    pub fn tell(self) -> Before {
        for placed in self.placed {
            if let Some(done) = placed.request.done {
                let _ = done.send(Ok(placed.last));
            }
        }
        Before { first: Some(self.first), heads: self.heads }
    }

    /// It could not be written: whoever waits is told so. The rest, for which nobody waits, comes back.
    pub fn refuse(self, error: &Error) -> Vec<Request> {
        let (waiting, rest): (Vec<_>, Vec<_>) =
            self.placed.into_iter().map(|placed| placed.request).partition(|request| request.done.is_some());
        waiting.into_iter().for_each(|request| request.refuse(error));
        rest
    }
}
