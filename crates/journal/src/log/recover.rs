//! Reading a log back: what is whole, what is torn, what is damaged, and whose it is.

mod plan;
mod reader;

use std::collections::BTreeMap;

use super::line::Place;
use crate::storage::Storage;
use crate::{Error, Record};

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Every process's committed records, in order, from its newest checkpoint on.
    pub processes: BTreeMap<String, Vec<Record>>,
    /// Processes whose records are damaged, and how. Their records end where the damage begins.
    pub damaged: BTreeMap<String, String>,
    /// What was cut off the end, if anything was.
    pub torn: Option<TornTail>,
    /// The last committed record's sequence number.
    pub last_seq: u64,
    /// How many segments there are, and how many of them had to be read.
    pub segments: (usize, usize),
}

/// Bytes after the last commit: a batch that was being written when the machine or the process went
/// down. Nobody was told that it was durable.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TornTail {
    /// The segment.
    pub segment: String,
    /// Where the cut is, in bytes from its start.
    pub offset: u64,
    /// How many bytes were cut, blank ones at the end left out.
    pub bytes: u64,
    /// How many lines of it could still be read.
    pub readable: usize,
}

/// How much of a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What is needed to go on.
    Needed,
    /// Everything there is, checkpoints or not.
    All,
}

/// Reads a log. Nothing is changed; cutting the torn end is the caller's.
pub(super) fn read(storage: &dyn Storage, extent: Extent) -> Result<(Recovery, BTreeMap<String, Place>), Error> {
    let names = storage.list().map_err(|error| io_error("listing", storage, "", &error))?;
    let needed = match extent {
        Extent::All => names.clone(),
        Extent::Needed => plan::needed(storage, &names)?,
    };
    let mut reader = reader::Reader::new(extent);
    for name in &names {
        if needed.contains(name) {
            let bytes = storage.read(name).map_err(|error| io_error("reading", storage, name, &error))?;
            let path = || storage.path().join(name);
            reader.segment(name, &bytes).map_err(|(line, what)| Error::Unknown { path: path(), line, what })?;
        } else {
            reader.skip();
        }
    }
    let (mut recovery, places) = reader.finish();
    recovery.segments = (names.len(), needed.len());
    Ok((recovery, places))
}

pub(super) fn io_error(action: &'static str, storage: &dyn Storage, name: &str, error: &std::io::Error) -> Error {
    let path = storage.path().join(name);
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::Full { path };
    }
    Error::Io { action, path, cause: error.to_string() }
}
