//! A log's records as the lines that were written, for those who keep or read them elsewhere.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::audit::open;
use super::line::Line;
use super::recover::io_error;
use super::scan::{Depth, scan};
use crate::storage::Storage;
use crate::{Error, Record};

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// How many records.
    pub records: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Gives `take` each committed record of the log in `dir` that can be read, in order, with its line
/// as it was written, and holds no more than a segment at a time.
///
/// A runtime may be writing meanwhile. What is damaged is left out; [`audit`](crate::audit) tells of
/// it. The outer error is one of reading; an error of `take` ends the walk.
pub fn raw_records<E>(dir: &Path, mut take: impl FnMut(&Record, &str) -> Result<(), E>) -> Result<Result<(), E>, Error> {
    let storage = open(dir)?;
    let names = storage.list().map_err(|error| io_error("listing", &storage, "", &error))?;
    let mut waiting = Vec::new();
    for name in &names {
        let bytes = storage.read(name).map_err(|error| io_error("reading", &storage, name, &error))?;
        let mut scanned = scan(bytes, Depth::Whole);
        for line in std::mem::take(&mut scanned.lines) {
            let text = String::from_utf8(scanned.text(&line).to_vec());
            match (line.line, text) {
                (Ok(Line::Record { record, .. }), Ok(text)) => waiting.push((record, text)),
                (Ok(Line::Commit(_)), _) => {
                    for (record, text) in waiting.drain(..) {
                        if let Err(error) = take(&record, &text) {
                            return Ok(Err(error));
                        }
                    }
                }
                // What has no commit by the end of its segment is what a crash left, and never gets one.
                (Ok(Line::Header(_)), _) => waiting.clear(),
                _ => {}
            }
        }
    }
    Ok(Ok(()))
}

/// Writes every committed record of the log in `dir` to `out`, one line each, as it was written.
pub fn export(dir: &Path, out: &mut dyn Write) -> Result<io::Result<Exported>, Error> {
    let (mut records, mut bytes, mut digest) = (0, 0, Sha256::new());
    let walked = raw_records(dir, |_, text| {
        out.write_all(text.as_bytes())?;
        out.write_all(b"\n")?;
        digest.update(text.as_bytes());
        digest.update(b"\n");
        records += 1;
        bytes += text.len() as u64 + 1;
        Ok(())
    })?;
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(walked.and_then(|()| out.flush()).map(|()| Exported { records, bytes, sha256 }))
}
