//! How a run's bytes in the journal grow with its turns.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use flyball::core_agent::TriggerEvent;
use serde_json::{Value, json};

use crate::load::{Agents, Bench};
use crate::{Setting, tokio_runtime};

#[derive(clap::Args)]
pub struct Options {
    /// Turns of a run; each but the last wants one call
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    turns: Vec<u32>,
}

/// A run that has not ended by then never will.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    let runtime = tokio_runtime()?;
    let mut rows = Vec::new();
    for turns in &options.turns {
        eprintln!("turns: {turns}");
        let folder = setting.folder()?;
        let bench = Bench::new(&folder.path().join("journal"))?;
        rows.push(runtime.block_on(one(&bench, *turns))?);
    }
    Ok(json!({"bench": "turns", "runs": rows}))
}

async fn one(bench: &Bench, turns: u32) -> Result<Value> {
    let agents = Agents { calls: turns.saturating_sub(1), history: false, max_pending: 1_000, webhooks: None };
    let processes = bench.start(1, agents).await?;
    let process = processes.first().context("one was asked for")?;
    let (before, records) = (bench.count.figures(), bench.records().await?);
    let start = Instant::now();
    let event = TriggerEvent::new("bench", "event", Utc::now(), json!({"pipeline": "p-1", "status": "late"}));
    process.inject(event).await.map_err(|error| anyhow!("{error}"))?;
    let mut status = process.watch();
    tokio::time::timeout(PATIENCE, status.wait_for_runs(1)).await?.context("the process is gone")?;
    let took = start.elapsed();
    let records = bench.records().await? - records;
    let figures = bench.count.figures().since(before);
    bench.runtime.shutdown().await;
    Ok(json!({
        "turns": turns,
        "bytes": figures.bytes,
        "bytes_per_turn": figures.bytes as f64 / f64::from(turns.max(1)),
        "records": records,
        "syncs": figures.batches,
        "ms": took.as_secs_f64() * 1e3,
    }))
}
