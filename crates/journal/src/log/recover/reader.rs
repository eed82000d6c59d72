//! Takes a log's lines one by one, and knows at each what may be relied upon.

use std::collections::{BTreeMap, BTreeSet};

use super::{Extent, Recovery, TornTail};
use crate::log::line::{self, Commit, GENESIS, Header, Line, Place, Unreadable};
use crate::{Entry, Record};

pub struct Reader {
    extent: Extent,
    recovery: Recovery,
    places: BTreeMap<String, Place>,
    batch: Batch,
    segment: String,
    /// The segment before this one was not read: what it held is known from this one's header.
    skipped: bool,
}

/// The lines since the last commit.
#[derive(Default)]
struct Batch {
    start: Option<(String, u64)>,
    bytes: u64,
    sum: u32,
    lines: Vec<(Vec<u8>, Result<Line, Unreadable>)>,
}

impl Reader {
    pub fn new(extent: Extent) -> Self {
        let (recovery, batch) = (Recovery::default(), Batch::default());
        Self { extent, recovery, places: BTreeMap::new(), batch, segment: String::new(), skipped: false }
    }

    /// Goes past a segment that need not be read.
    pub fn skip(&mut self) {
        self.skipped = true;
    }

    /// Reads a segment. The error is a line, from 1, that this version does not understand: whatever
    /// it says, going on without it would be a guess.
    pub fn segment(&mut self, name: &str, bytes: &[u8]) -> Result<(), (u64, String)> {
        name.clone_into(&mut self.segment);
        let mut offset = 0;
        for (number, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let start = offset;
            offset += text.len() as u64;
            let whole = text.ends_with(b"\n");
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match if whole { line::read(text) } else { Err(Unreadable::Damaged) } {
                Err(Unreadable::Unknown(what)) => return Err((number, what)),
                Ok(Line::Commit(commit)) => self.commit(&commit),
                Ok(Line::Header(header)) => self.header(header),
                line => self.batch.add(name, start, text, line),
            }
        }
        self.skipped = false;
        Ok(())
    }

    /// What a segment says of the processes at its start: taken over where the segments before were
    /// not read, checked where they were.
    fn header(&mut self, header: Header) {
        if self.skipped {
            self.recovery.last_seq = header.first.saturating_sub(1);
        }
        for (process, place) in header.processes {
            match self.places.get(&process) {
                Some(known) if known.hash == place.hash => {}
                // Nothing of it was read so far, or not all: from here on it is.
                _ if self.skipped => drop(self.places.insert(process, place)),
                _ => self.damage(&process, format!("records before {} are damaged or missing", header.first)),
            }
        }
    }

    fn commit(&mut self, commit: &Commit) {
        let batch = std::mem::take(&mut self.batch);
        let garbled = batch.sum != commit.sum;
        let first = batch.lines.first().and_then(|(_, line)| match line {
            Ok(Line::Record { record, .. }) => Some(record.seq),
            _ => None,
        });
        for (text, line) in batch.lines {
            if let Ok(Line::Record { record, hash }) = line {
                self.take(&text, *record, &hash);
            }
        }
        for (process, head) in &commit.heads {
            if self.places.get(process).is_none_or(|known| known.hash != *head) {
                self.damage(process, format!("records up to {} are damaged or missing", commit.last));
            }
        }
        // This line names the processes of its own batch and of the one before. Where still more is
        // missing, nobody says whose it was.
        if commit.before > self.recovery.last_seq + 1 {
            self.damage_all("records were lost together with the lines that name their processes");
        }
        // Lines that each fit, in a batch that does not: something was put between them.
        if garbled && first == Some(commit.first) && !commit.heads.keys().any(|process| self.is_damaged(process)) {
            for process in commit.heads.keys() {
                self.damage(process, format!("the batch up to {} is not what was written", commit.last));
            }
        }
        self.recovery.last_seq = self.recovery.last_seq.max(commit.last);
    }

    /// Takes a record whose own checksum fits, if it continues its process's chain.
    fn take(&mut self, text: &[u8], record: Record, hash: &str) {
        if self.is_damaged(&record.process) {
            return;
        }
        let place = self.places.get(&record.process);
        let (n, previous) = place.map_or((0, GENESIS), |place| (place.n, place.hash.as_str()));
        if record.n != n + 1 || line::expected_hash(text, previous).as_deref() != Some(hash) {
            let what = format!("record {} does not continue the chain", record.seq);
            self.damage(&record.process.clone(), what);
            return;
        }
        let checkpoint = matches!(record.entry, Entry::Checkpoint { .. });
        let from = place.filter(|_| !checkpoint).map_or(&self.segment, |place| &place.from).clone();
        let place = Place { n: record.n, hash: hash.to_owned(), from, last: self.segment.clone() };
        self.places.insert(record.process.clone(), place);
        let records = self.recovery.processes.entry(record.process.clone()).or_default();
        if checkpoint && self.extent == Extent::Needed {
            records.clear();
        }
        records.push(record);
    }

    fn is_damaged(&self, process: &str) -> bool {
        self.recovery.damaged.contains_key(process)
    }

    fn damage(&mut self, process: &str, what: String) {
        self.recovery.damaged.entry(process.to_owned()).or_insert(what);
    }

    fn damage_all(&mut self, what: &str) {
        let all: BTreeSet<String> = self.places.keys().cloned().collect();
        for process in all {
            self.damage(&process, what.to_owned());
        }
    }

    pub fn finish(mut self) -> (Recovery, BTreeMap<String, Place>) {
        let batch = self.batch;
        if let Some((segment, offset)) = batch.start {
            let readable = batch.lines.iter().filter(|(_, line)| line.is_ok()).count();
            self.recovery.torn = Some(TornTail { segment, offset, bytes: batch.bytes, readable });
        }
        if self.extent == Extent::Needed {
            // What was read before a process's checkpoint, in a segment that another one needed, is not whole.
            for records in self.recovery.processes.values_mut() {
                if records.first().is_some_and(|first| first.n > 1 && !matches!(first.entry, Entry::Checkpoint { .. })) {
                    records.clear();
                }
            }
        }
        (self.recovery, self.places)
    }
}

impl Batch {
    fn add(&mut self, segment: &str, offset: u64, text: &[u8], line: Result<Line, Unreadable>) {
        self.start.get_or_insert_with(|| (segment.to_owned(), offset));
        self.bytes += text.len() as u64 + 1;
        self.sum = crc32c::crc32c_append(crc32c::crc32c_append(self.sum, text), b"\n");
        self.lines.push((text.to_vec(), line));
    }
}
