//! Opening a log: from files to a process's state.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use flyball::journal::{Entry, Journal, Log, ProcessFold};
use serde_json::{Map, Value, json};

use crate::{Setting, mix, ourselves, system};

#[derive(clap::Args)]
pub struct Options {
    /// Records
    #[arg(short, long, default_value_t = 1_000_000)]
    n: u64,
    /// Write checkpoints where the runtime would
    #[arg(long)]
    checkpoints: bool,
    /// Seconds between two runs, by the times in the records: keys of events are remembered for three days
    #[arg(long, default_value_t = 1)]
    every: u64,
}

#[derive(clap::Args)]
pub struct ReopenOptions {
    /// The log
    #[arg(long)]
    log: PathBuf,
}

const PROCESS: &str = "p";

/// Entries that are appended at once, to have the log quickly.
const GROUP: u64 = 600;

/// As the runtime counts: records between two checkpoints, at the least.
const CHECKPOINT_EVERY: u64 = 2_000;

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let Options { n, checkpoints, every } = *options;
    let with = if checkpoints { "with" } else { "without" };
    eprintln!("recover: {n} records {with} checkpoints");
    let folder = setting.folder()?;
    let dir = folder.path().join("journal");
    let start = Instant::now();
    let written = write(&dir, n, checkpoints, every)?;
    let write_s = start.elapsed().as_secs_f64();
    // In a process of its own: the most memory it ever had is then that of opening a log.
    let log = format!("--log={}", dir.display());
    let output = ourselves(&["reopen", &log], &setting.dir)?.output().context("starting ourselves")?;
    if !output.status.success() {
        bail!("reopening failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut measured: Value = serde_json::from_slice(&output.stdout).context("what it says is no JSON")?;
    if measured["entries"] != json!(written.records) {
        bail!("{} records were written, and {} found", written.records, measured["entries"]);
    }
    measured["bench"] = json!("recover");
    measured["n"] = json!(n);
    measured["every_s"] = json!(every);
    measured["checkpoints"] = json!(written.checkpoints);
    measured["checkpoint_bytes"] = json!(written.checkpoint_bytes);
    measured["file_mb"] = json!(size(&dir)? as f64 / 1e6);
    measured["write_s"] = json!(write_s);
    Ok(measured)
}

/// Opens the log and folds what it holds, as a start does.
pub fn reopen(options: &ReopenOptions) -> Result<Value> {
    let start = Instant::now();
    let (log, recovery) = Log::resume(&options.log)?;
    let recovered = recovery.processes.get(PROCESS).context("the process is not in it")?;
    let fold = &recovered.fold;
    let ready_s = start.elapsed().as_secs_f64();
    if !recovery.damaged.is_empty() || recovery.torn.is_some() {
        bail!("the log is not whole");
    }
    let measured = json!({
        "ready_s": ready_s,
        "cpu_s": system::cpu_time().map(|cpu| cpu.as_secs_f64()),
        "entries": fold.entries,
        "records_needed": recovered.len(),
        "segments": recovery.segments.0,
        "segments_read": recovery.segments.1,
        "dedup_keys": fold.dedup_keys(),
        "max_rss_mb": system::max_resident_mb(),
    });
    drop(log);
    Ok(measured)
}

/// What was written.
#[derive(Default)]
struct Written {
    records: u64,
    checkpoints: u64,
    checkpoint_bytes: usize,
}

fn write(dir: &Path, n: u64, checkpoints: bool, every: u64) -> Result<Written> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (log, _) = Log::open(dir)?;
    let journal = log.process(PROCESS);
    // As if the last run had ended now; the dedup keys of three days are remembered.
    let start = Utc::now() - TimeDelta::seconds(i64::try_from(every * n / mix::ENTRIES_OF_A_RUN as u64)?);
    let mut written = Written::default();
    let mut fold = ProcessFold::default();
    let mut at = 0;
    while at < n {
        let group: Vec<Entry> = (at..n.min(at + GROUP)).map(|index| mix::entry(index, start, every)).collect();
        at += group.len() as u64;
        if checkpoints {
            group.iter().for_each(|entry| fold.apply(fold.entries + 1, start, entry));
        }
        written.records += group.len() as u64;
        runtime.block_on(journal.append(group))?;
        if checkpoints && is_due(&fold) {
            checkpoint(&runtime, &journal, &mut fold, &mut written, start)?;
        }
    }
    Ok(written)
}

fn is_due(fold: &ProcessFold) -> bool {
    fold.entries - fold.checkpoint_at() >= CHECKPOINT_EVERY.max(fold.dedup_keys() as u64 / 2)
}

fn checkpoint(
    runtime: &tokio::runtime::Runtime,
    journal: &Arc<dyn Journal>,
    fold: &mut ProcessFold,
    written: &mut Written,
    at: DateTime<Utc>,
) -> Result<()> {
    let entry = Entry::Checkpoint { fold: Box::new(fold.clone()), layers: Map::new() };
    fold.apply(0, at, &entry);
    written.checkpoint_bytes = serde_json::to_vec(&entry)?.len();
    written.checkpoints += 1;
    written.records += 1;
    runtime.block_on(journal.append(vec![entry]))?;
    Ok(())
}

fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(dir)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
