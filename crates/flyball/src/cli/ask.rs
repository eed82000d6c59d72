//! Commands that ask something of the running instance.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chrono::Utc;
use clap::Args;
use flyball_cluster::{RemoteControl, RemoteTimeouts};
use flyball_core_agent::{TriggerEvent, nesting};
use flyball_runtime::{Control, ControlError, ProcessStatus};
use flyball_triggers::Refusal;
use serde_json::{Value, json};

use super::output;
use super::past::short;
use super::suggest::command;
use super::{At, Output};
use crate::instance::{DataDir, Instance};
use crate::manifest::did_you_mean;
use crate::words::counted;

/// Emit an event on the bus.
#[derive(Debug, Args)]
pub struct Emit {
    /// The event's type, such as alert.critical
    event_type: String,
    #[command(flatten)]
    body: Body,
}

/// Publish a message to a topic.
#[derive(Debug, Args)]
pub struct Send {
    /// The topic, such as analysis.complete
    topic: String,
    #[command(flatten)]
    body: Body,
}

/// Give one process an event.
#[derive(Debug, Args)]
pub struct Fire {
    /// The process's name or id
    name: String,
    #[command(flatten)]
    body: Body,
}

#[derive(Debug, Args)]
struct Body {
    /// What it carries, as JSON
    #[arg(long = "data", value_name = "JSON", value_parser = parse_json, default_value = "{}")]
    data: Value,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Stop one process, or the whole instance.
#[derive(Debug, Args)]
pub struct Stop {
    /// The process's name or id; the whole instance where none is given
    name: Option<String>,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Who a request from the command line is from.
const SENDER: &str = "cli";

/// What the instance asks of those who call it, where it asks for anything.
const TOKEN_VARIABLE: &str = "FLYBALL_TOKEN";

/// An instance says that it is there within this time, or it is frozen.
const HEALTH_WAIT: Duration = Duration::from_secs(5);

/// An instance that was asked to stop is waited for this long.
const STOP_WAIT: Duration = Duration::from_secs(60);

pub fn parse_json(text: &str) -> Result<Value, String> {
    if nesting::levels(text.as_bytes()) > nesting::MAX_NESTING {
        return Err(nesting::refusal());
    }
    serde_json::from_str(text).map_err(|error| match Path::new(text).is_dir() {
        // Elsewhere `--data` is the runtime's directory.
        true => {
            format!("it is what the event carries, as JSON; the directory comes before the command: `flyball --data {text} …`")
        }
        false => format!("{error}; text needs quotes of its own, as in '\"text\"'"),
    })
}

/// The running instance, and a way to talk to it.
pub async fn connect(data: &DataDir) -> Result<(Instance, RemoteControl)> {
    let instance = data.instance().map_err(|nobody| if data.is_held() { anyhow!(NOT_THERE_YET) } else { nobody })?;
    let control = || RemoteControl::new(&format!("http://{}", instance.address), token()).map_err(|error| anyhow!("{error}"));
    let (path, pid, address) = (data.path().display(), instance.pid, instance.address);
    let gone = format!("if it was cut off, `{}` goes on where it was", command(data, "run DIR"));
    // It costs a runtime nothing to say that it is there.
    let timeouts = RemoteTimeouts { connect: HEALTH_WAIT, request: HEALTH_WAIT, ..RemoteTimeouts::default() };
    match control()?.with_timeouts(timeouts).health().await {
        Ok(health) if health.node_id == instance.node_id => {
            let control = control()?;
            Ok((instance, control))
        }
        Ok(_) => bail!("the runtime on {path} (pid {pid}) is gone, and another one answers at {address}; {gone}"),
        Err(error) if data.is_held() => bail!(
            "pid {pid} runs {path} and is alive but does not answer: it may be stopped (`kill -CONT {pid}` lets it go on) or \
             overloaded; if it stays so, end it with `kill -9 {pid}`, and {gone}: {error}"
        ),
        Err(error) => bail!("the runtime on {path} (pid {pid}) does not answer; {gone}: {error}"),
    }
}

/// A program has the journal and does not say where it can be asked.
const NOT_THERE_YET: &str =
    "a program has the journal open and cannot be asked: it has just begun, or is about to end; try again in a moment";

/// What a node says to a caller without its token, before it tells how HTTP has it.
const WANTS_TOKEN: &str = "this node wants its token";

fn token() -> Option<String> {
    std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.is_empty())
}

/// A result of asking, with a failure to reach the instance explained.
pub fn reached<T>(result: Result<T, ControlError>, instance: &Instance) -> Result<T> {
    match result {
        // The runtime was reached: it is the name that is wrong.
        Err(ControlError::NotFound { name, known }) => bail!("{}", no_such_process(&name, &known)),
        Err(ControlError::Failed(why)) if why.starts_with(WANTS_TOKEN) => {
            let set = if token().is_some() { "what it is set to is not that" } else { "it is not set" };
            let (address, pid) = (instance.address, instance.pid);
            bail!(
                "the runtime at {address} (pid {pid}) wants its token: set {TOKEN_VARIABLE} to the one that it was started with ({set})"
            )
        }
        other => other.with_context(|| format!("asking the runtime at {} (pid {})", instance.address, instance.pid)),
    }
}

fn no_such_process(name: &str, known: &str) -> String {
    match did_you_mean(name, known.split(", ")) {
        Some(question) => format!("no process is named '{name}', {question} There are: {known}"),
        None => format!("no process is named '{name}'; there are: {known}"),
    }
}

impl Emit {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = connect(data).await?;
        let taken = reached(control.emit(&self.event_type, SENDER, self.body.data).await, &instance)?;
        told(self.body.output, json!({"delivered": taken}), &format!("{} took {}", counted(taken, "process"), self.event_type))
    }
}

