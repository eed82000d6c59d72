//! What the commands that look back share.

use anyhow::{Result, anyhow, bail};
use chrono::{DateTime, Local, Utc};
use flyball_core_agent::text::one_line;
use flyball_journal::Record;
use flyball_journal::history::{RunSummary, Runs, process_id};
use serde_json::{Map, Value};

use crate::instance::DataDir;
use crate::manifest::did_you_mean;
use crate::story::plain;

/// All that a journal still knows.
pub struct Past {
    pub records: Vec<Record>,
    pub runs: Runs,
}

/// A text of several lines is cut to this in a line.
const MAX_TEXT: usize = 140;

impl Past {
    pub fn read(data: &DataDir) -> Result<Self> {
        let records = flyball_journal::read(&journal(data)?)?;
        let runs = Runs::of(&records, price);
        Ok(Self { records, runs })
    }

    /// The names of all processes.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.records.iter().map(|record| record.process.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The process with this name or id.
    pub fn process(&self, given: &str) -> Option<&str> {
        self.names().into_iter().find(|name| *name == given || process_id(name) == given)
    }

    /// The same, or an error with the names that there are.
    pub fn known_process(&self, given: &str) -> Result<&str> {
        self.process(given).ok_or_else(|| anyhow!("the journal knows no process '{given}'{}", self.instead(given)))
    }

    /// The run whose id is or begins with `given`.
    pub fn run(&self, given: &str) -> Result<&RunSummary> {
        Ok(self.runs.find(given)?)
    }

    /// What `given` may have meant.
    pub fn instead(&self, given: &str) -> String {
        let names = self.names();
        match did_you_mean(given, names.iter().copied()) {
            Some(question) => format!(", {question}"),
            None => format!("; it has: {}", names.join(", ")),
        }
    }
}

/// The journal's folder, which must be there.
pub fn journal(data: &DataDir) -> Result<std::path::PathBuf> {
    let journal = data.journal();
    if !journal.is_dir() {
        bail!("there is no journal under {}: name the directory of the run with --data", data.path().display());
    }
    Ok(journal)
}

/// A call's cost, as the budget noted it.
pub fn price(notes: &Map<String, Value>) -> Option<f64> {
    notes.get("budget")?.get("cost")?.as_f64()
}

/// A text from outside in one line that a terminal takes for nothing but text.
pub fn short(text: &str) -> String {
    one_line(&plain(text), MAX_TEXT)
}

/// An instant, in the zone of whoever reads it.
pub fn instant(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long a run took.
pub fn took(run: &RunSummary) -> Option<String> {
    let took = run.ended? - run.started;
    let millis = took.num_milliseconds();
    Some(if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", took.num_seconds()) })
}
