//! `flyball ps`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flyball_journal::LifecycleState;
use flyball_runtime::ProcessStatus;
use owo_colors::OwoColorize;

use super::output::{self, colour};
use super::{At, Output, ask};
use crate::instance::DataDir;

/// Show the processes of the running instance.
#[derive(Debug, Args)]
pub struct Ps {
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Ps {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let (instance, control) = ask::connect(data).await?;
        let status = ask::reached(control.node_status().await, &instance)?;
        if self.output == Output::Json {
            output::json(&status)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(&format!("{:<16} {:<10} {:>6} {:>6} {:>8}  {}", "NAME", "STATE", "RUNS", "FAILED", "UP", "WHY"));
        for process in status.processes.values() {
            output::line(&row(process));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(process: &ProcessStatus) -> String {
    let state = format!("{:<10}", process.state.to_string());
    let state = match (colour(), process.state) {
        (true, LifecycleState::Running | LifecycleState::Awaiting) => state.green().to_string(),
        (true, LifecycleState::Failed) => state.red().to_string(),
        (true, LifecycleState::Suspended) => state.yellow().to_string(),
        _ => state,
    };
    let (runs, failed) = (process.invocation_count, process.consecutive_failures);
    let mut row =
        format!("{:<16} {state} {runs:>6} {failed:>6} {:>8}  {}", process.name, age(process.uptime_seconds), process.reason);
    if process.disk_full {
        row += &format!("\n{:<16} the disk is full: no event is accepted", "");
    }
    if process.events.dead_lettered > 0 {
        row += &format!("\n{:<16} {} dead letter(s): see `flyball dlq list`", "", process.events.dead_lettered);
    }
    for trigger in &process.triggers {
        if let Some(error) = &trigger.error {
            row += &format!("\n{:<16} trigger {} ended: {error}", "", trigger.id);
        }
        if let Some(remark) = &trigger.remark {
            row += &format!("\n{:<16} trigger {} is {remark}", "", trigger.id);
        }
    }
    for (run, why) in &process.held_runs {
        row += &format!("\n{:<16} held run {run}: {} (see `flyball indoubt`)", "", why.as_str().unwrap_or_default());
    }
    row
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
