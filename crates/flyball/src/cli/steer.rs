//! `flyball start`, `pause` and `resume`: what an operator does to one process.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use flyball_cluster::RemoteControl;
use flyball_journal::LifecycleState;
use flyball_runtime::{Control, ProcessStatus};
use serde_json::json;

use super::suggest::command;
use super::{At, Output, ask};
use crate::instance::{DataDir, Instance};

/// Start a process that was stopped or has failed.
#[derive(Debug, Args)]
pub struct Start {
    #[command(flatten)]
    pub(super) whom: Whom,
}

/// Let a process begin no run until it is resumed; what comes meanwhile waits.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    pub(super) whom: Whom,
    /// Why; it is written into the journal
    #[arg(long, value_name = "TEXT", default_value = "an operator asked for it")]
    why: String,
}

/// Let a process that is paused go on, whoever paused it.
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    pub(super) whom: Whom,
}

#[derive(Debug, Args)]
pub(super) struct Whom {
    /// The process's name or id
    name: String,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Start {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control, process) = self.whom.find(data).await?;
        let name = &process.name;
        let resume = command(data, &format!("resume {name}"));
        match process.state {
            LifecycleState::Suspended => bail!("{name} is paused ({}): `{resume}` lets it go on", process.reason),
            state if state.is_alive() => bail!("{name} is {state}: there is nothing to start"),
            _ => {}
        }
        ask::reached(control.start(name).await, &instance)?;
        // A pause outlives a failure.
        let now = control.process_status(name).await.ok().filter(|now| now.state == LifecycleState::Suspended);
        let paused = now.map(|now| now.reason);
        let then = match &paused {
            Some(why) => format!("{name} has started, and is still paused ({why}): `{resume}` lets it go on"),
            None => format!("{name} has started"),
        };
        ask::told(self.whom.output, json!({"started": name, "paused": paused}), &then)
    }
}

impl Pause {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control, process) = self.whom.find(data).await?;
        let name = &process.name;
        alive(&process, data)?;
        ask::reached(control.pause(name, &self.why).await, &instance)?;
        let resume = command(data, &format!("resume {name}"));
        let then = format!("{name} is paused: what comes waits until `{resume}`");
        ask::told(self.whom.output, json!({"paused": name}), &then)
    }
}

impl Resume {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control, process) = self.whom.find(data).await?;
        let name = &process.name;
        alive(&process, data)?;
        // While a run is under way, a pause does not show in the state yet.
        if process.state == LifecycleState::Awaiting {
            bail!("{name} is not paused: it waits for a trigger");
        }
        ask::reached(control.resume(name).await, &instance)?;
        ask::told(self.whom.output, json!({"resumed": name}), &format!("{name} goes on"))
    }
}

impl Whom {
    /// The process that is meant, as it is now.
    async fn find(&self, data: &DataDir) -> Result<(Instance, RemoteControl, ProcessStatus)> {
        let (instance, control) = ask::connect(data).await?;
        let process = ask::reached(control.process_status(&self.name).await, &instance)?;
        Ok((instance, control, process))
    }
}

fn alive(process: &ProcessStatus, data: &DataDir) -> Result<()> {
    let (name, state) = (&process.name, process.state);
    if !state.is_alive() {
        bail!("{name} is {state}: `{}` starts it", command(data, &format!("start {name}")));
    }
    Ok(())
}
