//! Ways through the index: to postings, to records, from run to run.

use std::collections::{BTreeMap, BTreeSet};

use flyball_core_agent::RunId;
use sled::Tree;

use super::{HistoryIndex, trouble};
use crate::history::MAX_DEPTH;
use crate::index::posting::{Kind, Posting, Table, decode, split};
use crate::log::follow::Halt;
use crate::log::spots::{Spot, records_at};
use crate::storage::Storage;
use crate::{Entry, Record};

/// Records by their numbers, each once.
pub type Records = BTreeMap<u64, Record>;

/// Sees postings or runs, and says whether to go on.
pub type Visit<'a, T> = dyn FnMut(&HistoryIndex, &T) -> Result<bool, Halt> + 'a;

/// Starts of runs that are read at a time.
const STARTS: usize = 8;

impl HistoryIndex {
    /// The postings of one process or of all, newest first: of one segment after the other, each in the
    /// order of their records, and at last of those that are only there because they were carried on.
    pub(super) fn backward(&self, process: Option<&str>, visit: &mut Visit<[Posting]>) -> Result<(), Halt> {
        let processes = process.map_or_else(|| self.names(), |process| Ok(vec![process.to_owned()]))?;
        let oldest = Table::Segment.key(&[], (self.oldest, 0));
        for entry in self.tree()?.range(oldest..vec![Table::Segment as u8 + 1]).keys().rev() {
            let (_, (segment, _)) = split(&entry.map_err(|error| self.trouble(error))?).ok_or_else(unreadable)?;
            let mut postings = Vec::new();
            for process in &processes {
                let prefix = [Table::Process.prefix(&[process]), segment.to_be_bytes().to_vec()].concat();
                for entry in self.tree()?.scan_prefix(prefix) {
                    let (_, value) = entry.map_err(|error| self.trouble(error))?;
                    postings.extend(decode(&value, segment).ok_or_else(unreadable)?);
                }
            }
            postings.sort_by_key(|posting| posting.spot.seq);
            if !visit(self, &postings)? {
                return Ok(());
            }
        }
        let mut carried = Vec::new();
        for process in &processes {
            carried.extend(self.postings(Table::Carried, &[process])?);
        }
        carried.sort_by_key(|posting| posting.spot.seq);
        visit(self, &carried).map(drop)
    }

    /// The runs of one process or of all, those that began last first.
    pub(super) fn runs_backward(&self, process: Option<&str>, visit: &mut Visit<RunId>) -> Result<(), Halt> {
        self.backward(process, &mut |index, postings| {
            let starts: Vec<Posting> = postings.iter().filter(|posting| posting.kind == Kind::Start).copied().collect();
            for part in starts.rchunks(STARTS) {
                for record in index.fetch(part)?.into_iter().rev() {
                    let run = record.entry.run().ok_or_else(unreadable)?;
                    // One that began again has its place where it began first.
                    if index.first_start(&run.0)? == Some(record.seq) && !visit(index, run)? {
                        return Ok(false);
                    }
                }
            }
            Ok(true)
        })
    }

    /// Adds a run's records to `records`, and those that took its event in. Returns the runs that caused it.
    pub(super) fn run(&self, run: &RunId, records: &mut Records) -> Result<Vec<RunId>, Halt> {
        let of_run = self.postings(Table::Run, &[&run.0])?;
        self.add(&of_run, records)?;
        let mut events = BTreeSet::new();
        for record in of_run.iter().filter_map(|posting| records.get(&posting.spot.seq)) {
            if record.entry.run() != Some(run) {
                return Err(Halt::Wrong(format!("record {} is not of run {run}", record.seq)));
            }
            if let Entry::InvocationStart { event_id, .. } = &record.entry {
                events.insert((record.process.clone(), event_id.clone()));
            }
        }
        let mut causes = Vec::new();
        for (process, event_id) in events {
            let mut taken = self.postings(Table::Event, &[&process, &event_id])?;
            taken.retain(|posting| posting.kind == Kind::Event);
            self.add(&taken, records)?;
            causes.extend(taken.iter().filter_map(|posting| cause(records.get(&posting.spot.seq)?)));
        }
        Ok(causes)
    }

