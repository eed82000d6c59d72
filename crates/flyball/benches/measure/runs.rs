//! From an event to a finished run: everything durable, one tool call or none.

use std::time::{Duration, Instant};

use anyhow::Result;
use flyball::runtime::AgentProcess;
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::load::{self, Agents, Bench, Load};
use crate::stats::{median, percentile_ms, rate};
use crate::{Setting, system, tokio_runtime};

#[derive(clap::Args)]
pub struct Options {
    /// How many processes
    #[arg(long, default_value_t = 64)]
    processes: usize,
    /// Events that are on their way at once; with more than one process each has one
    #[arg(long, default_value_t = 1)]
    window: u64,
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

/// The load and the bare disk take turns, so that both meet the same disk.
const SLICES: u32 = 4;

/// What the load came to in all slices, and beside the bare disk in each.
#[derive(Default)]
struct Sum {
    took: Duration,
    load: Load,
    cpu: Option<Duration>,
    runs_per_s: Vec<f64>,
    syncs_per_s: Vec<f64>,
    batches_of_syncs: Vec<f64>,
    runs_of_syncs: Vec<f64>,
}

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let Options { processes, window, calls, without_history, without_disk } = *options;
    eprintln!("runs: {processes} process(es), window {window}, {calls} call(s), history {}", !without_history);
    let folder = setting.folder()?;
    let mut disk = Disk::new(folder.path())?;
    let runtime = tokio_runtime()?;
    runtime.block_on(async {
        let bench = if without_disk { Bench::without_disk()? } else { Bench::new(&folder.path().join("journal"))? };
        measured(&bench, options, &mut disk, setting).await
    })
}

async fn measured(bench: &Bench, options: &Options, disk: &mut Disk, setting: &Setting) -> Result<Value> {
    let agents = Agents { calls: options.calls, history: !options.without_history, max_pending: 1_000, webhooks: None };
    let processes = bench.start(options.processes, agents).await?;
    load(&processes, options.window, WARM_UP.min(setting.time)).await?;
    let (figures, records) = (bench.count.figures(), bench.records().await?);
    let mut sum = Sum::default();
    for _ in 0..SLICES {
        let syncs_per_s = tokio::task::block_in_place(|| disk.syncs_per_s(setting.time / (2 * SLICES)))?;
        slice(bench, &processes, options.window, setting.time / SLICES, syncs_per_s, &mut sum).await?;
    }
    let records = bench.records().await? - records;
    let figures = bench.count.figures().since(figures);
    bench.runtime.shutdown().await;
    let per_run = |count: u64| count as f64 / sum.load.runs.max(1) as f64;
    Ok(json!({
        "bench": "runs",
        "processes": options.processes,
        "window": options.window,
        "calls": options.calls,
        "history": agents.history,
        "disk": !options.without_disk,
        "runs_per_s": median(&sum.runs_per_s),
        "p50_ms": percentile_ms(&mut sum.load.times, 0.5),
        "p99_ms": percentile_ms(&mut sum.load.times, 0.99),
        "syncs_per_run": per_run(figures.batches),
        "records_per_run": per_run(records),
        "bytes_per_run": per_run(figures.bytes),
        "segments": figures.segments,
        "batches_per_s": rate(figures.batches, sum.took),
        "cpu_us_per_run": sum.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / sum.load.runs.max(1) as f64),
        "max_rss_mb": system::max_resident_mb(),
        "syncs_per_s": median(&sum.syncs_per_s),
        "batches_of_syncs": median(&sum.batches_of_syncs),
        "runs_of_syncs": median(&sum.runs_of_syncs),
    }))
}

async fn slice(
    bench: &Bench,
    processes: &[AgentProcess],
    window: u64,
    time: Duration,
    syncs_per_s: f64,
    sum: &mut Sum,
) -> Result<()> {
    let (figures, cpu, start) = (bench.count.figures(), system::cpu_time(), Instant::now());
    let done = load(processes, window, time).await?;
    let took = start.elapsed();
    let batches = bench.count.figures().since(figures).batches;
    let cpu = system::cpu_time().zip(cpu).map(|(now, before)| now.saturating_sub(before));
    sum.cpu = cpu.map(|cpu| sum.cpu.unwrap_or_default() + cpu);
    sum.took += took;
    sum.syncs_per_s.push(syncs_per_s);
    sum.runs_per_s.push(rate(done.runs, took));
    sum.batches_of_syncs.push(rate(batches, took) / syncs_per_s);
    sum.runs_of_syncs.push(rate(done.runs, took) / syncs_per_s);
    sum.load.runs += done.runs;
    sum.load.times.extend(done.times);
    Ok(())
}

async fn load(processes: &[AgentProcess], window: u64, time: Duration) -> Result<Load> {
    let end = Instant::now() + time;
    match processes {
        [only] if window > 1 => load::in_a_window(only, window, end).await,
        all => load::one_by_one(all, end).await,
    }
}
