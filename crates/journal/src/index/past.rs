//! Looking back, with the index where there is one and without where there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flyball_core_agent::RunId;

use super::database::guarded;
use super::history::HistoryIndex;
use crate::history::{FindRun, Runs};
use crate::log::follow::{self, Halt};
use crate::{Error, Record};

/// What the log in a folder still knows. A runtime may be writing to it meanwhile.
///
/// Questions are answered with records, in their order: at least those that the folds of
/// [`history`](crate::history), [`doubts`](crate::doubts) and [`ProcessFold`](crate::ProcessFold) need to
/// come to what all records of the log would come to. Through the index these are few. Where it cannot
/// be used (nobody may write here, somebody else has it open, or the log is damaged) they are all that
/// [`read`](crate::read) finds; the answers are the same.
///
/// The index belongs to this alone until it is dropped. A program that ends without that, however it
/// does, makes the next one begin the index anew.
pub struct History {
    journal: PathBuf,
    index: Option<HistoryIndex>,
    all: Option<Arc<[Record]>>,
    read: u64,
}

/// How often a question is asked again because the log dropped what it needs, or the index was made anew.
const MAX_TRIES: usize = 5;

impl History {
    /// The past of the log in `journal`, which must be there. Blocks while it reads what is new.
    pub fn open(journal: &Path) -> Result<Self, Error> {
        let mut history = Self::without_index(journal)?;
        let opened = HistoryIndex::open(journal).and_then(|mut index| index.catch_up().map(|()| index));
        match opened {
            Ok(index) => history.index = Some(index),
            Err(halt) => history.do_without(&halt),
        }
        Ok(history)
    }

    /// The same, read from the log alone.
    pub fn without_index(journal: &Path) -> Result<Self, Error> {
        crate::log::open(journal)?;
        Ok(Self { journal: journal.to_owned(), index: None, all: None, read: 0 })
    }

    /// Every record.
    pub fn all(&mut self) -> Result<Arc<[Record]>, Error> {
        if let Some(all) = &self.all {
            return Ok(Arc::clone(all));
        }
        let all: Arc<[Record]> = crate::read(&self.journal)?.into();
        self.all = Some(Arc::clone(&all));
        Ok(all)
    }

    /// The names of all processes, sorted.
    pub fn names(&mut self) -> Result<Vec<String>, Error> {
        if let Some(names) = self.ask(|index| index.names()) {
            return Ok(names);
        }
        let mut names: Vec<String> = self.all()?.iter().map(|record| record.process.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The one run whose id is or begins with `given`.
    pub fn find_run(&mut self, given: &str) -> Result<Result<RunId, FindRun>, Error> {
        match self.ask(|index| index.find_run(given)) {
            Some(found) => Ok(found),
            None => Ok(Runs::of(&*self.all()?, |_| None).find(given).map(|run| run.run.clone())),
        }
    }

    /// For the [`RunTree`](crate::history::RunTree) of a run.
    pub fn tree_of(&mut self, run: &RunId) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.tree_of(run))
    }

    /// For what became of an event, in any process: where it is taken in, its runs begin, it waits for too long, and an
    /// operator has it handled once more or gives it up.
    pub fn of_event(&mut self, event_id: &str) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.of_event(event_id))
    }

    /// For the [`Runs`] of a process, or of all: of those that began last, the last `count`.
    pub fn newest_runs(&mut self, process: Option<&str>, count: usize) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.newest_runs(process, count))
    }

    /// The last `count` of a process's records, or of all, that are `wanted`, and no others.
    pub fn newest(
        &mut self,
        process: Option<&str>,
        count: usize,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Arc<[Record]>, Error> {
        if let Some(newest) = self.ask(|index| index.newest(process, count, &wanted)) {
            return Ok(newest.into());
        }
        let of_process = |record: &&Record| process.is_none_or(|process| record.process == process);
        let all = self.all()?;
        let fitting = all.iter().rev().filter(of_process).filter(|record| wanted(record));
        let mut newest: Vec<Record> = fitting.take(count).cloned().collect();
        newest.reverse();
        Ok(newest.into())
    }

    /// For a process's [`ProcessFold`](crate::ProcessFold): from its newest checkpoint on.
    pub fn since_checkpoint(&mut self, process: &str) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.since_checkpoint(process))
    }

    /// For a process's [`ProcessFold`](crate::ProcessFold), its [`Runs`] without an end, and the newest
    /// one that has one.
    pub fn standing(&mut self, process: &str) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.standing(process))
    }

    /// For all runs without an end, and for [`doubts`](crate::doubts).
    pub fn unfinished(&mut self) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.unfinished())
    }

    /// All records of a process.
    pub fn of_process(&mut self, process: &str) -> Result<Arc<[Record]>, Error> {
        self.records(|index| index.of_process(process))
    }

    /// The record with this number.
    pub fn record(&mut self, seq: u64) -> Result<Option<Record>, Error> {
        match self.ask(|index| index.record(seq)) {
            Some(record) => Ok(record),
            None => Ok(self.all()?.iter().find(|record| record.seq == seq).cloned()),
        }
    }

    /// Every record after the one with the number `seq`. It reads on from the segment where that one is,
    /// and needs no index.
    pub fn after(&mut self, seq: u64) -> Result<Vec<Record>, Error> {
        let storage = crate::log::open(&self.journal)?;
        match follow::after(&storage, seq) {
            Ok(records) => Ok(records),
            Err(_) => Ok(crate::read(&self.journal)?.into_iter().filter(|record| record.seq > seq).collect()),
        }
    }

    /// Answers come through the index, so far.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// How many bytes of the log were read through the index so far, to bring it up to date and for
    /// the answers.
    pub fn bytes_read(&self) -> u64 {
        self.read + self.index.as_ref().map_or(0, HistoryIndex::read)
    }

    fn records(&mut self, question: impl Fn(&HistoryIndex) -> Result<Vec<Record>, Halt>) -> Result<Arc<[Record]>, Error> {
        match self.ask(question) {
            Some(records) => Ok(records.into()),
            None => self.all(),
        }
    }

    /// The index's answer, if it has one.
    fn ask<T>(&mut self, question: impl Fn(&HistoryIndex) -> Result<T, Halt>) -> Option<T> {
        for _ in 0..MAX_TRIES {
            let index = self.index.as_mut()?;
            let mended = match guarded(|| question(index)).and_then(|answer| answer) {
                Ok(answer) => return Some(answer),
                Err(Halt::Vanished) => index.catch_up(),
                Err(Halt::Wrong(why)) => index.rebuild(&why),
                Err(halt) => Err(halt),
            };
            if let Err(halt) = mended {
                self.do_without(&halt);
            }
        }
        self.index = None;
        None
    }

    fn do_without(&mut self, halt: &Halt) {
        self.read = self.bytes_read();
        self.index = None;
        tracing::debug!(journal = %self.journal.display(), %halt, "the journal is read without its index");
    }
}