    /// Adds the runs that led to `run`, as far as anybody follows them.
    pub(super) fn causes(&self, run: &RunId, records: &mut Records) -> Result<(), Halt> {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![run.clone()]);
        for _ in 0..=MAX_DEPTH {
            for run in std::mem::take(&mut ahead) {
                if seen.insert(run.clone()) {
                    ahead.extend(self.run(&run, records)?);
                }
            }
        }
        Ok(())
    }

    /// Adds the events that `run` caused and the runs that handle them, as far as anybody follows them.
    pub(super) fn effects(&self, run: &RunId, records: &mut Records) -> Result<(), Halt> {
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![run.clone()]);
        for _ in 0..=MAX_DEPTH {
            for run in std::mem::take(&mut ahead) {
                if !seen.insert(run.clone()) {
                    continue;
                }
                for record in self.fetch(&self.postings(Table::Caused, &[&run.0])?)? {
                    ahead.extend(self.begun_by(&record, records)?);
                    records.insert(record.seq, record);
                }
            }
        }
        Ok(())
    }

    /// Adds the runs that handle the event that `record` took in.
    fn begun_by(&self, record: &Record, records: &mut Records) -> Result<BTreeSet<RunId>, Halt> {
        let Entry::TriggerEvent { event, .. } = &record.entry else { return Err(unreadable()) };
        let of_event = self.postings(Table::Event, &[&record.process, &event.event_id])?;
        let starts: Vec<Posting> = of_event.into_iter().filter(|posting| posting.kind == Kind::Start).collect();
        let begun: BTreeSet<RunId> = self.fetch(&starts)?.iter().filter_map(|record| record.entry.run().cloned()).collect();
        for run in &begun {
            self.run(run, records)?;
        }
        Ok(begun)
    }

    /// Where a run begins, if that is still there.
    pub(super) fn first_start(&self, run: &str) -> Result<Option<u64>, Halt> {
        let postings = self.postings(Table::Run, &[run])?;
        Ok(postings.iter().find(|posting| posting.kind == Kind::Start).map(|posting| posting.spot.seq))
    }

    /// The runs whose last word is not their end.
    pub(super) fn unfinished_runs(&self) -> Result<Vec<RunId>, Halt> {
        let keys = self.tree()?.scan_prefix([Table::Unfinished as u8]).keys();
        let run = |key: sled::Result<sled::IVec>| {
            let key = key.map_err(|error| self.trouble(error))?;
            text(&key[1..]).map(RunId)
        };
        keys.map(run).collect()
    }

    /// The postings under a key, of records that are still there, each once, in their order.
    pub(super) fn postings(&self, table: Table, parts: &[&str]) -> Result<Vec<Posting>, Halt> {
        let from = table.key(parts, (self.oldest, 0));
        let to = table.key(parts, (u64::MAX, u64::MAX));
        let mut postings = Vec::new();
        for entry in self.tree()?.range(from..to) {
            let (key, value) = entry.map_err(|error| self.trouble(error))?;
            let (_, (segment, _)) = split(&key).ok_or_else(unreadable)?;
            postings.extend(decode(&value, segment).ok_or_else(unreadable)?);
        }
        // What was carried on counts where the record itself is gone.
        postings.retain(|posting| posting.spot.carried.is_none() || posting.spot.seq < self.oldest);
        postings.sort_by_key(|posting| posting.spot.seq);
        postings.dedup_by_key(|posting| posting.spot.seq);
        Ok(postings)
    }

    /// Whether a process has records that are still there.
    pub(super) fn has_any(&self, table: Table, process: &str) -> Result<bool, Halt> {
        if matches!(table, Table::Carried) {
            return Ok(!self.postings(table, &[process])?.is_empty());
        }
        let from = table.key(&[process], (self.oldest, 0));
        let to = table.key(&[process], (u64::MAX, u64::MAX));
        self.tree()?.range(from..to).next().transpose().map(|entry| entry.is_some()).map_err(|error| self.trouble(error))
    }

    /// The records of `postings`, in their order.
    pub(super) fn fetch(&self, postings: &[Posting]) -> Result<Vec<Record>, Halt> {
        let mut spots: Vec<Spot> = postings.iter().map(|posting| posting.spot).collect();
        spots.sort_by_key(|spot| (spot.segment, spot.start, spot.carried));
        let (mut records, read) = records_at(&self.storage, &spots)?;
        self.read.set(self.read.get() + read);
        records.sort_by_key(|record| record.seq);
        Ok(records)
    }

    /// Adds the records of `postings` that are not there yet.
    fn add(&self, postings: &[Posting], records: &mut Records) -> Result<(), Halt> {
        let missing = postings.iter().filter(|posting| !records.contains_key(&posting.spot.seq));
        let fetched = self.fetch(&missing.copied().collect::<Vec<_>>())?;
        records.extend(fetched.into_iter().map(|record| (record.seq, record)));
        Ok(())
    }

    pub(super) fn tree(&self) -> Result<&Tree, Halt> {
        self.database.tree()
    }

    pub(super) fn trouble(&self, error: sled::Error) -> Halt {
        trouble(self.storage.path(), error)
    }
}

fn cause(record: &Record) -> Option<RunId> {
    match &record.entry {
        Entry::TriggerEvent { event, .. } => event.cause.as_ref().map(|cause| RunId(cause.run.clone())),
        _ => None,
    }
}

/// The text of a key's part, which ends in a zero byte.
pub(super) fn text(part: &[u8]) -> Result<String, Halt> {
    let part = part.strip_suffix(&[0]).ok_or_else(unreadable)?;
    String::from_utf8(part.to_vec()).map_err(|_| unreadable())
}

pub(super) fn unreadable() -> Halt {
    Halt::Wrong("an entry of it cannot be read".into())
}
