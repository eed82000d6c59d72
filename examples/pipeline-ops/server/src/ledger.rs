//! What the tools that change something were asked, and what they did: one JSON line each.
//!
//! A line is written before the act (with `intent`) and after it (with `acted`), each synced to the
//! disk, so that a server that is killed in between finds out what became of the act.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::error::Doing;
use crate::lock::Guard;

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When it was written (RFC 3339, UTC).
    pub at: String,
    /// The tool.
    pub tool: String,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// The call's arguments, without `admin_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// What the tool is about to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Value>,
    /// Whether the tool did it: false for a repeated key and for a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted: Option<bool>,
    /// What it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Line {
    /// A line of now.
    pub(crate) fn now(tool: &str, key: Option<&str>) -> Self {
        let at = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        Self { at, tool: tool.to_owned(), key: key.map(str::to_owned), ..Self::default() }
    }
}

/// What the ledger knows of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Earlier {
    /// Nothing.
    Never,
    /// It was begun; the last such line.
    Begun(Line),
    /// It was done.
    Done(Line),
}

/// The file.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// All lines, oldest first. A last line that a power cut tore is left out.
    ///
    /// It is read as a whole for every call that changes something: those are few by their nature.
    pub fn read(&self) -> Result<Vec<Line>, Error> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.doing(|| self.doing("opening"))?,
        };
        let mut lines = Vec::new();
        let mut reader = BufReader::new(file);
        let mut text = Vec::new();
        while reader.read_until(b'\n', &mut text).doing(|| self.doing("reading"))? > 0 {
            if text.last() == Some(&b'\n') {
                let number = lines.len() + 1;
                let line = serde_json::from_slice(&text)
                    .map_err(|error| Error::Damaged(format!("line {number} of {} is damaged: {error}", self.path.display())))?;
                lines.push(line);
            }
            text.clear();
        }
        Ok(lines)
    }

    /// What is known of `key`.
    pub(crate) fn earlier(&self, key: Option<&str>) -> Result<Earlier, Error> {
        let Some(key) = key else { return Ok(Earlier::Never) };
        let mut earlier = Earlier::Never;
        for line in self.read()?.into_iter().filter(|line| line.key.as_deref() == Some(key)) {
            match &earlier {
                Earlier::Done(_) => {}
                _ if line.acted == Some(true) => earlier = Earlier::Done(line),
                _ if line.intent.is_some() => earlier = Earlier::Begun(line),
                _ => {}
            }
        }
        Ok(earlier)
    }

    /// Adds a line; returns once it is on the disk.
    pub(crate) fn append(&self, _held: &Guard, line: &Line) -> Result<(), Error> {
        let mut text = serde_json::to_vec(line).map_err(|error| Error::Damaged(error.to_string()))?;
        text.push(b'\n');
        let mut file = File::options().create(true).append(true).read(true).open(&self.path).doing(|| self.doing("opening"))?;
        self.cut_torn_line(&mut file).and_then(|()| file.write_all(&text)).doing(|| self.doing("writing"))?;
        file.sync_data().doing(|| self.doing("syncing"))
    }

    /// Takes away a last line without its end: nobody was told of it.
    fn cut_torn_line(&self, file: &mut File) -> std::io::Result<()> {
        let size = file.seek(SeekFrom::End(0))?;
        let mut last = [b'\n'];
        if size > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        if last == [b'\n'] {
            return Ok(());
        }
        file.rewind()?;
        let mut all = Vec::new();
        file.read_to_end(&mut all)?;
        let whole = all.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        tracing::warn!("cut a torn line of {} bytes off {}", all.len() - whole, self.path.display());
        file.set_len(whole as u64)
    }

    fn doing(&self, what: &str) -> String {
        format!("{what} {}", self.path.display())
    }
}
