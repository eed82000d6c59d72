//! Which segments recovery needs: those from each process's newest checkpoint to its last record.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use super::{Extent, Gone, io_error};
use crate::log::line::{self, Header};
use crate::storage::Storage;

/// From which of a process's checkpoints it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    Newest,
    /// The one before, for when the newest is damaged.
    Older,
}

/// What is read.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The segments, in order.
    pub segments: Vec<String>,
    /// In which of them each process's recovery begins. One that is not in it is read from the start.
    pub starts: BTreeMap<String, String>,
    /// Those of the segments before which one is missing, or not read.
    pub after_a_gap: BTreeSet<String>,
    pub extent: Extent,
    /// The log's oldest segment.
    pub oldest: Option<String>,
}

impl Plan {
    /// All of `names`, where everything is asked for or the last segment does not say what is needed.
    pub fn new(storage: &dyn Storage, names: &[String], extent: Extent, generation: Generation) -> Result<Self, Gone> {
        let everything = || Self::of(names, names.to_vec(), BTreeMap::new(), extent);
        let (Extent::Needed, Some(last)) = (extent, names.last()) else { return Ok(everything()) };
        let Some(header) = header(storage, last)? else { return Ok(everything()) };
        let between = |place: &line::Place, name: &str| place.start(generation) <= name && name <= &*place.last;
        let wanted = |name: &&String| *name == last || header.processes.values().any(|place| between(place, name));
        let segments = names.iter().filter(wanted).cloned().collect();
        let start = |(process, place): (&String, &line::Place)| (process.clone(), place.start(generation).to_owned());
        Ok(Self::of(names, segments, header.processes.iter().map(start).collect(), extent))
    }

    fn of(names: &[String], segments: Vec<String>, starts: BTreeMap<String, String>, extent: Extent) -> Self {
        let read_before = |name: &&String| names.windows(2).any(|pair| pair[1] == **name && segments.contains(&pair[0]));
        let after_a_gap = segments.iter().filter(|name| !read_before(name)).cloned().collect();
        Self { segments, starts, after_a_gap, extent, oldest: names.first().cloned() }
    }
}

impl line::Place {
    fn start(&self, generation: Generation) -> &str {
        match generation {
            Generation::Newest => &self.from,
            Generation::Older => &self.before,
        }
    }
}

/// What the segment `name` says of the processes at its start, if that can be read.
fn header(storage: &dyn Storage, name: &str) -> Result<Option<Header>, Gone> {
    line::header_of(storage, name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Gone::Vanished,
        _ => Gone::Failed(io_error("reading", storage, name, &error)),
    })
}
