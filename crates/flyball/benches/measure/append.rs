//! Groups that are appended, each waited for, beside a bare loop that writes and syncs the same bytes.

use std::time::{Duration, Instant};

use anyhow::Result;
use flyball::journal::Journal;
use futures::future::try_join_all;
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
    /// Groups that are on their way at once; whoever has one waits for it before the next
    #[arg(long, value_delimiter = ',', default_value = "1,4")]
    in_flight: Vec<usize>,
    /// How often the log and the bare loop take turns: often, for a disk changes within a second
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// What one turn of each came to.
struct Round {
    ours: f64,
    ceiling: f64,
    groups_per_batch: f64,
}

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let mut groups = Vec::new();
    for in_flight in &options.in_flight {
        for size in &options.groups {
            groups.push(group(*size, *in_flight, options.rounds, setting)?);
        }
    }
    Ok(json!({"bench": "append", "groups": groups}))
}

fn group(size: usize, in_flight: usize, rounds: u32, setting: &Setting) -> Result<Value> {
    eprintln!("append: groups of {size}, {in_flight} on their way");
    let folder = setting.folder()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let (log, _, count) = counted::open(&folder.path().join("journal"))?;
    let journal = log.process("p");
    let mut disk = Disk::new(folder.path())?;
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(runtime.block_on(round(&*journal, (size, in_flight), &count, &mut disk, setting.time / rounds))?);
    }
    let ratios: Vec<f64> = all.iter().map(|round| round.ours / round.ceiling).collect();
    let ours = median(&all.iter().map(|round| round.ours).collect::<Vec<_>>());
    Ok(json!({
        "group": size,
        "in_flight": in_flight,
        "groups_per_s": ours,
        "records_per_s": ours * size as f64,
        "ceiling_groups_per_s": median(&all.iter().map(|round| round.ceiling).collect::<Vec<_>>()),
        "ratio": median(&ratios),
        "groups_per_batch": median(&all.iter().map(|round| round.groups_per_batch).collect::<Vec<_>>()),
    }))
}

async fn round(
    journal: &dyn Journal,
    (size, in_flight): (usize, usize),
    count: &Count,
    disk: &mut Disk,
    time: Duration,
) -> Result<Round> {
    // What a group is made of must not be made while it is timed: whoever appends has it already.
    let group: Vec<_> = (0..size).map(|_| mix::record_of_300_bytes()).collect();
    journal.append(group.clone()).await?;
    count.take_sizes();
    let start = Instant::now();
    let appender = || async {
        let mut groups = 0;
        while start.elapsed() < time {
            journal.append(group.clone()).await?;
            groups += 1;
        }
        anyhow::Ok(groups)
    };
    let groups: u64 = try_join_all((0..in_flight).map(|_| appender())).await?.into_iter().sum();
    let ours = rate(groups, start.elapsed());
    let batches = count.take_sizes();
    // The bare loop writes the same bytes, each group by itself.
    let each = batches.iter().sum::<usize>() / usize::try_from(groups).unwrap_or(1).max(1);
    let sizes = vec![each; batches.len()];
    let ceiling = rate(sizes.len() as u64, disk.replay(&sizes)?);
    Ok(Round { ours, ceiling, groups_per_batch: groups as f64 / batches.len().max(1) as f64 })
}
