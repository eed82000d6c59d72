//! Looking at every line of a log, for those who want to know whether it is still what was written.
//!
//! Recovery asks what may be relied upon, and reads no more than it needs. This asks more: a line
//! that costs no record when it is damaged, such as the end of a batch, is reported too.

mod anchor;
mod auditor;
mod batch;

use std::collections::BTreeMap;
use std::path::Path;

pub use anchor::Anchor;
use serde::Serialize;

use super::TornTail;
use super::recover::{self, Extent, io_error};
use super::scan::{Depth, scan};
use crate::Error;
use crate::storage::{FileStorage, Storage};

/// What every line of a log together comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Audit {
    /// How many segments there are.
    pub segments: usize,
    /// How many bytes they have, blank ones included.
    pub bytes: u64,
    /// How many committed records could be read.
    pub records: u64,
    /// How many batches.
    pub commits: u64,
    /// The last committed record's sequence number.
    pub last_seq: u64,
    /// Each process.
    pub processes: BTreeMap<String, ProcessAudit>,
    /// What is not as it was written, in the order of the log.
    pub damage: Vec<Damage>,
    /// What follows the last commit. In a log that is being written it is on its way; in any other
    /// it is what a crash cut off, and nobody was told that it was durable.
    pub torn: Option<TornTail>,
    /// Where it stands now: to be kept elsewhere, and held against it later.
    pub head: Option<Anchor>,
    /// Why it does not hold what it was [held against](audit_against), if it does not.
    pub anchor: Option<String>,
    /// Why a runtime would not open this log at all, if it would not.
    pub refused: Option<String>,
}

/// One process's part of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProcessAudit {
    /// How many of its records could be read.
    pub records: u64,
    /// The first one's number among its own.
    pub first: u64,
    /// The last one's.
    pub last: u64,
    /// How many of them are checkpoints.
    pub checkpoints: u64,
    /// Why the process would refuse to start from this log, if it would. Damage that is older than
    /// its newest checkpoint does not keep it from starting.
    pub refuses: Option<String>,
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The segment.
    pub segment: String,
    /// The line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes from the segment's start.
    pub offset: u64,
    /// Whose records it costs, as far as is known; nobody's, where no record is lost.
    pub processes: Vec<String>,
    /// What is wrong.
    pub what: String,
}

/// Looks at every line of the log in `dir` without owning it: a runtime may be writing meanwhile.
///
/// Blocks while it reads. The error is one of reading; damage is part of the answer.
pub fn audit(dir: &Path) -> Result<Audit, Error> {
    audit_storage(&open(dir)?)
}

/// The same, held against where the log once stood: a cut end is found then, and so is a chain that was
/// computed anew.
pub fn audit_against(dir: &Path, anchor: Anchor) -> Result<Audit, Error> {
    look(&open(dir)?, Some(anchor))
}

/// The same over any storage.
pub fn audit_storage(storage: &dyn Storage) -> Result<Audit, Error> {
    look(storage, None)
}

fn look(storage: &dyn Storage, anchor: Option<Anchor>) -> Result<Audit, Error> {
    let names = storage.list().map_err(|error| io_error("listing", storage, "", &error))?;
    let mut auditor = auditor::Auditor::against(anchor);
    for name in &names {
        let bytes = storage.read(name).map_err(|error| io_error("reading", storage, name, &error))?;
        auditor.segment(name, scan(bytes, Depth::Whole));
    }
    let mut audit = auditor.finish();
    match recover::read::<Vec<crate::Record>>(storage, Extent::Needed) {
        Ok((recovery, _)) => {
            for (process, why) in recovery.damaged {
                audit.processes.entry(process).or_default().refuses = Some(why);
            }
        }
        Err(error) => audit.refused = Some(error.to_string()),
    }
    Ok(audit)
}

/// The processes that would refuse to start from the log in `dir`, and why; read without owning it.
///
/// Blocks while it reads what a start would. The error is one of reading, or that nothing would start from it.
pub fn damaged(dir: &Path) -> Result<BTreeMap<String, String>, Error> {
    recover::read::<Vec<crate::Record>>(&open(dir)?, Extent::Needed).map(|(recovery, _)| recovery.damaged)
}

/// The storage of a log that must be there already.
pub(crate) fn open(dir: &Path) -> Result<FileStorage, Error> {
    let failed = |error: std::io::Error| Error::Io { action: "reading", path: dir.to_owned(), cause: error.to_string() };
    if !dir.is_dir() {
        return Err(failed(std::io::ErrorKind::NotFound.into()));
    }
    FileStorage::open(dir).map_err(failed)
}

#[cfg(test)]
mod tests;
