//! A segment's lines, read and checked as far as that can be done without knowing the segments
//! before: the part of recovery that takes time, and that several segments can have at once.

use std::collections::HashMap;
use std::ops::Range;

use super::hash::Hash;
use super::line::{self, Line, Unreadable};

/// A segment that was read.
pub struct Scanned {
    pub bytes: Vec<u8>,
    pub lines: Vec<ScannedLine>,
}

/// A line that is not blank.
pub struct ScannedLine {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes in the segment, without the newline.
    pub range: Range<usize>,
    /// Blank lines stand between it and the line before.
    pub after_blank: bool,
    /// What it says.
    pub line: Result<Line, Unreadable>,
    /// The hash of the record of the same process before it in this segment, where there is one, and
    /// whether the record continues the chain from there.
    pub link: Option<(Hash, bool)>,
}

/// Reads the lines of a segment.
pub fn scan(bytes: Vec<u8>) -> Scanned {
    let mut lines = Vec::with_capacity(bytes.len() / 300);
    let mut chains: HashMap<String, Hash> = HashMap::new();
    let mut start = 0;
    let mut blank = false;
    // Most of a live segment is blank at its end.
    let used = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| bytes.len().min(last + 2));
    for (number, text) in (1..).zip(bytes[..used].split_inclusive(|byte| *byte == b'\n')) {
        let whole = text.ends_with(b"\n");
        let range = start..start + text.len() - usize::from(whole);
        start += text.len();
        if bytes[range.clone()].iter().all(u8::is_ascii_whitespace) {
            blank = true;
            continue;
        }
        let text = &bytes[range.clone()];
        let line = if whole { line::read(text) } else { Err(Unreadable::Damaged) };
        let link = match &line {
            Ok(Line::Record { record, hash }) => link(&mut chains, &record.process, text, *hash),
            _ => None,
        };
        lines.push(ScannedLine { number, range, after_blank: std::mem::take(&mut blank), line, link });
    }
    Scanned { bytes, lines }
}

fn link(chains: &mut HashMap<String, Hash>, process: &str, text: &[u8], hash: Hash) -> Option<(Hash, bool)> {
    match chains.get_mut(process) {
        None => {
            chains.insert(process.to_owned(), hash);
            None
        }
        Some(last) => {
            let previous = std::mem::replace(last, hash);
            Some((previous, line::expected_hash(text, previous) == Some(hash)))
        }
    }
}

impl Scanned {
    /// The bytes of a line.
    pub fn text(&self, line: &ScannedLine) -> &[u8] {
        &self.bytes[line.range.clone()]
    }
}
