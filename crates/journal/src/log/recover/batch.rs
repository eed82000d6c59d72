//! The lines since the last commit, and what can be said of them where they are not what was written.

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
    pub text: Vec<u8>,
    pub line: Result<Line, Unreadable>,
    pub link: Option<(Hash, bool)>,
    /// The line, or the end of the one before it, may have been in a part of the file that was never written.
    pub at_hole: bool,
}

impl Batch {
    /// Adds a line of the segment `name`. `at_hole` says that blank bytes stand next to it.
    pub fn add(&mut self, name: &str, scanned: &Scanned, line: ScannedLine, at_hole: bool) {
        let text = scanned.text(&line);
        self.start.get_or_insert_with(|| (name.to_owned(), line.range.start as u64));
        self.bytes += text.len() as u64 + 1;
        self.sum = crc32c::crc32c_append(crc32c::crc32c_append(self.sum, text), b"\n");
        // What is whole needs its bytes only where its link is not known yet.
        let text = if line.link.is_some() { Vec::new() } else { text.to_vec() };
        self.lines.push(Waiting { text, line: line.line, link: line.link, at_hole });
    }

    /// The lines are those that `commit` closes.
    pub fn fits(&self, commit: &Commit) -> bool {
        self.sum == commit.sum
    }

    /// The first line is the commit's first record.
    pub fn begins(&self, commit: &Commit) -> bool {
        matches!(self.lines.first(), Some(Waiting { line: Ok(Line::Record { record, .. }), .. }) if record.seq == commit.first)
    }

    /// Every line is one that was written, as far as a line can tell.
    pub fn is_readable(&self) -> bool {
        self.lines.iter().all(|waiting| waiting.line.is_ok())
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
        Some(TornTail { segment, offset, bytes: self.bytes, readable, processes })
    }
}
