//! The lines since the last commit.

use crate::Record;
use crate::log::TornTail;
use crate::log::hash::Hash;
use crate::log::line::Commit;

/// Where a line stands.
#[derive(Debug, Clone, Default)]
pub struct Spot {
    pub segment: String,
    pub line: u64,
    pub offset: u64,
}

/// A record that waits for its commit line.
pub struct Pending {
    pub spot: Spot,
    pub record: Box<Record>,
    pub hash: Hash,
    pub text: Vec<u8>,
}

#[derive(Default)]
pub struct Batch {
    pub records: Vec<Pending>,
    /// Lines that cannot be used, and why.
    pub bad: Vec<(Spot, String)>,
    start: Option<Spot>,
    bytes: u64,
    sum: u32,
}

impl Batch {
    /// Counts a line in.
    pub fn add(&mut self, spot: &Spot, text: &[u8]) {
        self.start.get_or_insert_with(|| spot.clone());
        self.bytes += text.len() as u64 + 1;
        self.sum = crc32c::crc32c_append(crc32c::crc32c_append(self.sum, text), b"\n");
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.start.is_none()
    }

    /// The lines are those that the commit line closes.
    pub fn fits(&self, commit: &Commit) -> bool {
        let ends = self.records.first().zip(self.records.last());
        self.sum == commit.sum
            && ends.is_some_and(|(first, last)| (first.record.seq, last.record.seq) == (commit.first, commit.last))
    }

    /// Every record from the one after `last` up to the commit's last is there.
    pub fn has_all(&self, last: u64, commit: &Commit) -> bool {
        let numbered = (last + 1..).zip(&self.records).all(|(seq, pending)| pending.record.seq == seq);
        numbered && last + self.records.len() as u64 == commit.last
    }

    /// What is left at the log's end.
    pub fn torn(&self) -> Option<TornTail> {
        let start = self.start.clone()?;
        Some(TornTail {
            segment: start.segment,
            offset: start.offset,
            stays: false,
            bytes: self.bytes,
            readable: self.records.len(),
            processes: None,
        })
    }
}
