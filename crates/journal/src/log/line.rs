//! The log's lines: what a record and a commit look like as bytes, and how damage in them is seen.
//!
//! Every line is one JSON object whose last member is the CRC-32C of all the bytes before that
//! member. A record's last but one is its hash: SHA-256, cut to 128 bits, over the hash of the
//! process's previous record and the record's own bytes. A commit closes a batch; a header opens a
//! segment and says where every process stands at its start.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use flyball_core_agent::nesting;
use serde::{Deserialize, Serialize};

use super::hash::{DIGITS, Hash};
use crate::Record;
use crate::storage::Storage;

/// How the lines begin that close a batch and that open a segment.
const COMMIT: &[u8] = b"{\"commit\":";
const HEADER: &[u8] = b"{\"segment\":";
const HASH_KEY: &str = ",\"hash\":\"";
const CRC_KEY: &str = ",\"crc\":\"";
const HASH_MEMBER: usize = HASH_KEY.len() + DIGITS + 1;
const CRC_MEMBER: usize = CRC_KEY.len() + 8 + 1;

/// What a commit line says of the batch that it closes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The batch's first record.
    pub first: u64,
    /// Its last.
    pub last: u64,
    /// The first record of the batch before, or `first` where there is none.
    pub before: u64,
    /// CRC-32C of the batch's lines, newlines included.
    pub sum: u32,
    /// For each process in this batch and in the one before, the hash of its last record: so that
    /// a loss is laid at the right door even if a commit line is lost with it.
    pub heads: BTreeMap<String, Hash>,
    /// The batch is one record that says again what is known without it: a checkpoint, or records
    /// that were carried on. Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restates: Option<String>,
}

/// Where every process of the log stands where a segment begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The segment's first record.
    pub first: u64,
    /// When it was begun, and so the latest time of the segment before it.
    pub at: DateTime<Utc>,
    /// By process.
    pub processes: BTreeMap<String, Place>,
}

/// Where one process stands, and which segments still speak of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of its last record.
    pub n: u64,
    /// That record's hash.
    pub hash: Hash,
    /// The segment in which its recovery begins: the one with its newest checkpoint, or its first.
    pub from: Arc<str>,
    /// The segment in which it would begin if that checkpoint were damaged.
    pub before: Arc<str>,
    /// The segment with its last record.
    pub last: Arc<str>,
}

impl Place {
    /// The place of a process that began in `segment`.
    pub fn new(n: u64, hash: Hash, segment: &Arc<str>) -> Self {
        let (from, before, last) = (Arc::clone(segment), Arc::clone(segment), Arc::clone(segment));
        Self { n, hash, from, before, last }
    }

    /// Moves on by records in `segment` up to the `n`-th. `restates` says that what came before is not
    /// needed any more.
    pub fn move_on(&mut self, n: u64, hash: Hash, segment: &Arc<str>, restates: bool) {
        (self.n, self.hash) = (n, hash);
        if restates {
            self.before = std::mem::replace(&mut self.from, Arc::clone(segment));
        }
        if self.last != *segment {
            self.last = Arc::clone(segment);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct CommitLine {
    commit: Commit,
}

#[derive(Serialize, Deserialize)]
struct HeaderLine {
    segment: Header,
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Its bytes are not what was written.
    #[error("it is damaged")]
    Damaged,
    /// Its bytes are what was written, and this version does not know what they mean.
    #[error("{0}")]
    Unknown(String),
}

/// A line as it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record; it fits its own checksum, its chain is for the reader to check.
    Record {
        /// The record.
        record: Box<Record>,
        /// Its hash.
        hash: Hash,
    },
    /// The same, of which nobody has asked yet what it says.
    Outline {
        /// Where it stands.
        outline: Outline,
        /// Its hash.
        hash: Hash,
    },
    /// The end of a batch.
    Commit(Commit),
    /// The start of a segment.
    Header(Header),
}

/// What stands at a record's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub seq: u64,
    pub process: String,
    pub n: u64,
    /// It is a step of this run, and changes nothing else.
    pub step_of: Option<String>,
}

impl Line {
    /// Number, process, the process's own number, and hash, if it is a record.
    pub fn stands(&self) -> Option<(u64, &str, u64, Hash)> {
        match self {
            Self::Record { record, hash } => Some((record.seq, &record.process, record.n, *hash)),
            Self::Outline { outline, hash } => Some((outline.seq, &outline.process, outline.n, *hash)),
            Self::Commit(_) | Self::Header(_) => None,
        }
    }
}

/// What comes after this line belongs to another batch.
pub fn closes(line: &[u8]) -> bool {
    line.starts_with(COMMIT) || line.starts_with(HEADER)
}

/// Under which ownership records are written on a single node.
pub const EPOCH: u64 = 1;

/// What a record's line says beside its entry.
pub struct Envelope<'a> {
    pub seq: u64,
    pub process: &'a str,
    pub n: u64,
    /// As [`timestamp`] writes it.
    pub at: &'a str,
}

