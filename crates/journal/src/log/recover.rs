//! Reading a log back: what is whole, what is torn, what is damaged, and whose it is.

mod batch;
mod kept;
mod plan;
mod reader;
mod recovered;
pub(super) mod segments;

use std::collections::BTreeMap;

use super::batch::Chains;
use crate::storage::Storage;
use crate::{Error, Record};
use kept::NotUnderstood;
use plan::{Generation, Plan};

pub(super) use kept::Kept;
pub use recovered::Recovered;

/// What a log held when it was opened.
#[derive(Debug)]
pub struct Recovery<T = Vec<Record>> {
    /// Every process: its committed records, in order, from its newest checkpoint on, or what they come to.
    pub processes: BTreeMap<String, T>,
    /// Processes whose records are damaged, and how. Their records end where the damage begins.
    pub damaged: BTreeMap<String, String>,
    /// Processes of which something is damaged that says again what is known without it, and what.
    /// They go on.
    pub mended: BTreeMap<String, String>,
    /// What the end has that counts for nothing, if there is any.
    pub torn: Option<TornTail>,
    /// The last committed record's sequence number.
    pub last_seq: u64,
    /// How many segments there are, and how many of them had to be read.
    pub segments: (usize, usize),
}

impl<T> Default for Recovery<T> {
    fn default() -> Self {
        let (processes, damaged, mended) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { processes, damaged, mended, torn: None, last_seq: 0, segments: (0, 0) }
    }
}

/// Bytes after the last commit: a batch that was being written when the machine or the process went
/// down, or one that was damaged since. Nobody can tell which.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TornTail {
    /// The segment.
    pub segment: String,
    /// Where it begins, in bytes from its start.
    pub offset: u64,
    /// It is not cut off: that it was begun is what shows that the batch before it was durable and is damaged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
    /// How many bytes it has, blank ones at the end left out.
    pub bytes: u64,
    /// How many lines of it could still be read.
    pub readable: usize,
    /// Whose records they were, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<String>>,
}

/// How much of a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What is needed to go on.
    Needed,
    /// Everything there is, checkpoints or not.
    All,
}

/// How often a listing is taken anew because a segment in it was given up meanwhile.
const MAX_LISTINGS: usize = 5;

/// Reads a log. Nothing is changed; cutting the torn end is the caller's.
pub(super) fn read<T: Kept>(storage: &dyn Storage, extent: Extent) -> Result<(Recovery<T>, Chains), Error> {
    for _ in 1..MAX_LISTINGS {
        match read_listed(storage, extent) {
            // Whoever owns the log may drop old segments while another one reads it.
            Err(Gone::Vanished) => {}
            Err(Gone::Failed(error)) => return Err(error),
            Ok(read) => return Ok(read),
        }
    }
    read_listed(storage, extent).map_err(|gone| match gone {
        Gone::Failed(error) => error,
        Gone::Vanished => io_error("reading", storage, "", &std::io::ErrorKind::NotFound.into()),
    })
}

/// Why a listing could not be read.
pub(super) enum Gone {
    /// A file of it is not there any more.
    Vanished,
    Failed(Error),
}

fn read_listed<T: Kept>(storage: &dyn Storage, extent: Extent) -> Result<(Recovery<T>, Chains), Gone> {
    let names = storage.list().map_err(|error| Gone::Failed(io_error("listing", storage, "", &error)))?;
    let newest = Plan::new(storage, &names, extent, Generation::Newest)?;
    let read = read_planned(storage, &names, &newest)?;
    if extent == Extent::All || read.0.damaged.is_empty() {
        return Ok(read);
    }
    // A damaged checkpoint costs nothing but the time to read on from the one before it.
    let older = Plan::new(storage, &names, extent, Generation::Older)?;
    let again = if older == newest { None } else { Some(read_planned(storage, &names, &older)?) };
    Ok(again.filter(|again| again.0.damaged.len() < read.0.damaged.len()).unwrap_or(read))
}

fn read_planned<T: Kept>(storage: &dyn Storage, names: &[String], plan: &Plan) -> Result<(Recovery<T>, Chains), Gone> {
    let unknown = |NotUnderstood { place, what }: NotUnderstood| {
        let path = storage.path().join(&*place.segment);
        Gone::Failed(Error::Unknown { path, line: place.number, what })
    };
    let mut reader = reader::Reader::new(plan);
    segments::each(storage, &plan.segments, T::DEPTH, |name, scanned| reader.segment(name, scanned).map_err(unknown))?;
    let (mut recovery, places) = reader.finish().map_err(unknown)?;
    recovery.segments = (names.len(), plan.segments.len());
    Ok((recovery, places))
}

pub(crate) fn io_error(action: &'static str, storage: &dyn Storage, name: &str, error: &std::io::Error) -> Error {
    let path = storage.path().join(name);
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::Full { path };
    }
    Error::Io { action, path, cause: error.to_string() }
}
