//! `flyball why`: a run's causes and effects, or what keeps a process from running.

mod process;
mod run;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use flyball_journal::history::{FindRun, RunTree};

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
        let past = Past::read(data)?;
        if let Some(name) = past.process(&self.about) {
            let standing = process::Standing::of(&past, name, data).await;
            match self.output {
                Output::Json => output::json(&standing)?,
                Output::Human => standing.lines(data).iter().for_each(|line| output::line(line)),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let run = match past.runs.find(&self.about) {
            Ok(run) => run,
            Err(FindRun::None(given)) => {
                bail!("the journal knows no run and no process '{given}'{} (`flyball runs` lists the runs)", past.instead(&given))
            }
            Err(several) => return Err(several.into()),
        };
        let tree = RunTree::of(&past.records, &past.runs, run, price);
        match self.output {
            Output::Json => output::json(&tree)?,
            Output::Human => run::lines(&tree).iter().for_each(|line| output::line(line)),
        }
        Ok(ExitCode::SUCCESS)
    }
}
