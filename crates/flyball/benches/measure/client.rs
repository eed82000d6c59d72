//! Posts the same small body over many connections at once, each as soon as it has its answer. Runs
//! in a process of its own, on one thread, so that its time is not the server's.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::http::{Connection, post};
use crate::load::webhook_path;
use crate::stats::{percentile_ms, rate};

#[derive(clap::Args)]
pub struct Options {
    /// Whom to ask
    #[arg(long)]
    address: SocketAddr,
    /// Connections at once
    #[arg(long)]
    connections: usize,
    /// Processes that they are spread over
    #[arg(long)]
    processes: usize,
    /// For so many milliseconds
    #[arg(long)]
    milliseconds: u64,
}

const BODY: &str =
    r#"{"pipeline": "p-17", "status": "failed", "run_id": "2f6d7f0e-6b4e-4b0a-9a3f-0d6a54f0f0aa", "attempt": 3, "note": "late"}"#;

/// What one connection or all of them came to.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    other: u64,
    times: Vec<Duration>,
}

pub fn run(options: &Options) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load(options))
}

async fn load(options: &Options) -> Result<Value> {
    let connections = try_join_all((0..options.connections).map(|_| Connection::open(options.address))).await?;
    let request = |index: usize| post(options.address, &webhook_path(index % options.processes.max(1)), BODY);
    let start = Instant::now();
    let end = start + Duration::from_millis(options.milliseconds);
    let mut all = Tally::default();
    for tally in
        try_join_all(connections.into_iter().enumerate().map(|(index, connection)| one(connection, request(index), end))).await?
    {
        all.accepted += tally.accepted;
        all.refused += tally.refused;
        all.other += tally.other;
        all.times.extend(tally.times);
    }
    let took = start.elapsed();
    Ok(json!({
        "accepted": all.accepted,
        "refused": all.refused,
        "other": all.other,
        "seconds": took.as_secs_f64(),
        "accepted_per_s": rate(all.accepted, took),
        "answered_per_s": rate(all.accepted + all.refused + all.other, took),
        "p50_ms": percentile_ms(&mut all.times, 0.5),
        "p99_ms": percentile_ms(&mut all.times, 0.99),
    }))
}

/// The times are those of the accepted.
async fn one(mut connection: Connection, request: Vec<u8>, end: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    while Instant::now() < end {
        let start = Instant::now();
        match connection.ask(&request).await.context("asking")? {
            202 => {
                tally.accepted += 1;
                tally.times.push(start.elapsed());
            }
            429 | 503 => tally.refused += 1,
            _ => tally.other += 1,
        }
    }
    Ok(tally)
}
