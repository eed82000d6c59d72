//! `flyball why`: a run's causes and effects, or what keeps a process from running.

mod event;
mod letter;
mod process;
mod remedy;
mod run;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use flyball_core_agent::RunId;
use flyball_journal::Record;
use flyball_journal::history::{FindRun, RunTree, Runs};
use serde::Serialize;

use super::past::{Past, price};
use super::suggest::command;
use super::{At, Output, output};
use crate::instance::DataDir;

/// Tell why a run happened, or why a process does not run.
#[derive(Debug, Args)]
pub struct Why {
    /// A run, of whose id the beginning is enough, an event's id, or a process's name or id
    about: String,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// A run's tree, and an operator's part in it.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    tree: RunTree,
    #[serde(flatten)]
    letter: letter::Letter,
}

impl Why {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let mut past = Past::open(data)?;
        if let Some(name) = past.process(&self.about)? {
            return self.process(past, &name, data).await;
        }
        match past.find_run(&self.about)? {
            Ok(run) => self.run(past, &run, data),
            Err(FindRun::None(given)) => self.event(past, &given, data),
            Err(several) => Err(several.into()),
        }
    }

    /// Where a runtime has it and could not be asked, half of the answer is missing: that is a failure.
    async fn process(&self, mut past: Past, name: &str, data: &DataDir) -> Result<ExitCode> {
        let damage = past.damaged()?.remove(name);
        let history = past.journal_of(name)?;
        let (records, unfinished) = (history.standing(name)?, history.unfinished()?);
        drop(past);
        let standing = process::Standing::of((&records, &unfinished), name, data, damage).await;
        match self.output {
            Output::Json => output::json(&standing)?,
            Output::Human => standing.lines(data).iter().for_each(|line| output::line(line)),
        }
        Ok(if standing.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn run(&self, mut past: Past, run: &RunId, data: &DataDir) -> Result<ExitCode> {
        let tree = tree(&past.tree_of(run)?, run)?;
        let letter = letter::Letter::of(&tree.run, &past.of_event(&tree.run.event_id)?);
        drop(past);
        match self.output {
            Output::Json => output::json(&Told { tree, letter })?,
            Output::Human => run::lines(&tree, &letter, data).iter().for_each(|line| output::line(line)),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The run that handles the event, or what became of it in each process that took it in.
    fn event(&self, mut past: Past, given: &str, data: &DataDir) -> Result<ExitCode> {
        let taken = event::taken(given, &past.of_event(given)?);
        if taken.is_empty() {
            let (instead, runs) = (past.instead(given)?, command(data, "runs"));
            bail!("the journal knows no run, no event and no process '{given}'{instead} (`{runs}` lists the runs)")
        }
        if let [event::Taken { run: Some(run), .. }] = taken.as_slice() {
            return self.run(past, run, data);
        }
        drop(past);
        match self.output {
            Output::Json => output::json(&taken)?,
            Output::Human => taken.iter().for_each(|taken| output::line(&taken.line())),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The tree of `run`, which is in `records`.
pub fn tree(records: &[Record], run: &RunId) -> Result<RunTree, FindRun> {
    let runs = Runs::of(records, price);
    Ok(RunTree::of(records, &runs, runs.find(&run.0)?, price))
}
