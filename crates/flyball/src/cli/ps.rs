//! `flyball ps`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flyball_journal::LifecycleState;
use flyball_runtime::{ProcessStatus, TriggerStatus};
use owo_colors::AnsiColors;

use super::suggest::command;
use super::table::{Cell, Table};
use super::{At, Output, ask, output};
use crate::instance::DataDir;
use crate::words::counted;

/// Show the processes of the running instance.
#[derive(Debug, Args)]
pub struct Ps {
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Names have this much room, so that one process more does not move everything.
const LEAST_NAME: usize = 16;

impl Ps {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = ask::connect(data).await?;
        let status = ask::reached(control.node_status().await, &instance)?;
        if self.output == Output::Json {
            output::json(&status)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new(&["NAME", "STATE", " RUNS", " FAILED", " WAIT", " UP", "WHY"]).first_at_least(LEAST_NAME);
        for process in status.processes.values() {
            table.row(row(process));
            remarks(process, data).into_iter().for_each(|remark| table.under(remark));
        }
        table.print();
        Ok(ExitCode::SUCCESS)
    }
}

fn row(process: &ProcessStatus) -> Vec<Cell> {
    let state = Cell::from(process.state.to_string()).painted(state_colour(process.state));
    let (runs, waiting) = (process.invocation_count.to_string(), process.pending_events.to_string());
    // Not so many of the runs, but so many since one went well.
    let failed = match process.consecutive_failures {
        0 => "-".to_owned(),
        count => format!("last {count}"),
    };
    let up = age(process.uptime_seconds);
    vec![
        process.name.as_str().into(),
        state,
        runs.into(),
        failed.into(),
        waiting.into(),
        up.into(),
        process.reason.as_str().into(),
    ]
}

fn state_colour(state: LifecycleState) -> Option<AnsiColors> {
    match state {
        LifecycleState::Running | LifecycleState::Awaiting => Some(AnsiColors::Green),
        LifecycleState::Failed => Some(AnsiColors::Red),
        LifecycleState::Suspended => Some(AnsiColors::Yellow),
        _ => None,
    }
}

/// What else an operator should know of a process.
fn remarks(process: &ProcessStatus, data: &DataDir) -> Vec<String> {
    let full = process.disk_full.then(|| "the disk is full: no event is accepted".to_owned());
    let dead = process.events.dead_lettered;
    let dead = (dead > 0).then(|| format!("{}: see `{}`", counted(dead, "dead letter"), command(data, "dlq list")));
    let triggers = process.triggers.iter().flat_map(|trigger| {
        let ended = trigger.error.as_ref().map(|error| format!("{} ended: {error}", named(trigger)));
        let remark = trigger.remark.as_ref().map(|remark| format!("{} is {remark}", named(trigger)));
        ended.into_iter().chain(remark)
    });
    let held = process.held_runs.iter().map(|(run, why)| {
        let why = why.as_str().unwrap_or_default();
        format!("held run {run}: {why} (see `{}`)", command(data, "indoubt"))
    });
    full.into_iter().chain(dead).chain(triggers).chain(held).collect()
}

/// A trigger as its manifest has it.
pub fn named(trigger: &TriggerStatus) -> String {
    let TriggerStatus { id, kind, label, .. } = trigger;
    format!("{kind} {}", if label.is_empty() { id } else { label })
}

fn age(seconds: f64) -> String {
    let seconds = seconds as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn an_age_is_short_enough_to_read() {
        assert_eq!([0.4, 59.9, 61.0, 3_700.0, 90_000.0].map(age), ["0s", "59s", "1m01s", "1h01m", "1d01h"]);
    }
}
