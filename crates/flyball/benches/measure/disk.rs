//! The disk with nothing of ours in between: the ceiling of everything that is durable.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::Setting;
use crate::stats::{median, rate};

/// A file whose blocks are all there and written, as a log's segments are.
pub struct Disk {
    file: File,
    offset: u64,
    bytes: Vec<u8>,
}

/// Longer than any one write, and than what a disk's own cache makes look fast.
const FILE_BYTES: u64 = 64 << 20;

/// What a write holds when nothing else is asked for: a record.
const RECORD_BYTES: usize = 300;

impl Disk {
    pub fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("bare");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let file = file.with_context(|| format!("making {}", path.display()))?;
        let blank = vec![b'\n'; 1 << 20];
        for offset in (0..FILE_BYTES).step_by(blank.len()) {
            file.write_all_at(&blank, offset)?;
        }
        file.sync_all()?;
        Ok(Self { file, offset: 0, bytes: blank })
    }

    /// Writes so many bytes behind the last ones and syncs; begins anew where the file ends.
    pub fn write(&mut self, len: usize) -> Result<()> {
        if self.bytes.len() < len {
            self.bytes.resize(len, b'x');
        }
        if self.offset + len as u64 > FILE_BYTES {
            self.offset = 0;
        }
        self.file.write_all_at(&self.bytes[..len], self.offset)?;
        self.file.sync_data()?;
        self.offset += len as u64;
        Ok(())
    }

    /// Writes and syncs each of `sizes`; how long all of them took.
    pub fn replay(&mut self, sizes: &[usize]) -> Result<Duration> {
        let start = Instant::now();
        for len in sizes {
            self.write(*len)?;
        }
        Ok(start.elapsed())
    }

    /// Syncs per second, of a record each.
    pub fn syncs_per_s(&mut self, time: Duration) -> Result<f64> {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < time {
            self.write(RECORD_BYTES)?;
            count += 1;
        }
        Ok(rate(count, start.elapsed()))
    }
}

pub fn measure(setting: &Setting) -> Result<Value> {
    const ROUNDS: u32 = 5;
    let folder = setting.folder()?;
    let mut disk = Disk::new(folder.path())?;
    let rounds: Result<Vec<f64>> = (0..ROUNDS).map(|_| disk.syncs_per_s(setting.time / ROUNDS)).collect();
    let rounds = rounds?;
    let (lowest, highest) = rounds.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
    Ok(json!({
        "bench": "disk", "syncs_per_s": median(&rounds), "lowest": lowest, "highest": highest, "record_bytes": RECORD_BYTES,
    }))
}
