//! The lines since the last commit, and what can be said of them where they are not what was written.

use std::ops::Range;
use std::sync::Arc;

use crate::log::hash::Hash;
use crate::log::line::{Commit, Line, Unreadable};
use crate::log::scan::{Scanned, ScannedLine};

use super::TornTail;

/// Lines that wait for their commit.
#[derive(Default)]
pub struct Batch {
    start: Option<(String, u64)>,
    bytes: u64,
    sum: u32,
    pub lines: Vec<Waiting>,
}

/// A line that waits.
pub struct Waiting {
    /// The segment's bytes, and which of them are the line.
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
    pub segment: Arc<str>,
    /// The line's number in it, from 1.
    pub number: u64,
    pub line: Result<Line, Unreadable>,
    pub link: Option<(Hash, bool)>,
    /// The line, or the end of the one before it, may have been in a part of the file that was never written.
    pub at_hole: bool,
}

impl Waiting {
    /// The line's bytes.
    pub fn text(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    /// Where it begins in the segment.
    pub fn start(&self) -> usize {
        self.range.start
    }
}

impl Batch {
    /// Adds a line of the segment `name`. `at_hole` says that blank bytes stand next to it.
    pub fn add(&mut self, name: &Arc<str>, scanned: &Scanned, line: ScannedLine, at_hole: bool) {
        let text = scanned.text(&line);
        self.start.get_or_insert_with(|| (name.to_string(), line.range.start as u64));
        self.bytes += text.len() as u64 + 1;
        self.sum = crc32c::crc32c_append(crc32c::crc32c_append(self.sum, text), b"\n");
        let ScannedLine { number, range, line, link, .. } = line;
        let (bytes, segment) = (Arc::clone(&scanned.bytes), Arc::clone(name));
        self.lines.push(Waiting { bytes, range, segment, number, line, link, at_hole });
    }

    /// The lines are those that `commit` closes.
    pub fn fits(&self, commit: &Commit) -> bool {
        self.sum == commit.sum
    }

    /// The first line is the commit's first record.
    pub fn begins(&self, commit: &Commit) -> bool {
        let stands = self.lines.first().and_then(|first| first.line.as_ref().ok()).and_then(Line::stands);
        stands.is_some_and(|(seq, ..)| seq == commit.first)
    }

    /// Every line is one that was written, as far as a line can tell.
    pub fn is_readable(&self) -> bool {
        self.lines.iter().all(|waiting| waiting.line.is_ok())
    }

    /// Takes the record out that says again what its process is, if the batch was that record and it is whole. What
    /// stands before it then belongs to a batch, or a header, whose last line is damaged.
    pub fn split_restating(&mut self, commit: &Commit) -> Option<Waiting> {
        commit.restates.as_ref()?;
        let text = self.lines.last()?.text();
        let whole = crc32c::crc32c_append(crc32c::crc32c(text), b"\n") == commit.sum;
        if whole { self.lines.pop() } else { None }
    }

    /// Everything that is wrong with the lines can come from parts of the file that were never written:
    /// a power cut before the sync returned leaves that. `before_commit` says that blank bytes stand
    /// before the commit line.
    pub fn has_only_holes(&self, before_commit: bool) -> bool {
        (before_commit || self.lines.iter().any(|waiting| waiting.at_hole))
            && self.lines.iter().all(|waiting| waiting.line.is_ok() || waiting.at_hole)
    }

    /// What is left at the log's end, where anything is.
    pub fn torn(&self, processes: Option<Vec<String>>) -> Option<TornTail> {
        let (segment, offset) = self.start.clone()?;
        let readable = self.lines.iter().filter(|waiting| waiting.line.is_ok()).count();
        Some(TornTail { segment, offset, stays: false, bytes: self.bytes, readable, processes })
    }
}
