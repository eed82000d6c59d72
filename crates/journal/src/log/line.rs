//! The log's lines: what a record and a commit look like as bytes, and how damage in them is seen.
//!
//! Every line is one JSON object whose last member is the CRC-32C of all the bytes before that
//! member. A record's last but one is its hash: SHA-256, cut to 128 bits, over the hash of the
//! process's previous record and the record's own bytes. A commit closes a batch; a header opens a
//! segment and says where every process stands at its start.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::hash::{DIGITS, Hash};
use crate::Record;

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
    pub from: String,
    /// The segment in which it would begin if that checkpoint were damaged.
    pub before: String,
    /// The segment with its last record.
    pub last: String,
}

impl Place {
    /// The place of a process whose last record was at `place`, after one more record in `segment`.
    pub fn after(place: Option<&Self>, n: u64, hash: Hash, segment: &str, restates: bool) -> Self {
        let (from, before) = match place {
            None => (segment, segment),
            Some(place) if restates => (segment, place.from.as_str()),
            Some(place) => (place.from.as_str(), place.before.as_str()),
        };
        Self { n, hash, from: from.to_owned(), before: before.to_owned(), last: segment.to_owned() }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Its bytes are not what was written.
    Damaged,
    /// Its bytes are what was written, and this version does not know what they mean.
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
    /// The end of a batch.
    Commit(Commit),
    /// The start of a segment.
    Header(Header),
}

/// Appends `record`'s line to `out` and returns its hash.
pub fn write_record(out: &mut Vec<u8>, record: &Record, previous: Hash) -> Result<Hash, serde_json::Error> {
    let start = out.len();
    serde_json::to_writer(&mut *out, record)?;
    out.pop(); // the closing brace comes back after the checksum
    let hash = previous.next(&out[start..]);
    out.extend_from_slice(HASH_KEY.as_bytes());
    out.extend_from_slice(&hash.digits());
    out.push(b'"');
    seal(out, start);
    Ok(hash)
}

/// Appends the line that closes a batch.
pub fn write_commit(out: &mut Vec<u8>, commit: &Commit) -> Result<(), serde_json::Error> {
    let start = out.len();
    serde_json::to_writer(&mut *out, &CommitLine { commit: commit.clone() })?;
    out.pop();
    seal(out, start);
    Ok(())
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
    let body_len = line.len().checked_sub(CRC_MEMBER + 1).ok_or(Unreadable::Damaged)?;
    let (body, tail) = line.split_at(body_len);
    let said = tail.strip_prefix(CRC_KEY.as_bytes()).and_then(|rest| rest.strip_suffix(b"\"}"));
    if said != Some(checksum(body).as_slice()) {
        return Err(Unreadable::Damaged);
    }
    if body.starts_with(b"{\"commit\":") {
        return known::<CommitLine>(line).map(|line| Line::Commit(line.commit));
    }
    if body.starts_with(b"{\"segment\":") {
        return known::<HeaderLine>(line).map(|line| Line::Header(line.segment));
    }
    let hashed = body.len().checked_sub(HASH_MEMBER);
    let hash = hashed.and_then(|at| body[at..].strip_prefix(HASH_KEY.as_bytes())?.strip_suffix(b"\""));
    let hash = hash.and_then(Hash::parse).ok_or_else(|| Unreadable::Unknown("it has no hash".into()))?;
    Ok(Line::Record { record: Box::new(known(line)?), hash })
}

fn known<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(line).map_err(|error| Unreadable::Unknown(error.to_string()))
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

/// The header that opens a segment with these bytes, if it can be read.
pub fn header(segment: &[u8]) -> Option<Header> {
    let first = segment.split(|byte| *byte == b'\n').next()?;
    match read(first) {
        Ok(Line::Header(header)) => Some(header),
        _ => None,
    }
}
