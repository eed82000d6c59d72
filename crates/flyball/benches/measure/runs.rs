//! From an event to a finished run: everything durable, one tool call or none.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::load::{self, Agents, Bench};
use crate::stats::{median, percentile_ms, rate};
use crate::{Setting, system, tokio_runtime};

#[derive(clap::Args)]
pub struct Options {
    /// How many processes
    #[arg(long, default_value_t = 64)]
    processes: usize,
    /// Events that are on their way at once; with more than one process each has one
    #[arg(long, default_value_t = 1)]
    window: usize,
    /// Tool calls of a run
    #[arg(long, default_value_t = 1)]
    calls: u32,
    /// Runs are not given the conversation so far
    #[arg(long)]
    without_history: bool,
    /// The journal goes nowhere: what the processor alone would allow
    #[arg(long)]
    without_disk: bool,
}

/// Before anything is counted: a conversation fills, a segment is made.
const WARM_UP: Duration = Duration::from_secs(1);

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let Options { processes, window, calls, without_history, without_disk } = *options;
    eprintln!("runs: {processes} process(es), window {window}, {calls} call(s), history {}", !without_history);
    let folder = setting.folder()?;
    let mut disk = Disk::new(folder.path())?;
    let before = disk.syncs_per_s(setting.time / 4)?;
    let agents = Agents { calls, history: !without_history, webhook: None };
    let runtime = tokio_runtime()?;
    let mut measured = runtime.block_on(async {
        let bench = if without_disk { Bench::without_disk()? } else { Bench::new(&folder.path().join("journal"))? };
        measured(&bench, options, &agents, setting).await
    })?;
    let after = disk.syncs_per_s(setting.time / 4)?;
    measured["syncs_per_s"] = json!(median(&[before, after]));
    Ok(measured)
}

async fn measured(bench: &Bench, options: &Options, agents: &Agents, setting: &Setting) -> Result<Value> {
    let processes = bench.start(options.processes, agents).await?;
    let load = |time: Duration| {
        let (processes, end) = (&processes, Instant::now() + time);
        async move {
            match processes.as_slice() {
                [only] if options.window > 1 => load::in_a_window(only, options.window, end).await,
                all => load::one_by_one(all, end).await,
            }
        }
    };
    load(WARM_UP.min(setting.time)).await?;
    let (figures, records, cpu) = (bench.count.figures(), bench.records().await?, system::cpu_time());
    let start = Instant::now();
    let mut done = load(setting.time).await?;
    let took = start.elapsed();
    let cpu = system::cpu_time().zip(cpu).map(|(now, before)| now.saturating_sub(before));
    let records = bench.records().await? - records;
    let figures = bench.count.figures().since(figures);
    bench.runtime.shutdown().await;
    let per_run = |count: u64| count as f64 / done.runs.max(1) as f64;
    Ok(json!({
        "bench": "runs",
        "processes": options.processes,
        "window": options.window,
        "calls": options.calls,
        "history": agents.history,
        "disk": !options.without_disk,
        "runs_per_s": rate(done.runs, took),
        "p50_ms": percentile_ms(&mut done.times, 0.5),
        "p99_ms": percentile_ms(&mut done.times, 0.99),
        "syncs_per_run": per_run(figures.batches),
        "records_per_run": per_run(records),
        "bytes_per_run": per_run(figures.bytes),
        "segments": figures.segments,
        "batches_per_s": rate(figures.batches, took),
        "cpu_us_per_run": cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / done.runs.max(1) as f64),
        "max_rss_mb": system::max_resident_mb(),
    }))
}
