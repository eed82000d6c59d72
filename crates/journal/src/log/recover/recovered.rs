//! A process as it comes out of the log: what it is, and where the records lie that say so.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::kept::{Kept, LinePlace, NotUnderstood, Said, Taken};
use super::{Extent, io_error};
use crate::log::line::{self, Outline, Unreadable};
use crate::log::scan::Depth;
use crate::storage::Storage;
use crate::{Entry, Error, ProcessFold, Record};

/// What became of a process's records.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What they come to.
    pub fold: ProcessFold,
    /// The first of them that counts is the process's first, or says all that was before.
    begins_well: bool,
    /// Those that count, by segment: first byte and length of each line.
    lines: BTreeMap<Arc<str>, Vec<(u32, u32)>>,
    /// Steps of runs that have no end yet.
    steps: HashMap<String, Vec<Step>>,
}

/// A step that was not read yet.
#[derive(Debug)]
struct Step {
    text: Vec<u8>,
    place: LinePlace,
}

impl Recovered {
    /// How many records there are from the newest checkpoint on.
    pub fn len(&self) -> usize {
        self.lines.values().map(Vec::len).sum()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The records, read from where they lie.
    pub(in crate::log) fn records(&self, storage: &dyn Storage) -> Result<Vec<Record>, Error> {
        let mut records = Vec::with_capacity(self.len());
        for (segment, lines) in &self.lines {
            let bytes = storage.read(segment).map_err(|error| io_error("reading", storage, segment, &error))?;
            for (start, len) in lines {
                let text = bytes.get(*start as usize..(*start + *len) as usize).unwrap_or_default();
                let record = line::record(text).map_err(|unreadable| unknown(storage, segment, &unreadable))?;
                match record.entry {
                    Entry::Carried { records: carried } => records = carried,
                    _ => records.push(*record),
                }
            }
        }
        Ok(records)
    }

    fn lies_at(&mut self, place: &LinePlace, text: &[u8]) {
        // A segment is some MiB long.
        let (start, len) = (u32::try_from(place.start).unwrap_or(u32::MAX), u32::try_from(text.len()).unwrap_or(u32::MAX));
        match self.lines.get_mut(&place.segment) {
            Some(lines) => lines.push((start, len)),
            None => drop(self.lines.insert(Arc::clone(&place.segment), vec![(start, len)])),
        }
    }

    fn step(&mut self, run: String, text: &[u8], place: LinePlace) {
        self.steps.entry(run).or_default().push(Step { text: text.to_vec(), place });
    }

    fn record(&mut self, record: Record) -> Result<(), NotUnderstood> {
        let Record { seq, at, n, entry, .. } = record;
        match &entry {
            Entry::Carried { .. } | Entry::Checkpoint { .. } => {
                self.steps.clear();
                self.fold = ProcessFold::default();
                self.begins_well = true;
            }
            _ if n == 1 => self.begins_well = true,
            _ => {}
        }
        if let Some(run) = entry.run() {
            let steps = self.steps.remove(&run.0).unwrap_or_default();
            if entry.ends_run() {
                self.fold.entries += steps.len() as u64;
            } else {
                self.read(steps)?;
            }
        }
        match entry {
            Entry::Carried { records } => {
                records.into_iter().for_each(|record| self.fold.take(record.seq, record.at, record.entry));
            }
            entry => self.fold.take(seq, at, entry),
        }
        Ok(())
    }

    /// They are needed after all.
    fn read(&mut self, steps: Vec<Step>) -> Result<(), NotUnderstood> {
        for Step { text, place } in steps {
            match line::record(&text) {
                Ok(record) => self.fold.take(record.seq, record.at, record.entry),
                Err(unreadable) => return Err(NotUnderstood { place, what: unreadable.to_string() }),
            }
        }
        Ok(())
    }
}

impl Kept for Recovered {
    const DEPTH: Depth = Depth::Needed;

    fn take(&mut self, taken: Taken<'_>, _: Extent) -> Result<(), NotUnderstood> {
        if taken.said.restates() {
            self.lines.clear();
        }
        self.lies_at(&taken.place, taken.text);
        match taken.said {
            Said::All(record) => self.record(*record),
            Said::Outline(Outline { step_of: Some(run), .. }) => {
                self.step(run, taken.text, taken.place);
                Ok(())
            }
            // A checkpoint comes after it.
            Said::Outline(Outline { step_of: None, .. }) => Ok(()),
        }
    }

    fn fold(&self) -> Cow<'_, ProcessFold> {
        Cow::Borrowed(&self.fold)
    }

    fn begins_well(&self) -> bool {
        self.begins_well
    }

    fn finish(&mut self) -> Result<(), NotUnderstood> {
        let steps = std::mem::take(&mut self.steps);
        steps.into_values().try_for_each(|steps| self.read(steps))
    }
}

fn unknown(storage: &dyn Storage, segment: &str, unreadable: &Unreadable) -> Error {
    Error::Unknown { path: storage.path().join(segment), line: 0, what: unreadable.to_string() }
}
