//! One appender that waits for each group, beside a bare loop that writes and syncs the same bytes.

use std::time::{Duration, Instant};

use anyhow::Result;
use flyball::journal::Journal;
use serde_json::{Value, json};

use crate::counted::{self, Count};
use crate::disk::Disk;
use crate::stats::{median, rate};
use crate::{Setting, mix};

#[derive(clap::Args)]
pub struct Options {
    /// Records in a group
    #[arg(long, value_delimiter = ',', default_value = "1,16,100")]
    groups: Vec<usize>,
    /// How often the log and the bare loop take turns: often, for a disk changes within a second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// What one turn of each came to.
struct Round {
    ours: f64,
    ceiling: f64,
}

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let groups: Result<Vec<Value>> = options.groups.iter().map(|size| group(*size, options.rounds, setting)).collect();
    Ok(json!({"bench": "append", "groups": groups?}))
}

fn group(size: usize, rounds: u32, setting: &Setting) -> Result<Value> {
    eprintln!("append: groups of {size}");
    let folder = setting.folder()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (log, _, count) = counted::open(&folder.path().join("journal"))?;
    let journal = log.process("p");
    let mut disk = Disk::new(folder.path())?;
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(runtime.block_on(round(&*journal, size, &count, &mut disk, setting.time / rounds))?);
    }
    let figures = count.figures();
    let ratios: Vec<f64> = all.iter().map(|round| round.ours / round.ceiling).collect();
    let ours = median(&all.iter().map(|round| round.ours).collect::<Vec<_>>());
    Ok(json!({
        "group": size,
        "groups_per_s": ours,
        "records_per_s": ours * size as f64,
        "ceiling_groups_per_s": median(&all.iter().map(|round| round.ceiling).collect::<Vec<_>>()),
        "ratio": median(&ratios),
        "bytes_per_group": figures.bytes / figures.batches.max(1),
        "segments": figures.segments,
    }))
}

async fn round(journal: &dyn Journal, size: usize, count: &Count, disk: &mut Disk, time: Duration) -> Result<Round> {
    // What a group is made of must not be made while it is timed: whoever appends has it already.
    let group: Vec<_> = (0..size).map(|_| mix::record_of_300_bytes()).collect();
    journal.append(group.clone()).await?;
    count.take_sizes();
    let start = Instant::now();
    let mut groups = 0;
    while start.elapsed() < time {
        journal.append(group.clone()).await?;
        groups += 1;
    }
    let ours = rate(groups, start.elapsed());
    let sizes = count.take_sizes();
    let ceiling = rate(sizes.len() as u64, disk.replay(&sizes)?);
    Ok(Round { ours, ceiling })
}
