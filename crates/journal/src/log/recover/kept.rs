//! What recovery makes of the records of one process.

use std::borrow::Cow;
use std::sync::Arc;

use super::Extent;
use crate::log::line::{Line, Outline};
use crate::log::scan::Depth;
use crate::{Entry, ProcessFold, Record};

/// Takes a process's records in their order.
pub trait Kept: Default {
    /// What they come to so far.
    fn fold(&self) -> Cow<'_, ProcessFold>;

    /// How much of the records has to be read for it.
    const DEPTH: Depth;

    /// The next record, which continues the process's chain.
    fn take(&mut self, taken: Taken<'_>, extent: Extent) -> Result<(), NotUnderstood>;

    /// The first record that counts is the process's first, or a checkpoint.
    fn begins_well(&self) -> bool;

    /// There are no more.
    fn finish(&mut self) -> Result<(), NotUnderstood> {
        Ok(())
    }
}

/// A record, and where it lies.
pub struct Taken<'a> {
    pub said: Said,
    /// The line's bytes.
    pub text: &'a [u8],
    pub place: LinePlace,
}

/// What is known of a record.
pub enum Said {
    All(Box<Record>),
    Outline(Outline),
}

/// Where a line is.
#[derive(Debug, Clone)]
pub struct LinePlace {
    pub segment: Arc<str>,
    /// Its number, from 1.
    pub number: u64,
    /// Its first byte.
    pub start: usize,
}

/// A line that is what was written, and that this version does not understand.
#[derive(Debug)]
pub struct NotUnderstood {
    pub place: LinePlace,
    pub what: String,
}

impl Said {
    /// Of a line that is a record.
    pub fn of(line: Line) -> Option<Self> {
        match line {
            Line::Record { record, .. } => Some(Self::All(record)),
            Line::Outline { outline, .. } => Some(Self::Outline(outline)),
            Line::Commit(_) | Line::Header(_) => None,
        }
    }

    /// What came before it is not needed any more.
    pub fn restates(&self) -> bool {
        matches!(self, Self::All(record) if record.entry.restates())
    }
}

/// All of its records.
impl Kept for Vec<Record> {
    const DEPTH: Depth = Depth::Whole;

    fn take(&mut self, taken: Taken<'_>, extent: Extent) -> Result<(), NotUnderstood> {
        let Said::All(record) = taken.said else { return Ok(()) };
        let needed = extent == Extent::Needed;
        match record.entry {
            Entry::Carried { records } if needed => *self = records,
            // Of what was carried on, the part that is not there any more in its first place.
            Entry::Carried { records: mut carried } => {
                let first = self.first().map_or(u64::MAX, |first| first.n);
                carried.retain(|record| record.n < first);
                self.splice(0..0, carried);
            }
            Entry::Checkpoint { .. } if needed => *self = vec![*record],
            _ => self.push(*record),
        }
        Ok(())
    }

    fn fold(&self) -> Cow<'_, ProcessFold> {
        Cow::Owned(ProcessFold::of(self))
    }

    fn begins_well(&self) -> bool {
        self.first().is_some_and(|first| first.n == 1 || matches!(first.entry, Entry::Checkpoint { .. }))
    }
}
