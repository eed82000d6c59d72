//! Many who append one record and wait, at once, beside a bare loop that writes and syncs the very
//! batches that our writer made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use flyball::journal::Log;
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::stats::{median, rate};
use crate::{Setting, counted, mix, tokio_runtime};

#[derive(clap::Args)]
pub struct Options {
    /// How many, each with a process of its own
    #[arg(long, default_value_t = 256)]
    count: usize,
    /// How often the log and the bare loop take turns: often, for a disk changes within a second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    eprintln!("appenders: {} at once", options.count);
    let folder = setting.folder()?;
    let runtime = tokio_runtime()?;
    let (log, _, count) = counted::open(&folder.path().join("journal"))?;
    let mut disk = Disk::new(folder.path())?;
    let (mut ours, mut ceiling, mut ratios, mut syncs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        count.take_sizes();
        let start = Instant::now();
        let appended = runtime.block_on(append(&log, options.count, setting.time / options.rounds))?;
        let ours_took = start.elapsed();
        let sizes = count.take_sizes();
        let bare_took = disk.replay(&sizes)?;
        syncs.push(rate(sizes.len() as u64, bare_took));
        ours.push(rate(appended, ours_took));
        ceiling.push(rate(appended, bare_took));
        ratios.push(bare_took.as_secs_f64() / ours_took.as_secs_f64());
    }
    let figures = count.figures();
    let batches = figures.batches.max(1);
    let records = log_len(&runtime, &log)?;
    Ok(json!({
        "bench": "appenders",
        "count": options.count,
        "records_per_s": median(&ours),
        "ceiling_records_per_s": median(&ceiling),
        "ceiling_syncs_per_s": median(&syncs),
        "ratio": median(&ratios),
        "records_per_batch": records as f64 / batches as f64,
        "bytes_per_batch": figures.bytes / batches,
        "segments": figures.segments,
    }))
}

async fn append(log: &Arc<Log>, count: usize, time: Duration) -> Result<u64> {
    let end = Instant::now() + time;
    let appenders = (0..count).map(|index| {
        let journal = log.process(&format!("p{index}"));
        tokio::spawn(async move {
            let entry = mix::record_of_300_bytes();
            let mut appended = 0_u64;
            while Instant::now() < end {
                journal.append(vec![entry.clone()]).await?;
                appended += 1;
            }
            anyhow::Ok(appended)
        })
    });
    let appended: Result<Vec<u64>> = try_join_all(appenders).await?.into_iter().collect();
    Ok(appended?.iter().sum())
}

/// The last record's number is how many there are.
fn log_len(runtime: &tokio::runtime::Runtime, log: &Arc<Log>) -> Result<u64> {
    let last = runtime.block_on(log.process("p0").append(vec![mix::record_of_300_bytes()]))?.seq;
    Ok(last)
}
