//! Measures flyball, one thing a call, and prints one line of JSON.
//!
//! `cargo xtask bench` runs all of them in turn with other systems and makes a table. Every measurement
//! that touches the disk also says what the bare disk did in the same minute: figures of one run can be
//! divided by each other, and figures of two runs cannot.
//!
//! This is no test. Nothing here fails for being slow.

mod agent;
mod append;
mod appenders;
mod client;
mod counted;
mod disk;
mod http;
mod load;
#[path = "../../../journal/benches/support/mix.rs"]
mod mix;
#[path = "../../../journal/benches/support/nowhere.rs"]
mod nowhere;
mod recover;
mod runs;
mod stats;
mod system;
mod turns;
mod webhook;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use serde_json::Value;
use tempfile::TempDir;

/// The one of the `flyball` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures one thing and prints one line of JSON")]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Where the journals are written; the disk that is measured
    #[arg(long, global = true, default_value = ".")]
    dir: PathBuf,
    /// How long one part of a measurement takes
    #[arg(long, global = true, default_value_t = 2.0)]
    seconds: f64,
    /// What cargo says to every bench
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Syncs per second of the bare disk
    Disk,
    /// One appender, in groups, beside a bare loop that writes and syncs the same bytes
    Append(append::Options),
    /// Many appenders at once, beside a bare loop that writes and syncs the same batches
    Appenders(appenders::Options),
    /// Events to finished runs
    Runs(runs::Options),
    /// Webhooks that were taken and are durable
    Webhook(webhook::Options),
    /// A plain server that answers 202 to everything
    Plain(webhook::PlainOptions),
    /// The client of the two above
    #[command(hide = true)]
    Client(client::Options),
    /// Opening a log of so many records
    Recover(recover::Options),
    /// The part of `recover` that needs a process of its own
    #[command(hide = true)]
    Reopen(recover::ReopenOptions),
    /// A run's bytes in the journal by its turns
    Turns(turns::Options),
}

/// What every measurement is told.
struct Setting {
    /// A folder on the disk that is measured.
    dir: PathBuf,
    /// How long one part of a measurement takes.
    time: Duration,
}

impl Setting {
    /// A folder that is gone after the measurement.
    fn folder(&self) -> Result<TempDir> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("making {}", self.dir.display()))?;
        TempDir::new_in(&self.dir).with_context(|| format!("making a folder in {}", self.dir.display()))
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let Some(what) = args.what else {
        // `cargo bench` runs every bench without words of its own.
        eprintln!("measure: nothing was asked for; `cargo xtask bench` measures everything, --help lists what there is");
        return ExitCode::SUCCESS;
    };
    let setting = Setting { dir: args.dir, time: Duration::from_secs_f64(args.seconds) };
    match measure(what, &setting) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(what: What, setting: &Setting) -> Result<Value> {
    match what {
        What::Disk => disk::measure(setting),
        What::Append(options) => append::measure(&options, setting),
        What::Appenders(options) => appenders::measure(&options, setting),
        What::Runs(options) => runs::measure(&options, setting),
        What::Webhook(options) => webhook::measure(&options, setting),
        What::Plain(options) => webhook::measure_plain(&options, setting),
        What::Client(options) => client::run(&options),
        What::Recover(options) => recover::measure(&options, setting),
        What::Reopen(options) => recover::reopen(&options),
        What::Turns(options) => turns::measure(&options, setting),
    }
}

/// The asynchronous ground that the product stands on, with its defaults.
fn tokio_runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting tokio")
}

/// A copy of ourselves with other words.
fn ourselves(words: &[&str], dir: &Path) -> Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe().context("finding ourselves")?);
    command.args(words).arg("--dir").arg(dir);
    Ok(command)
}
