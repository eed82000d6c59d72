//! Reading a log back: what is whole, what is torn, what is damaged, and whose it is.

use std::collections::{BTreeMap, BTreeSet};

use super::line::{self, Commit, GENESIS, Line};
use crate::storage::Storage;
use crate::{Error, Record};

/// What a log held when it was opened.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Every process's committed records, in order.
    pub processes: BTreeMap<String, Vec<Record>>,
    /// Processes whose records are damaged, and how. Their records end where the damage begins.
    pub damaged: BTreeMap<String, String>,
    /// What was cut off the end, if anything was.
    pub torn: Option<TornTail>,
    /// The last committed record's sequence number.
    pub last_seq: u64,
}

/// Bytes after the last commit: a batch that was being written when the machine or the process went
/// down. Nobody was told that it was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// How far each process's chain has come.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub n: u64,
    pub hash: String,
}

/// Reads every segment. Nothing is changed; cutting the torn end is the caller's.
pub(super) fn read_all(storage: &dyn Storage) -> Result<(Recovery, BTreeMap<String, Head>), Error> {
    let mut reader = Reader::default();
    for name in storage.list().map_err(|error| io_error("listing", storage, "", &error))? {
        let bytes = storage.read(&name).map_err(|error| io_error("reading", storage, &name, &error))?;
        reader.segment(&name, &bytes);
    }
    Ok(reader.finish())
}

pub(super) fn io_error(action: &'static str, storage: &dyn Storage, name: &str, error: &std::io::Error) -> Error {
    let path = storage.path().join(name);
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::Full { path };
    }
    Error::Io { action, path, cause: error.to_string() }
}

#[derive(Default)]
struct Reader {
    recovery: Recovery,
    heads: BTreeMap<String, Head>,
    batch: Batch,
}

/// The lines since the last commit.
#[derive(Default)]
struct Batch {
    start: Option<(String, u64)>,
    bytes: u64,
    lines: Vec<(Vec<u8>, Result<Line, String>)>,
}

impl Reader {
    fn segment(&mut self, name: &str, bytes: &[u8]) {
        let mut offset = 0;
        for text in bytes.split_inclusive(|byte| *byte == b'\n') {
            let start = offset;
            offset += text.len() as u64;
            let whole = text.ends_with(b"\n");
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = if whole { line::read(text) } else { Err("it has no end".into()) };
            match line {
                Ok(Line::Commit(commit)) => self.commit(&commit),
                line => self.batch.add(name, start, text, line),
            }
        }
    }

    fn commit(&mut self, commit: &Commit) {
        let batch = std::mem::take(&mut self.batch);
        for (text, line) in batch.lines {
            if let Ok(Line::Record { record, hash }) = line {
                self.take(&text, *record, &hash);
            }
        }
        for (process, head) in &commit.heads {
            if self.heads.get(process).is_none_or(|known| known.hash != *head) {
                self.damage(process, format!("records up to {} are damaged or missing", commit.last));
            }
        }
        // This line names the processes of its own batch and of the one before. Where still more is
        // missing, nobody says whose it was.
        if commit.before > self.recovery.last_seq + 1 {
            self.damage_all("records were lost together with the lines that name their processes");
        }
        self.recovery.last_seq = self.recovery.last_seq.max(commit.last);
    }

    /// Takes a record whose own checksum fits, if it continues its process's chain.
    fn take(&mut self, text: &[u8], record: Record, hash: &str) {
        if self.recovery.damaged.contains_key(&record.process) {
            return;
        }
        let head = self.heads.get(&record.process);
        let (n, previous) = head.map_or((0, GENESIS), |head| (head.n, head.hash.as_str()));
        if record.n != n + 1 || line::expected_hash(text, previous).as_deref() != Some(hash) {
            let what = format!("record {} does not continue the chain", record.seq);
            self.damage(&record.process.clone(), what);
            return;
        }
        self.heads.insert(record.process.clone(), Head { n: record.n, hash: hash.to_owned() });
        self.recovery.processes.entry(record.process.clone()).or_default().push(record);
    }

    fn damage(&mut self, process: &str, what: String) {
        self.recovery.damaged.entry(process.to_owned()).or_insert(what);
    }

    fn damage_all(&mut self, what: &str) {
        let all: BTreeSet<String> = self.recovery.processes.keys().cloned().collect();
        for process in all {
            self.damage(&process, what.to_owned());
        }
    }

    fn finish(mut self) -> (Recovery, BTreeMap<String, Head>) {
        let batch = self.batch;
        if let Some((segment, offset)) = batch.start {
            let readable = batch.lines.iter().filter(|(_, line)| line.is_ok()).count();
            self.recovery.torn = Some(TornTail { segment, offset, bytes: batch.bytes, readable });
        }
        (self.recovery, self.heads)
    }
}

impl Batch {
    fn add(&mut self, segment: &str, offset: u64, text: &[u8], line: Result<Line, String>) {
        self.start.get_or_insert_with(|| (segment.to_owned(), offset));
        self.bytes += text.len() as u64 + 1;
        self.lines.push((text.to_vec(), line));
    }
}
