//! The command line: what can be asked, and how answers look.

mod ask;
mod decide;
mod dlq;
mod doubt;
mod journal;
mod logs;
mod output;
mod past;
mod ps;
mod replay;
mod run;
mod runs;
mod steer;
mod suggest;
mod table;
mod times;
mod validate;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::instance::DataDir;
pub use output::Output;

/// Runs LLM agents as long-lived, governed, journalled processes.
#[derive(Debug, Parser)]
#[command(name = "flyball", version, propagate_version = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// The data directory (also after the command, but for emit, send and fire, whose --data is JSON)
    #[arg(long = "data", id = "data_dir", value_name = "DIR", env = "FLYBALL_DATA")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agents of a manifest, or of every *.agent file in a directory
    Run(run::Run),
    /// Check manifests without running them
    Validate(validate::Validate),
    /// Show the processes of the running instance
    #[command(visible_alias = "status")]
    Ps(ps::Ps),
    /// Tell what happened, from the journal
    Logs(logs::Logs),
    /// List the runs, one a line
    Runs(runs::Runs),
    /// Tell why a run happened and what it caused, or why a process does not run
    Why(why::Why),
    /// Show a run again, step by step; nobody is called
    Replay(replay::Replay),
    /// Check, print and export the journal
    Journal(journal::Journal),
    /// List the calls of which nobody knows whether they happened
    #[command(name = "indoubt")]
    InDoubt(doubt::InDoubt),
    /// Say what became of a call in doubt
    Resolve(doubt::Resolve),
    /// See to events whose runs failed for good
    Dlq(dlq::Dlq),
    /// Emit an event on the bus
    Emit(ask::Emit),
    /// Publish a message to a topic
    Send(ask::Send),
    /// Give one process an event, as if a trigger had
    Fire(ask::Fire),
    /// Stop one process, or the whole instance
    Stop(ask::Stop),
    /// Start a process that was stopped or has failed
    Start(steer::Start),
    /// Let a process begin no run until it is resumed; what comes meanwhile waits
    Pause(steer::Pause),
    /// Let a process that is paused go on, whoever paused it
    Resume(steer::Resume),
}

/// Where the data lies, for commands that have no other `--data`.
#[derive(Debug, Args)]
struct At {
    /// The data directory
    #[arg(long = "data", value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

/// The data directory where nothing is said.
const DEFAULT_DATA: &str = ".flyball";

/// Carries a command out. 0 is success, 1 a failure, 2 a mistake in what was given.
pub fn main(arguments: Arguments) -> ExitCode {
    init_log();
    let outer = arguments.data;
    let data = |inner: &At| DataDir::new(inner.data.as_ref().or(outer.as_ref()).unwrap_or(&PathBuf::from(DEFAULT_DATA)));
    let nowhere = At { data: None };
    let runtime = enough_files().and_then(|()| tokio::runtime::Builder::new_multi_thread().enable_all().build());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&anyhow::anyhow!("starting: {error} (see `ulimit -n`)")),
    };
    let result = match arguments.command {
        Command::Run(run) => {
            let given = run.at.data.clone().or(outer);
            runtime.block_on(run.execute(given))
        }
        Command::Validate(validate) => validate.execute(),
        Command::Ps(ps) => runtime.block_on(ps.execute(&data(&ps.at))),
        Command::Logs(logs) => runtime.block_on(logs.execute(&data(&logs.at))),
        Command::Runs(runs) => runs.execute(&data(&runs.at)),
        Command::Why(why) => runtime.block_on(why.execute(&data(&why.at))),
        Command::Replay(replay) => replay.execute(&data(&replay.at)),
        Command::Journal(journal) => journal.execute(&data(&journal.at)),
        Command::InDoubt(doubt) => runtime.block_on(doubt.execute(&data(&doubt.at))),
        Command::Resolve(resolve) => {
            let data = data(&resolve.at);
            runtime.block_on(resolve.execute(&data))
        }
        Command::Dlq(dlq) => {
            let data = data(&dlq.at);
            runtime.block_on(dlq.execute(&data))
        }
        Command::Emit(emit) => runtime.block_on(emit.execute(&data(&nowhere))),
        Command::Send(send) => runtime.block_on(send.execute(&data(&nowhere))),
        Command::Fire(fire) => runtime.block_on(fire.execute(&data(&nowhere))),
        Command::Stop(stop) => {
            let data = data(&stop.at);
            runtime.block_on(stop.execute(&data))
        }
        Command::Start(start) => {
            let data = data(&start.whom.at);
            runtime.block_on(start.execute(&data))
        }
        Command::Pause(pause) => {
            let data = data(&pause.whom.at);
            runtime.block_on(pause.execute(&data))
        }
        Command::Resume(resume) => {
            let data = data(&resume.whom.at);
            runtime.block_on(resume.execute(&data))
        }
    };
    // A blocked read of someone's server must not keep an ended command alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result.unwrap_or_else(|error| output::fail(&error))
}

/// File descriptors that a runtime wants before it does anything.
const FEWEST_FILES: usize = 8;

/// Where there are fewer, tokio would panic while it is made.
fn enough_files() -> std::io::Result<()> {
    (0..FEWEST_FILES).map(|_| std::fs::File::open("/dev/null")).collect::<std::io::Result<Vec<_>>>().map(drop)
}

/// Our own log goes to stderr, warnings and up, unless FLYBALL_LOG says otherwise.
fn init_log() {
    // What goes wrong with a tool server we tell ourselves; its library shows the innards of each failure.
    let filter = EnvFilter::try_from_env("FLYBALL_LOG").unwrap_or_else(|_| EnvFilter::new("warn,rmcp=off"));
    // The library logs the bodies of failed requests, which hold prompts.
    let filter = filter.add_directive("async_openai=off".parse().expect("a directive"));
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(times::LogTime)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    // A line that cannot be written is lost; to say so in the same place would end whoever wrote it.
    log.log_internal_errors(false).init();
}
