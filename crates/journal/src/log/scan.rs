//! A segment's lines, read and checked as far as that can be done without knowing the segments
//! before: the part of recovery that takes time, and that several segments can have at once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::hash::Hash;
use super::line::{self, Checked, Line, Unreadable};
use super::outline::{outline, outline_unless_event};

/// A segment that was read.
pub struct Scanned {
    pub bytes: Arc<Vec<u8>>,
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

/// How much of what its records say is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it.
    Whole,
    /// What is needed to go on: no step of a run, which may have come to its end, and nothing before a
    /// checkpoint of the same process.
    Needed,
    /// The records that take an event in, and of the others where they stand.
    #[cfg_attr(not(feature = "index"), allow(dead_code, reason = "only an index asks for it"))]
    Events,
}

/// Reads the lines of a segment.
pub fn scan(bytes: Vec<u8>, depth: Depth) -> Scanned {
    let mut scan = Scan { depth, bytes: &bytes, lines: Vec::with_capacity(bytes.len() / 300), chains: HashMap::new() };
    let mut start = 0;
    let mut blank = false;
    // Most of a live segment is blank at its end.
    let used = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| bytes.len().min(last + 2));
    let ends = memchr::memchr_iter(b'\n', &bytes[..used]).map(|end| (end, true));
    let unfinished = (bytes[..used].last().is_some_and(|last| *last != b'\n')).then_some((used, false));
    for (number, (end, whole)) in (1..).zip(ends.chain(unfinished)) {
        let range = start..end;
        start = end + 1;
        if bytes[range.clone()].iter().all(u8::is_ascii_whitespace) {
            blank = true;
        } else {
            scan.line(number, range, whole, std::mem::take(&mut blank));
        }
    }
    if depth == Depth::Needed {
        scan.read_after_checkpoints();
    }
    let lines = scan.lines;
    Scanned { bytes: Arc::new(bytes), lines }
}

struct Scan<'a> {
    depth: Depth,
    bytes: &'a [u8],
    lines: Vec<ScannedLine>,
    chains: HashMap<String, Hash>,
}

impl Scan<'_> {
    fn line(&mut self, number: u64, range: Range<usize>, whole: bool, after_blank: bool) {
        let text = &self.bytes[range.clone()];
        let line = if whole { self.read(text) } else { Err(Unreadable::Damaged) };
        let stands = line.as_ref().ok().and_then(Line::stands);
        let link = stands.and_then(|(_, process, _, hash)| link(&mut self.chains, process, text, hash));
        self.lines.push(ScannedLine { number, range, after_blank, line, link });
    }

    fn read(&self, text: &[u8]) -> Result<Line, Unreadable> {
        let hash = match line::check(text)? {
            Checked::Other(line) => return Ok(line),
            Checked::Record(hash) => hash,
        };
        let outline = match self.depth {
            Depth::Whole => None,
            Depth::Needed => outline(text),
            Depth::Events => outline_unless_event(text),
        };
        match outline {
            Some(outline) => Ok(Line::Outline { outline, hash }),
            None => Ok(Line::Record { record: line::record(text)?, hash }),
        }
    }

    /// Reads what is no step of a run, unless a checkpoint that is whole stands after it.
    fn read_after_checkpoints(&mut self) {
        let restated = self.restated();
        for (place, scanned) in self.lines.iter_mut().enumerate() {
            let Ok(Line::Outline { outline, hash }) = &scanned.line else { continue };
            let is_needed = restated.get(&outline.process).is_none_or(|restated| place >= *restated);
            if is_needed && outline.step_of.is_none() {
                let hash = *hash;
                let record = line::record(&self.bytes[scanned.range.clone()]);
                scanned.line = record.map(|record| Line::Record { record, hash });
            }
        }
    }

    /// Where the last record of each process stands that says again what it is, and is whole.
    fn restated(&self) -> HashMap<String, usize> {
        let mut restated = HashMap::new();
        for (place, pair) in self.lines.windows(2).enumerate() {
            let [record, ScannedLine { line: Ok(Line::Commit(commit)), .. }] = pair else { continue };
            let Some(process) = &commit.restates else { continue };
            let stands = record.line.as_ref().ok().and_then(Line::stands);
            let is_it = stands.is_some_and(|(seq, of, _, _)| of == process && seq == commit.first && seq == commit.last);
            let text = &self.bytes[record.range.clone()];
            if is_it && crc32c::crc32c_append(crc32c::crc32c(text), b"\n") == commit.sum {
                restated.insert(process.clone(), place);
            }
        }
        restated
    }
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
