//! `flyball why`: a run's causes and effects, or what keeps a process from running.

mod process;
mod remedy;
mod run;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use flyball_core_agent::RunId;
use flyball_journal::Record;
use flyball_journal::history::{FindRun, RunTree, Runs};

use super::past::{Past, price};
use super::{At, Output, output};
use crate::instance::DataDir;

/// Tell why a run happened, or why a process does not run.
#[derive(Debug, Args)]
pub struct Why {
    /// A run, of whose id the beginning is enough, or a process's name or id
    about: String,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Why {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let mut past = Past::open(data)?;
        if let Some(name) = past.process(&self.about)? {
            let damage = past.damaged()?.remove(&name);
            let history = past.journal_of(&name)?;
            let (records, unfinished) = (history.standing(&name)?, history.unfinished()?);
            drop(past);
            let standing = process::Standing::of((&records, &unfinished), &name, data, damage).await;
            match self.output {
                Output::Json => output::json(&standing)?,
                Output::Human => standing.lines(data).iter().for_each(|line| output::line(line)),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let tree = match past.find_run(&self.about)? {
            Ok(run) => tree(&past.tree_of(&run)?, &run)?,
            Err(FindRun::None(given)) => {
                let instead = past.instead(&given)?;
                bail!("the journal knows no run and no process '{given}'{instead} (`flyball runs` lists the runs)")
            }
            Err(several) => return Err(several.into()),
        };
        drop(past);
        match self.output {
            Output::Json => output::json(&tree)?,
            Output::Human => run::lines(&tree).iter().for_each(|line| output::line(line)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The tree of `run`, which is in `records`.
pub fn tree(records: &[Record], run: &RunId) -> Result<RunTree, FindRun> {
    let runs = Runs::of(records, price);
    Ok(RunTree::of(records, &runs, runs.find(&run.0)?, price))
}
