//! Webhooks over real HTTP: what a process takes and makes durable, and what a server that only
//! answers would take.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::disk::Disk;
use crate::load::{Agents, Bench};
use crate::stats::median;
use crate::{Setting, ourselves, system, tokio_runtime};

#[derive(clap::Args)]
pub struct Options {
    /// Connections at once
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Processes that they are spread over, each with a path of its own on one port
    #[arg(long, default_value_t = 1)]
    processes: usize,
    /// Events of a process that may wait to be handled; more are refused
    #[arg(long, default_value_t = 1_000)]
    max_pending: usize,
    /// Tool calls of each run that a webhook causes
    #[arg(long, default_value_t = 0)]
    calls: u32,
}

#[derive(clap::Args)]
pub struct PlainOptions {
    /// Connections at once
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

pub fn measure(options: &Options, setting: &Setting) -> Result<Value> {
    eprintln!("webhook: {} connections, {} process(es)", options.connections, options.processes);
    let folder = setting.folder()?;
    let mut disk = Disk::new(folder.path())?;
    let before = disk.syncs_per_s(setting.time / 4)?;
    let runtime = tokio_runtime()?;
    let mut measured = runtime.block_on(taken(options, &folder.path().join("journal"), setting))?;
    let after = disk.syncs_per_s(setting.time / 4)?;
    measured["syncs_per_s"] = json!(median(&[before, after]));
    Ok(measured)
}

async fn taken(options: &Options, journal: &Path, setting: &Setting) -> Result<Value> {
    let port = free_port()?;
    let bench = Bench::new(journal)?;
    let agents = Agents { calls: options.calls, history: true, max_pending: options.max_pending, webhooks: Some(port) };
    let processes = bench.start(options.processes, agents).await?;
    let (figures, records, cpu) = (bench.count.figures(), bench.records().await?, system::cpu_time());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut measured = client(address, options.connections, options.processes, setting).await?;
    let runs: u64 = processes.iter().map(|process| process.status().invocation_count).sum();
    let cpu = system::cpu_time().zip(cpu).map(|(now, before)| now.saturating_sub(before));
    let records = bench.records().await? - records;
    let figures = bench.count.figures().since(figures);
    bench.runtime.shutdown().await;
    let accepted = measured["accepted"].as_f64().unwrap_or(0.0).max(1.0);
    let seconds = measured["seconds"].as_f64().unwrap_or(0.0).max(f64::EPSILON);
    measured["bench"] = json!("webhook");
    measured["connections"] = json!(options.connections);
    measured["processes"] = json!(options.processes);
    measured["runs_per_s"] = json!(runs as f64 / seconds);
    measured["batches_per_s"] = json!(figures.batches as f64 / seconds);
    measured["syncs_per_accepted"] = json!(figures.batches as f64 / accepted);
    measured["records_per_accepted"] = json!(records as f64 / accepted);
    measured["bytes_per_accepted"] = json!(figures.bytes as f64 / accepted);
    measured["cpu_us_per_accepted"] = json!(cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / accepted));
    Ok(measured)
}

pub fn measure_plain(options: &PlainOptions, setting: &Setting) -> Result<Value> {
    eprintln!("plain server: {} connections", options.connections);
    let runtime = tokio_runtime()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(serve(listener));
        let cpu = system::cpu_time();
        let mut measured = client(address, options.connections, 1, setting).await?;
        let cpu = system::cpu_time().zip(cpu).map(|(now, before)| now.saturating_sub(before));
        server.abort();
        let accepted = measured["accepted"].as_f64().unwrap_or(0.0).max(1.0);
        measured["bench"] = json!("plain");
        measured["connections"] = json!(options.connections);
        measured["cpu_us_per_accepted"] = json!(cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / accepted));
        Ok(measured)
    })
}

/// Answers 202 to whatever comes, once it is read.
async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async {
                let _ = request.into_body().collect().await;
                let body =
                    Full::new(Bytes::from_static(br#"{"status":"accepted","event_id":"01999999-6f5b-7c39-8f8e-000000000000"}"#));
                let mut answer = Response::new(body);
                *answer.status_mut() = StatusCode::ACCEPTED;
                answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
                Ok::<_, Infallible>(answer)
            });
            // How the client ends its connection is its own affair.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Loads `address` from another process; what that says of it.
async fn client(address: SocketAddr, connections: usize, processes: usize, setting: &Setting) -> Result<Value> {
    let words = [
        "client".to_owned(),
        format!("--address={address}"),
        format!("--connections={connections}"),
        format!("--processes={processes}"),
        format!("--milliseconds={}", setting.time.as_millis()),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = tokio::process::Command::from(ourselves(&words, &setting.dir)?);
    command.stdout(Stdio::piped()).kill_on_drop(true);
    let patience = setting.time + Duration::from_secs(30);
    let output = tokio::time::timeout(patience, command.output()).await.context("the client did not end")??;
    if !output.status.success() {
        bail!("the client ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("what the client says is no JSON")
}

/// A port that nobody has at the moment.
fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