/// A time as it stands in a line.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Appends to `out` the line of a record whose entry is the JSON object `body`, and returns its hash.
/// These are the bytes that [`Record`] itself would come to.
pub fn write_record(out: &mut Vec<u8>, envelope: &Envelope<'_>, body: &[u8], previous: Hash) -> Hash {
    let start = out.len();
    out.extend_from_slice(b"{\"seq\":");
    write_number(out, envelope.seq);
    out.extend_from_slice(b",\"process\":");
    write_text(out, envelope.process);
    out.extend_from_slice(b",\"n\":");
    write_number(out, envelope.n);
    out.extend_from_slice(b",\"epoch\":");
    write_number(out, EPOCH);
    out.extend_from_slice(b",\"at\":\"");
    out.extend_from_slice(envelope.at.as_bytes());
    out.extend_from_slice(b"\",");
    // Its braces are the line's own; the closing one comes back after the checksum.
    out.extend_from_slice(&body[1..body.len() - 1]);
    let hash = previous.next(&out[start..]);
    out.extend_from_slice(HASH_KEY.as_bytes());
    out.extend_from_slice(&hash.digits());
    out.push(b'"');
    seal(out, start);
    hash
}

/// What closes a batch, beside its processes' heads; see [`Commit`].
pub struct Closing<'a> {
    pub first: u64,
    pub last: u64,
    pub before: u64,
    pub restates: Option<&'a str>,
}

/// Appends the line that closes the batch whose lines are `out`. These are the bytes that [`Commit`]
/// itself would come to, but for the order of `heads`.
pub fn write_commit<'a>(out: &mut Vec<u8>, closing: &Closing<'_>, heads: impl Iterator<Item = (&'a str, Hash)>) {
    let (sum, start) = (crc32c::crc32c(out), out.len());
    out.extend_from_slice(b"{\"commit\":{");
    let numbers: [(&str, u64); 4] =
        [("first", closing.first), ("last", closing.last), ("before", closing.before), ("sum", sum.into())];
    for (key, number) in numbers {
        write_text(out, key);
        out.push(b':');
        write_number(out, number);
        out.push(b',');
    }
    out.extend_from_slice(b"\"heads\":{");
    for (index, (process, hash)) in heads.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(out, process);
        out.extend_from_slice(b":\"");
        out.extend_from_slice(&hash.digits());
        out.push(b'"');
    }
    out.push(b'}');
    if let Some(process) = closing.restates {
        out.extend_from_slice(b",\"restates\":");
        write_text(out, process);
    }
    out.push(b'}');
    seal(out, start);
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write;
    write!(out, "{number}").expect("memory takes everything");
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("memory takes every text");
}

/// The line that opens a segment.
pub fn write_header(header: &Header) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = serde_json::to_vec(&HeaderLine { segment: header.clone() })?;
    out.pop();
    seal(&mut out, 0);
    Ok(out)
}

/// Reads one line, without its newline.
pub fn read(line: &[u8]) -> Result<Line, Unreadable> {
    match check(line)? {
        Checked::Other(line) => Ok(line),
        Checked::Record(hash) => Ok(Line::Record { record: Box::new(known(line)?), hash }),
    }
}

/// A line whose checksum fits.
pub enum Checked {
    /// A record with this hash.
    Record(Hash),
    /// A commit or a header.
    Other(Line),
}

