//! The segment that is being written.

use std::io;
use std::sync::Arc;

use crate::storage::{SegmentFile, fill, not_synced};

pub(super) struct Segment {
    name: Arc<str>,
    file: Box<dyn SegmentFile>,
    /// Up to here it holds whole batches.
    used: u64,
    len: u64,
    /// Up to here a write that failed may have left bytes behind `used`.
    dirty: u64,
}

/// What was tried, and how it failed.
pub(super) type Failed = (&'static str, io::Error);

impl Segment {
    pub fn new(name: Arc<str>, file: Box<dyn SegmentFile>, used: u64, len: u64) -> Self {
        Self { name, file, used, len, dirty: used }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// So many bytes more fit in.
    pub fn has_room(&self, needed: u64) -> bool {
        self.used + needed <= self.len
    }

    /// Adds a batch, durably. It has to be [clean](Self::clean).
    pub fn write(&mut self, batch: &[u8]) -> Result<(), Failed> {
        let end = self.used + batch.len() as u64;
        self.dirty = end;
        self.file.write_at(self.used, batch).map_err(|error| ("writing", error))?;
        self.sync()?;
        self.used = end;
        Ok(())
    }

    /// Makes blank again, durably, what a failed write may have left. A shorter batch in its place would
    /// have the rest of it behind itself, down to its commit line; and written at once, a power cut may keep
    /// of both what fits to neither.
    pub fn clean(&mut self) -> Result<(), Failed> {
        if self.dirty > self.used {
            fill(&mut *self.file, self.used, self.dirty).map_err(|error| ("writing", error))?;
            self.sync()?;
            self.dirty = self.used;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failed> {
        self.file.sync().map_err(|error| ("syncing", not_synced(&error)))
    }
}
