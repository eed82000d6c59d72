//! Questions to the index. The answers are records, read from the log and checked: enough of them for the
//! folds of [`crate::history`] to come to what they come to over all records.

use std::collections::BTreeSet;

use flyball_core_agent::RunId;

use super::HistoryIndex;
use super::walk::{Records, text, unreadable};
use crate::history::{FindRun, Runs};
use crate::index::posting::{Kind, Table, split};
use crate::log::follow::Halt;
use crate::{Entry, Record};

/// Where somebody looks for the newest records, so many are read at a time.
const AT_A_TIME: usize = 64;

impl HistoryIndex {
    /// The names of all processes.
    pub fn names(&self) -> Result<Vec<String>, Halt> {
        let mut names = BTreeSet::new();
        for table in [Table::Process, Table::Carried] {
            let mut from = table.prefix(&[]);
            while let Some(entry) = self.tree()?.range(from..vec![table as u8 + 1]).next() {
                let (key, _) = entry.map_err(|error| self.trouble(error))?;
                let name = text(split(&key).ok_or_else(unreadable)?.0)?;
                from = table.key(&[&name], (u64::MAX, u64::MAX));
                if self.has_any(table, &name)? {
                    names.insert(name);
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The one run whose id is or begins with `given`.
    pub fn find_run(&self, given: &str) -> Result<Result<RunId, FindRun>, Halt> {
        if self.first_start(given)?.is_some() {
            return Ok(Ok(RunId(given.to_owned())));
        }
        let mut fitting = BTreeSet::new();
        for key in self.tree()?.scan_prefix([&[Table::Run as u8], given.as_bytes()].concat()).keys() {
            let key = key.map_err(|error| self.trouble(error))?;
            fitting.insert(text(split(&key).ok_or_else(unreadable)?.0)?);
        }
        let mut begun = Vec::new();
        for run in fitting.into_iter().filter(|run| run.starts_with(given)) {
            begun.extend(self.first_start(&run)?.map(|seq| (seq, RunId(run))));
        }
        begun.sort();
        Ok(FindRun::one_of(given, begun.into_iter().map(|(_, run)| run).collect(), |run| run))
    }

    /// A run's records, and those of all that led to it and that it caused.
    pub fn tree_of(&self, run: &RunId) -> Result<Vec<Record>, Halt> {
        let mut records = Records::new();
        self.causes(run, &mut records)?;
        self.effects(run, &mut records)?;
        Ok(records.into_values().collect())
    }

    /// The records that take in the event with this id, begin its runs, give it up or have it handled once more, in
    /// any process.
    pub fn of_event(&self, event_id: &str) -> Result<Vec<Record>, Halt> {
        let mut records = Vec::new();
        for process in self.names()? {
            records.extend(self.postings(Table::Event, &[&process, event_id])?);
        }
        self.fetch(&records)
    }

    /// The records of the newest `count` runs, of one process or of all.
    pub fn newest_runs(&self, process: Option<&str>, count: usize) -> Result<Vec<Record>, Halt> {
        let (mut records, mut left) = (Records::new(), count);
        if left > 0 {
            self.runs_backward(process, &mut |index, run| {
                index.run(run, &mut records)?;
                left -= 1;
                Ok(left > 0)
            })?;
        }
        Ok(records.into_values().collect())
    }

    /// The newest `count` records that are `wanted`, of one process or of all.
    pub fn newest(&self, process: Option<&str>, count: usize, wanted: &dyn Fn(&Record) -> bool) -> Result<Vec<Record>, Halt> {
        let mut found = Vec::new();
        self.backward(process, &mut |index, postings| {
            for part in postings.rchunks(AT_A_TIME) {
                if found.len() == count {
                    return Ok(false);
                }
                let fitting = index.fetch(part)?.into_iter().rev().filter(|record| wanted(record));
                found.extend(fitting.take(count - found.len()));
            }
            Ok(found.len() < count)
        })?;
        found.reverse();
        Ok(found)
    }

    /// The records of a process from its newest checkpoint on.
    pub fn since_checkpoint(&self, process: &str) -> Result<Vec<Record>, Halt> {
        let mut wanted = Vec::new();
        self.backward(Some(process), &mut |_, postings| {
            let checkpoint = postings.iter().rposition(|posting| posting.kind == Kind::Checkpoint);
            wanted.extend_from_slice(&postings[checkpoint.unwrap_or(0)..]);
            Ok(checkpoint.is_none())
        })?;
        self.fetch(&wanted)
    }

    fn newest_checkpoint(&self, process: &str) -> Result<Option<Record>, Halt> {
        let mut found = None;
        self.backward(Some(process), &mut |_, postings| {
            found = postings.iter().rfind(|posting| posting.kind == Kind::Checkpoint).copied();
            Ok(found.is_none())
        })?;
        Ok(self.fetch(found.as_slice())?.pop())
    }

    /// What tells how a process stands: its records from its newest checkpoint on, its runs without an end,
    /// and its newest one that has one.
    pub fn standing(&self, process: &str) -> Result<Vec<Record>, Halt> {
        let of_process = self.since_checkpoint(process)?;
        let mut runs = self.unfinished_runs()?;
        // A run that began since may have begun before, for an event that was taken in before.
        let begun = of_process.iter().filter(|record| Kind::of(&record.entry) == Kind::Start);
        runs.extend(begun.filter_map(|record| record.entry.run().cloned()));
        let mut records: Records = of_process.into_iter().map(|record| (record.seq, record)).collect();
        for run in runs {
            self.run(&run, &mut records)?;
        }
        self.runs_backward(Some(process), &mut |index, run| {
            let mut of_run = Records::new();
            index.run(run, &mut of_run)?;
            let has_end = Runs::of(of_run.values(), |_| None).get(run).is_some_and(|run| run.ended.is_some());
            records.append(&mut of_run);
            Ok(!has_end)
        })?;
        Ok(records.into_values().collect())
    }

    /// The records of all runs whose last word is not their end, and each process's newest checkpoint.
    pub fn unfinished(&self) -> Result<Vec<Record>, Halt> {
        let mut records = Records::new();
        let mut runs = self.unfinished_runs()?;
        for process in self.names()? {
            let Some(checkpoint) = self.newest_checkpoint(&process)? else { continue };
            // It tells of those whose beginning is not there any more; and what became of them since must be told too.
            if let Entry::Checkpoint { fold, .. } = &checkpoint.entry {
                runs.extend(fold.open_runs.keys().cloned());
            }
            records.insert(checkpoint.seq, checkpoint);
        }
        for run in runs {
            self.run(&run, &mut records)?;
        }
        Ok(records.into_values().collect())
    }

    /// All records of a process.
    pub fn of_process(&self, process: &str) -> Result<Vec<Record>, Halt> {
        let mut all = Vec::new();
        self.backward(Some(process), &mut |_, postings| {
            all.extend_from_slice(postings);
            Ok(true)
        })?;
        self.fetch(&all)
    }

    /// The record with this number, if it is still there.
    pub fn record(&self, seq: u64) -> Result<Option<Record>, Halt> {
        let mut found = None;
        self.backward(None, &mut |_, postings| {
            found = postings.iter().find(|posting| posting.spot.seq == seq).copied();
            Ok(found.is_none() && postings.first().is_none_or(|first| first.spot.seq > seq))
        })?;
        Ok(self.fetch(found.as_slice())?.pop())
    }
}