/// Reads one line, without its newline, but of a record only its hash.
pub fn check(line: &[u8]) -> Result<Checked, Unreadable> {
    let body_len = line.len().checked_sub(CRC_MEMBER + 1).ok_or(Unreadable::Damaged)?;
    let (body, tail) = line.split_at(body_len);
    let said = tail.strip_prefix(CRC_KEY.as_bytes()).and_then(|rest| rest.strip_suffix(b"\"}"));
    if said != Some(checksum(body).as_slice()) {
        return Err(Unreadable::Damaged);
    }
    if body.starts_with(COMMIT) {
        return known::<CommitLine>(line).map(|line| Checked::Other(Line::Commit(line.commit)));
    }
    if body.starts_with(HEADER) {
        return known::<HeaderLine>(line).map(|line| Checked::Other(Line::Header(line.segment)));
    }
    let hashed = body.len().checked_sub(HASH_MEMBER);
    let hash = hashed.and_then(|at| body[at..].strip_prefix(HASH_KEY.as_bytes())?.strip_suffix(b"\""));
    hash.and_then(Hash::parse).map(Checked::Record).ok_or_else(|| Unreadable::Unknown("it has no hash".into()))
}

/// What a line that was [checked](check) says.
pub fn record(line: &[u8]) -> Result<Box<Record>, Unreadable> {
    known(line).map(Box::new)
}

fn known<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Unreadable> {
    // Once for the whole line costs less than for each text in it.
    let text = std::str::from_utf8(line).map_err(|error| Unreadable::Unknown(error.to_string()))?;
    let unknown = |error: serde_json::Error| Unreadable::Unknown(error.to_string());
    match serde_json::from_str(text) {
        Err(_) if is_deep(text) => deep(text).map_err(unknown),
        read => read.map_err(unknown),
    }
}

/// The parser goes no deeper by itself: it would use up the stack.
const PARSER_LEVELS: usize = 127;

/// What an older version let in is read up to here. That takes a part of a thread's stack, and no more.
const MAX_LEVELS: usize = 256;

fn is_deep(line: &str) -> bool {
    (PARSER_LEVELS + 1..=MAX_LEVELS).contains(&nesting::levels(line.as_bytes()))
}

/// Reads a line that is nested deeper than the parser goes by itself.
fn deep<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(line);
    parser.disable_recursion_limit();
    let read = T::deserialize(&mut parser)?;
    parser.end()?;
    Ok(read)
}

/// The hash that `line` must carry if the process's previous record's is `previous`.
pub fn expected_hash(line: &[u8], previous: Hash) -> Option<Hash> {
    let end = line.len().checked_sub(CRC_MEMBER + 1 + HASH_MEMBER)?;
    Some(previous.next(&line[..end]))
}

fn seal(out: &mut Vec<u8>, start: usize) {
    let crc = checksum(&out[start..]);
    out.extend_from_slice(CRC_KEY.as_bytes());
    out.extend_from_slice(&crc);
    out.extend_from_slice(b"\"}\n");
}

/// The checksum of `bytes` as eight hexadecimal digits.
fn checksum(bytes: &[u8]) -> [u8; 8] {
    let crc = crc32c::crc32c(bytes);
    std::array::from_fn(|digit| b"0123456789abcdef"[(crc >> (28 - 4 * digit) & 15) as usize])
}

/// So much of a segment is read for its header; one with more processes is read whole.
const HEAD: u64 = 64 << 10;

/// The header that opens the segment `name`, if it can be read.
pub fn header_of(storage: &dyn Storage, name: &str) -> std::io::Result<Option<Header>> {
    match header(&storage.read_part(name, 0, HEAD)?) {
        Some(header) => Ok(Some(header)),
        None => Ok(header(&storage.read(name)?)),
    }
}

/// The header that opens a segment with these bytes, if it can be read.
fn header(segment: &[u8]) -> Option<Header> {
    let first = segment.split(|byte| *byte == b'\n').next()?;
    match read(first) {
        Ok(Line::Header(header)) => Some(header),
        _ => None,
    }
}
