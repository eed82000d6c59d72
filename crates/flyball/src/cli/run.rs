//! `flyball run`: from manifests to a runtime that is watched until its end.

mod banner;
mod ending;
mod hangup;
mod start;
mod tell;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use flyball_journal::Retention;
use serde::Serialize;

use super::validate::{self, MISTAKE};
use super::{At, Output, output};
use crate::housekeeping;
use crate::instance::DataDir;
use crate::manifest::{self, Manifest};
use ending::{Ending, Signals};
use hangup::Hangup;

/// Run the agents of a manifest, or of every *.agent file in a directory.
#[derive(Debug, Args)]
pub struct Run {
    /// A manifest, or a directory of *.agent files with an optional flyball.yaml
    path: PathBuf,
    #[command(flatten)]
    pub(super) at: At,
    /// Where the API listens [default: 127.0.0.1:9100, or the next free port]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// What the API asks of those who call it; needed where it listens beyond this machine
    #[arg(long, value_name = "TOKEN", env = "FLYBALL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// When the run ends by itself [default: as flyball.yaml says, or signal]
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// How to print: json prints a line for what there is at the start, one for every record, and one for the end
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// When every mission is over.
    Mission,
    /// When it is told to.
    Signal,
}

/// Such a run would never end.
const NO_MISSION: &str = "the run is to end when every mission is over (`--until mission`, or `until` in flyball.yaml), and no agent has \
     a mission that is enabled: write `mission: {enabled: true, …}` into a manifest, or say `--until signal`";

/// Everything that is settled before anything is started.
struct Plan {
    manifests: Vec<Manifest>,
    data: DataDir,
    listen: Option<String>,
    token: Option<String>,
    until: Until,
    output: Output,
    retention: Retention,
    /// When what need not be kept is dropped. Nobody sets it but a test, which cannot wait for so long.
    compaction: &'static str,
}

impl Run {
    pub async fn execute(self, data: Option<PathBuf>) -> Result<ExitCode> {
        let plan = match self.plan(data) {
            Ok(plan) => plan,
            Err(mistakes) => {
                output::note(&mistakes.to_string());
                return Ok(ExitCode::from(MISTAKE));
            }
        };
        if plan.until == Until::Mission && !plan.manifests.iter().any(|manifest| manifest.config.mission.enabled) {
            output::fail(&anyhow!(NO_MISSION));
            return Ok(ExitCode::from(MISTAKE));
        }
        plan.manifests.iter().for_each(validate::warn);
        // The journal is the record; what is printed is a view of it.
        output::is_a_view();
        // Heard from here on: whoever finds the instance announced may ask it to stop.
        let (mut signals, mut hangup) = (Signals::listen()?, Hangup::listen()?);
        let running = tokio::select! {
            running = start::start(&plan) => running?,
            signal = signals.next() => return Ok(ending::before_it_began(&plan.data, signal)),
            () = hangup.comes() => return Ok(ending::before_it_began(&plan.data, hangup::NAME)),
        };
        let ending = tokio::select! {
            ending = ending::wait(&running, plan.until, &mut signals) => ending,
            () = hangup.comes() => Ending::Signal(hangup::NAME),
        };
        running.finish(ending, plan.output, &mut signals).await
    }

    fn plan(self, data: Option<PathBuf>) -> Result<Plan, manifest::ManifestError> {
        let (manifests, file) = validate::load(&self.path)?;
        let data = data.or(file.data).unwrap_or_else(|| PathBuf::from(super::DEFAULT_DATA));
        let until = self.until.unwrap_or(match file.until {
            manifest::Until::Mission => Until::Mission,
            manifest::Until::Signal => Until::Signal,
        });
        let listen = self.listen.or(file.listen);
        let retention = file.keep.retention();
        let (data, compaction) = (DataDir::new(&data), housekeeping::COMPACTION);
        Ok(Plan { manifests, data, listen, token: self.token, until, output: self.output, retention, compaction })
    }
}

#[cfg(test)]
mod tests;
