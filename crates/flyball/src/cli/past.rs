//! What the commands that look back share.

use anyhow::{Result, bail};
use chrono::{DateTime, Local, Utc};
use flyball_core_agent::text::one_line;
use flyball_journal::History;
use flyball_journal::history::{RunSummary, process_id};
use serde_json::{Map, Value};

use crate::instance::DataDir;
use crate::manifest::did_you_mean;
use crate::story::plain;

/// What a journal still knows. It owns the journal's index: a command drops it before it prints, for
/// nobody knows how long whoever reads takes, or whether he goes away.
pub struct Past {
    pub history: History,
}

/// A text of several lines is cut to this in a line.
const MAX_TEXT: usize = 140;

impl Past {
    /// For who wants to know something.
    pub fn open(data: &DataDir) -> Result<Self> {
        Ok(Self { history: History::open(&journal(data)?)? })
    }

    /// For who wants all of it.
    pub fn whole(data: &DataDir) -> Result<Self> {
        Ok(Self { history: History::without_index(&journal(data)?)? })
    }

    /// The process with this name or id.
    pub fn process(&mut self, given: &str) -> Result<Option<String>> {
        Ok(self.history.names()?.into_iter().find(|name| *name == given || process_id(name) == given))
    }

    /// The same, or an error with the names that there are.
    pub fn known_process(&mut self, given: &str) -> Result<String> {
        match self.process(given)? {
            Some(name) => Ok(name),
            None => bail!("the journal knows no process '{given}'{}", self.instead(given)?),
        }
    }

    /// What `given` may have meant.
    pub fn instead(&mut self, given: &str) -> Result<String> {
        let names = self.history.names()?;
        Ok(match did_you_mean(given, names.iter().map(String::as_str)) {
            Some(question) => format!(", {question}"),
            None => format!("; it has: {}", names.join(", ")),
        })
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
