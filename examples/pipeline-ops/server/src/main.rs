//! `pipeline-ops-server`: a small data pipeline as an MCP server, over stdio or Streamable HTTP.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use pipeline_ops_server::{AdminKey, Pipeline, PipelineServer, http};
use rmcp::ServiceExt;
use tokio_util::sync::CancellationToken;

/// A small data pipeline as an MCP server: check its health, look at bad rows, quarantine a drop, load again.
///
/// Speaks MCP over stdin and stdout; logs go to stderr.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The pipeline's folder (inbox, quarantine, warehouse.db, ledger.jsonl); made if missing.
    #[arg(long, value_name = "DIR")]
    pipeline: PathBuf,

    /// Raw drops to make the pipeline of the first time; its folder `later` holds months still to arrive.
    #[arg(long, value_name = "DIR")]
    seed: Option<PathBuf>,

    /// Plant one damaged drop after this time, such as 5s or 500ms. PIPELINE_INCIDENT=off turns it off.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    incident_after: Option<Duration>,

    /// Speak Streamable HTTP at ADDR (a port alone means 127.0.0.1), under /mcp, and not over stdio.
    #[arg(long, value_name = "ADDR", value_parser = parse_addr)]
    http: Option<SocketAddr>,

    /// A further host name under which HTTP clients may reach it; loopback names always may.
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,

    /// Turns --incident-after off.
    #[arg(long, env = "PIPELINE_INCIDENT", value_name = "on|off", default_value = "on", hide = true)]
    incident: String,

    /// Makes every rerun_load meet a database that refuses writes (any value but "", 0 or off).
    #[arg(long, env = "FLYBALL_DEMO_FAIL_RELOAD", value_name = "1", default_value = "", hide = true)]
    fail_reload: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info,rmcp=warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_ansi(false).with_writer(std::io::stderr).init();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let pipeline = Pipeline::open(&cli.pipeline, cli.seed.as_deref())
        .with_context(|| format!("cannot open the pipeline in {}", cli.pipeline.display()))?
        .refusing_loads(is_on(&cli.fail_reload));
    let admin_key = AdminKey::new(std::env::var("PIPELINE_ADMIN_KEY").ok().as_deref());
    let server = PipelineServer::new(pipeline, admin_key.clone());
    if let Some(delay) = cli.incident_after.filter(|_| cli.incident.is_empty() || is_on(&cli.incident)) {
        tokio::spawn(server.clone().plant_incident_after(delay));
    }
    match cli.http {
        Some(addr) => serve_http(server, addr, cli.allow_host, &admin_key).await,
        None => serve_stdio(server).await,
    }
}

async fn serve_stdio(server: PipelineServer) -> anyhow::Result<()> {
    let running = server.serve(rmcp::transport::stdio()).await.context("the client did not say hello")?;
    let stop = running.cancellation_token();
    // Ctrl-C in a terminal reaches the client's whole group; the client closes our stdin when it is done with us.
    if std::io::stdin().is_terminal() {
        tokio::spawn(async move {
            let _ = tokio::signal::ctrl_c().await;
            stop.cancel();
        });
    } else {
        tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
    }
    running.waiting().await.context("the server broke down")?;
    Ok(())
}

async fn serve_http(server: PipelineServer, addr: SocketAddr, hosts: Vec<String>, key: &AdminKey) -> anyhow::Result<()> {
    let listener = http::bind(addr).await.with_context(|| format!("cannot listen at {addr}"))?;
    let addr = listener.local_addr().context("the listener has no address")?;
    if !addr.ip().is_loopback() && !key.is_set() {
        tracing::warn!("whoever reaches {addr} may change the pipeline: PIPELINE_ADMIN_KEY is not set");
    }
    tracing::info!("listening at http://{addr}/mcp");
    let stop = CancellationToken::new();
    let served = tokio::spawn(http::serve(server, listener, hosts, stop.clone()));
    stopped().await?;
    stop.cancel();
    served.await.context("the server broke down")
}

/// Returns at SIGINT or SIGTERM.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn is_on(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "off" | "false" | "no")
}

fn parse_addr(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "must be a port or an address with its port, such as 127.0.0.1:8080".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let millis = units.iter().find_map(|(unit, factor)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(*factor));
    millis.map(Duration::from_millis).ok_or_else(|| "must be a whole number with ms, s, m or h, such as 5s".to_owned())
}
