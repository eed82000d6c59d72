//! What the commands that look back share: the journals of a data directory, as one past.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use flyball_core_agent::RunId;
use flyball_core_agent::text::one_line;
use flyball_journal::history::{FindRun, RunSummary, process_id};
use flyball_journal::{Entry, History, Record};
use serde_json::{Map, Value};

use super::decide::goes_on;
use super::output;
use crate::instance::DataDir;
use crate::manifest::did_you_mean;
use crate::story::plain;

/// What the journals still know. It owns their indexes: a command drops it before it prints, for
/// nobody knows how long whoever reads takes, or whether he goes away.
pub struct Past {
    /// Never empty.
    journals: Vec<Journal>,
}

/// One of them.
pub struct Journal {
    pub dir: PathBuf,
    pub history: History,
}

/// A text of several lines is cut to this in a line.
const MAX_TEXT: usize = 140;

impl Past {
    /// For who wants to know something.
    pub fn open(data: &DataDir) -> Result<Self> {
        Self::of(&journals(data)?, History::open)
    }

    /// For who wants all of it.
    pub fn whole(data: &DataDir) -> Result<Self> {
        Self::of(&journals(data)?, History::without_index)
    }

    /// Of the journals in these folders, of which there must be one.
    pub fn of(dirs: &[PathBuf], open: impl Fn(&Path) -> Result<History, flyball_journal::Error>) -> Result<Self> {
        let opened = dirs.iter().map(|dir| Ok(Journal { dir: dir.clone(), history: open(dir)? }));
        Ok(Self { journals: opened.collect::<Result<_>>()? })
    }

    /// Each journal, that of the data directory first.
    pub fn journals(&mut self) -> &mut [Journal] {
        &mut self.journals
    }

    /// The names of all processes, sorted.
    pub fn names(&mut self) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for journal in &mut self.journals {
            names.extend(journal.history.names()?);
        }
        Ok(names.into_iter().collect())
    }

    /// The process with this name or id.
    pub fn process(&mut self, given: &str) -> Result<Option<String>> {
        Ok(self.names()?.into_iter().find(|name| *name == given || process_id(name) == given))
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
        let names = self.names()?;
        let known = names.join(", ");
        Ok(match did_you_mean(given, names.iter().map(String::as_str)) {
            Some(question) => format!(", {question} It has: {known}"),
            None if names.is_empty() => ": no process has been started yet".to_owned(),
            None => format!("; it has: {known}"),
        })
    }

    /// The processes that do not run because of damage, and what is damaged.
    pub fn damaged(&self) -> Result<BTreeMap<String, String>> {
        let each = self.journals.iter().map(|journal| flyball_journal::damaged(&journal.dir));
        Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The journal of a process: where it wrote last, if it was moved from one to another.
    pub fn journal_of(&mut self, process: &str) -> Result<&mut History> {
        let (mut newest, mut at) = (0, None);
        for (index, journal) in self.journals.iter_mut().enumerate() {
            let last = journal.history.newest(Some(process), 1, |_| true)?.last().map(|record| record.at);
            if last > at {
                (newest, at) = (index, last);
            }
        }
        Ok(&mut self.journals[newest].history)
    }

    /// The one run whose id is or begins with `given`.
    pub fn find_run(&mut self, given: &str) -> Result<Result<RunId, FindRun>> {
        let (mut fitting, mut unnamed) = (BTreeSet::new(), 0);
        for journal in &mut self.journals {
            match journal.history.find_run(given)? {
                Ok(run) if run.0 == given => return Ok(Ok(run)),
                Ok(run) => fitting.extend([run.0]),
                Err(FindRun::Several { fitting: several, more, .. }) => {
                    fitting.extend(several);
                    unnamed += more;
                }
                Err(FindRun::None(_)) => {}
            }
        }
        let given = given.to_owned();
        let mut fitting: Vec<String> = fitting.into_iter().collect();
        if fitting.len() > 1 {
            return Ok(Err(FindRun::Several { given, fitting, more: unnamed }));
        }
        Ok(fitting.pop().map(RunId).ok_or(FindRun::None(given)))
    }

    /// What became of an event: what [`History::of_event`] has of it, in any journal.
    pub fn of_event(&mut self, event_id: &str) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for journal in &mut self.journals {
            records.extend_from_slice(&journal.history.of_event(event_id)?);
        }
        Ok(records)
    }

    /// For a run's tree: its records, and those of what led to it and what it caused, in any journal.
    pub fn tree_of(&mut self, run: &RunId) -> Result<Arc<[Record]>> {
        if let [journal] = self.journals.as_mut_slice() {
            return Ok(journal.history.tree_of(run)?);
        }
        let (mut known, mut next) = (BTreeSet::from([run.clone()]), vec![run.clone()]);
        let mut found: Vec<Vec<Record>> = self.journals.iter().map(|_| Vec::new()).collect();
        while let Some(run) = next.pop() {
            for (journal, found) in self.journals.iter_mut().zip(&mut found) {
                let records = journal.history.tree_of(&run)?;
                // Each run that another journal may know more of is asked for there.
                next.extend(records.iter().filter_map(mentions).filter(|run| known.insert(run.clone())));
                found.extend_from_slice(&records);
            }
        }
        for found in &mut found {
            found.sort_by_key(|record| record.seq);
            found.dedup_by_key(|record| record.seq);
        }
        Ok(found.into_iter().flatten().collect())
    }
}

/// The run that a record is about, or that caused it.
fn mentions(record: &Record) -> Option<RunId> {
    match &record.entry {
        Entry::TriggerEvent { event, .. } => event.cause.as_ref().map(|cause| RunId(cause.run.clone())),
        entry => entry.run().cloned(),
    }
}

/// The folders of the journals of a data directory, its own first; it must be there. One that is gone is
/// told and left out.
pub fn journals(data: &DataDir) -> Result<Vec<PathBuf>> {
    let own = data.journal();
    if !own.is_dir() {
        bail!("there is no journal under {}: name the directory of the run with --data", data.path().display());
    }
    let mut journals = vec![own];
    for elsewhere in data.journals_elsewhere()? {
        if elsewhere.is_dir() {
            journals.push(elsewhere);
        } else {
            output::note(&format!("warning: the journal {} is not there any more; it is left out", elsewhere.display()));
        }
    }
    Ok(journals)
}

/// A call's cost, as the budget noted it.
pub fn price(notes: &Map<String, Value>) -> Option<f64> {
    notes.get("budget")?.get("cost")?.as_f64()
}

/// A text from outside in one line that a terminal takes for nothing but text.
pub fn short(text: &str) -> String {
    one_line(&plain(text), MAX_TEXT)
}

/// What is said of a process that does not run because of damage.
pub fn damage_advice(what: &str) -> String {
    format!(
        "its journal is damaged, and it will not run on a guess: {} (`flyball journal verify` says where; put that segment back from a copy, or start the agent under another name)",
        short(what)
    )
}

/// How a run stands, in a word.
pub fn outcome(run: &RunSummary) -> String {
    if run.decided { "decided".to_owned() } else { run.outcome.to_string() }
}

/// A run's last words; of one that has none yet because an operator has only just decided, what it does next.
pub fn words(run: &RunSummary, data: &DataDir) -> String {
    if run.decided { goes_on(data) } else { short(&run.said) }
}

/// How long a run took.
pub fn took(run: &RunSummary) -> Option<String> {
    let took = run.ended? - run.started;
    let millis = took.num_milliseconds();
    Some(if millis < 10_000 { format!("{millis} ms") } else { format!("{} s", took.num_seconds()) })
}