impl Send {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = connect(data).await?;
        let taken = reached(control.publish(&self.topic, SENDER, self.body.data).await, &instance)?;
        told(
            self.body.output,
            json!({"delivered": taken}),
            &format!("{} took the message to {}", counted(taken, "process"), self.topic),
        )
    }
}

impl Fire {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = connect(data).await?;
        let event = TriggerEvent::new(SENDER, "manual", Utc::now(), self.body.data);
        let taken = control.inject(&self.name, event).await;
        if taken == Err(ControlError::Refused(Refusal::Closed)) {
            let process = reached(control.process_status(&self.name).await, &instance)?;
            bail!("{}", takes_none(&process, data));
        }
        let receipt = reached(taken, &instance)?;
        let answer = json!({"event_id": receipt.event_id, "duplicate": receipt.duplicate});
        told(self.body.output, answer, &format!("{} took event {}", self.name, receipt.event_id))
    }
}

/// Why a process takes no events, and what to do.
fn takes_none(process: &ProcessStatus, data: &DataDir) -> String {
    let ProcessStatus { name, state, reason, .. } = process;
    let why = if reason.is_empty() { String::new() } else { format!(" ({})", short(reason)) };
    let then = match state.is_over() {
        true => format!("`{}` starts it", command(data, &format!("start {name}"))),
        false => "try again in a moment".to_owned(),
    };
    format!("{name} is not taking events: it is {state}{why}; {then}")
}

impl Stop {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = connect(data).await?;
        let Some(name) = &self.name else {
            stop_instance(data, &instance).await?;
            return told(
                self.output,
                json!({"stopped": instance.pid}),
                &format!("the runtime (pid {}) has stopped", instance.pid),
            );
        };
        reached(control.stop(name).await, &instance)?;
        told(self.output, json!({"stopped": name}), &format!("{name} has stopped"))
    }
}

async fn stop_instance(data: &DataDir, instance: &Instance) -> Result<()> {
    // It answered a moment ago, so the number is not a stranger's by now.
    let pid = instance.pid.to_string();
    let sent = tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.context("running kill")?;
    if !sent.success() {
        bail!("the runtime (pid {pid}) could not be signalled");
    }
    let gone = async {
        while data.instance().is_ok_and(|now| now.pid == instance.pid) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STOP_WAIT, gone).await.map_err(|_| {
        anyhow!(
            "the runtime (pid {pid}) is still stopping after {STOP_WAIT:?}: wait on (`{}` shows what is under way), or \
             end it at once with a second `kill {pid}`; nothing that is recorded is lost",
            command(data, "ps")
        )
    })
}

/// Says what was done.
pub fn told(output: Output, json: Value, human: &str) -> Result<ExitCode> {
    match output {
        Output::Human => output::line(human),
        Output::Json => output::json(&json)?,
    }
    Ok(ExitCode::SUCCESS)
}
