//! `flyball runs`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flyball_journal::history::{self, RunOutcome, RunSummary};
use owo_colors::AnsiColors;

use super::past::{Past, damage_advice, outcome, price, took, words};
use super::table::{Cell, Table};
use super::times::instant;
use super::{At, Output, output};
use crate::instance::DataDir;

/// List the runs, one a line.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only those of this process
    name: Option<String>,
    /// So many of the newest; all where nothing is said
    #[arg(short = 'n', long, value_parser = at_least_one)]
    lines: Option<usize>,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("none of the runs is nothing to list".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("write a whole number".to_owned()),
    }
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
            Output::Human => table(runs, data),
        }
        // Beside the list: what could not be read is missing in it.
        for (process, what) in damaged.iter().filter(|(process, _)| name.as_ref().is_none_or(|name| name == *process)) {
            output::note(&format!("warning: {process}: {}", damage_advice(what)));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn table(runs: &[RunSummary], data: &DataDir) {
    let mut table = Table::new(&["RUN", "PROCESS", "EVENT", "STARTED", " TOOK", " TURNS", " CALLS", " COST", "END", "WORDS"]);
    runs.iter().for_each(|run| table.row(row(run, data)));
    table.print();
}

fn row(run: &RunSummary, data: &DataDir) -> Vec<Cell> {
    let kind = run.event_kind.as_deref().unwrap_or("-");
    let took = took(run).unwrap_or_else(|| "-".into());
    let cost = run.cost.map_or_else(|| "-".into(), |cost| cost.to_string());
    vec![
        run.run.0.as_str().into(),
        run.process.as_str().into(),
        kind.into(),
        instant(run.started).into(),
        took.into(),
        run.turns.to_string().into(),
        run.calls.to_string().into(),
        cost.into(),
        Cell::from(outcome(run)).painted(outcome_colour(run.outcome)),
        words(run, data).into(),
    ]
}

fn outcome_colour(outcome: RunOutcome) -> Option<AnsiColors> {
    match outcome {
        RunOutcome::Open => None,
        RunOutcome::Ok => Some(AnsiColors::Green),
        RunOutcome::Failed => Some(AnsiColors::Red),
        RunOutcome::Held => Some(AnsiColors::Yellow),
    }
}
