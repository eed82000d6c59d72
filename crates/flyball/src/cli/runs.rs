//! `flyball runs`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flyball_journal::history::{self, RunOutcome, RunSummary};
use owo_colors::OwoColorize;

use super::output::{self, colour};
use super::past::{Past, damage_advice, instant, price, short, took};
use super::{At, Output};
use crate::instance::DataDir;

/// List the runs, one a line.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only those of this process
    name: Option<String>,
    /// So many of the newest; all where nothing is said
    #[arg(short = 'n', long)]
    lines: Option<usize>,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Runs {
    pub fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let mut past = if self.lines.is_some() { Past::open(data)? } else { Past::whole(data)? };
        let name = self.name.as_deref().map(|name| past.known_process(name)).transpose()?;
        let mut runs = Vec::new();
        for journal in past.journals() {
            let records = match self.lines {
                Some(lines) => journal.history.newest_runs(name.as_deref(), lines)?,
                None => journal.history.all()?,
            };
            runs.extend_from_slice(history::Runs::of(&*records, price).list());
        }
        let damaged = past.damaged()?;
        drop(past);
        runs.retain(|run| name.as_ref().is_none_or(|name| run.process == *name));
        // Those of one journal stay in its order, unless a clock was set back.
        runs.sort_by_key(|run| run.started);
        let skip = self.lines.map_or(0, |lines| runs.len().saturating_sub(lines));
        let runs = &runs[skip..];
        match self.output {
            Output::Json => output::json(&runs)?,
            Output::Human if runs.is_empty() => output::line("no run has begun"),
            Output::Human => table(runs),
        }
        // Beside the list: what could not be read is missing in it.
        for (process, what) in damaged.iter().filter(|(process, _)| name.as_ref().is_none_or(|name| name == *process)) {
            eprintln!("warning: {process}: {}", damage_advice(what));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(runs: &[RunSummary]) {
    output::line(&format!(
        "{:<36} {:<12} {:<10} {:<19} {:>8} {:>5} {:>5} {:>6} {:<6}  {}",
        "RUN", "PROCESS", "EVENT", "STARTED", "TOOK", "TURNS", "CALLS", "COST", "END", "WORDS"
    ));
    for run in runs {
        output::line(&row(run));
    }
}

fn row(run: &RunSummary) -> String {
    let kind = run.event_kind.as_deref().unwrap_or("-");
    let took = took(run).unwrap_or_else(|| "-".into());
    let cost = run.cost.map_or_else(|| "-".into(), |cost| cost.to_string());
    format!(
        "{:<36} {:<12} {kind:<10} {} {took:>8} {:>5} {:>5} {cost:>6} {}  {}",
        run.run.0,
        run.process,
        instant(run.started),
        run.turns,
        run.calls,
        outcome(run.outcome),
        short(&run.said)
    )
}

/// The outcome, in its colour.
pub fn outcome(outcome: RunOutcome) -> String {
    let text = format!("{:<6}", outcome.to_string());
    match (colour(), outcome) {
        (false, _) | (true, RunOutcome::Open) => text,
        (true, RunOutcome::Ok) => text.green().to_string(),
        (true, RunOutcome::Failed) => text.red().to_string(),
        (true, RunOutcome::Held) => text.yellow().to_string(),
    }
}
