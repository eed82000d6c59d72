//! One line for each run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use chrono::{DateTime, Utc};
use flyball_core_agent::{RunId, StepId};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Decision, Entry, Record};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// It came to its end.
    Ok,
    /// It failed for good.
    Failed,
    /// It waits for an answer.
    Held,
    /// It has no end yet.
    Open,
}

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Open => "open",
        })
    }
}

/// A run in short.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSummary {
    /// Which one.
    pub run: RunId,
    /// Whose.
    pub process: String,
    /// The event that it handles.
    pub event_id: String,
    /// The event's kind, where its record is left.
    pub event_kind: Option<String>,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it ended, if it did.
    pub ended: Option<DateTime<Utc>>,
    /// How often it was begun.
    pub attempts: u32,
    /// Answers of a model.
    pub turns: usize,
    /// Calls that left, each counted once however often it was tried.
    pub calls: usize,
    /// What the calls cost, where someone set a price.
    pub cost: Option<f64>,
    /// How it stands.
    pub outcome: RunOutcome,
    /// Its last words, its error, or what it waits for.
    pub said: String,
    /// The record that began it.
    pub seq: u64,
}

/// No single run is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindRun {
    /// No run's id begins so.
    #[error("no run's id begins with '{0}'")]
    None(String),
    /// More than one does. Give more of it.
    #[error("'{given}' may be any of {}: give more of the id", fitting.join(", "))]
    Several {
        /// What was given.
        given: String,
        /// The first few that fit.
        fitting: Vec<String>,
    },
}

/// Of several runs that fit, this many are named.
const NAMED: usize = 5;

impl FindRun {
    /// The only one of `fitting`, whose ids begin with `given`, oldest first.
    pub(crate) fn one_of<T>(given: &str, mut fitting: Vec<T>, id: impl Fn(&T) -> &RunId) -> Result<T, Self> {
        let given = given.to_owned();
        if fitting.len() > 1 {
            let fitting = fitting.iter().take(NAMED).map(|one| id(one).0.clone()).collect();
            return Err(Self::Several { given, fitting });
        }
        fitting.pop().ok_or(Self::None(given))
    }
}

/// A run's turns, and its calls with their costs.
type Steps = (BTreeSet<StepId>, BTreeMap<StepId, Option<f64>>);

/// Every run of some records, in the order in which they began.
#[derive(Debug, Default)]
pub struct Runs {
    all: Vec<RunSummary>,
    places: HashMap<RunId, usize>,
    steps: HashMap<RunId, Steps>,
    kinds: HashMap<(String, String), String>,
}

impl Runs {
    /// The runs of `records`. `price` reads a call's cost out of what layers noted on it.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>, price: impl Fn(&Map<String, Value>) -> Option<f64>) -> Self {
        let mut runs = Self::default();
        for record in records {
            runs.apply(record, &price);
        }
        runs
    }

    /// All of them, oldest first.
    pub fn list(&self) -> &[RunSummary] {
        &self.all
    }

    /// The run with this id.
    pub fn get(&self, run: &RunId) -> Option<&RunSummary> {
        self.places.get(run).map(|place| &self.all[*place])
    }

    /// The one run whose id is or begins with `given`, or the reason why there is none such.
    pub fn find(&self, given: &str) -> Result<&RunSummary, FindRun> {
        if let Some(run) = self.get(&RunId(given.to_owned())) {
            return Ok(run);
        }
        FindRun::one_of(given, self.all.iter().filter(|run| run.run.0.starts_with(given)).collect(), |run| &run.run)
    }

    fn apply(&mut self, record: &Record, price: &impl Fn(&Map<String, Value>) -> Option<f64>) {
        match &record.entry {
            Entry::TriggerEvent { event, .. } => {
                self.kinds.insert((record.process.clone(), event.event_id.clone()), event.trigger_type.clone());
            }
            Entry::InvocationStart { run, event_id, attempt, .. } => {
                let summary = self.begun(record, run, event_id);
                summary.attempts = summary.attempts.max(*attempt);
                summary.outcome = RunOutcome::Open;
                summary.said.clear();
            }
            Entry::ModelReply { run, step, .. } => self.step(run, |turns, _| {
                turns.insert(step.clone());
            }),
            Entry::ToolCall { run, step, notes, .. } => {
                self.step(run, |_, calls| {
                    calls.entry(step.clone()).or_insert_with(|| price(notes));
                });
            }
            Entry::InvocationHeld { run, why } => self.set(run, RunOutcome::Held, why, None),
            Entry::InvocationResult { run, outcome, .. } => self.set(run, RunOutcome::Ok, &outcome.reply, Some(record.at)),
            Entry::Settled { run, decision: Decision::Abort, note, .. } => {
                self.set(run, RunOutcome::Failed, &format!("given up by an operator: {note}"), Some(record.at));
            }
            Entry::Error { run, error, last: true, .. } => self.set(run, RunOutcome::Failed, error, Some(record.at)),
            Entry::Error { run, error, last: false, .. } => self.set(run, RunOutcome::Open, error, None),
            _ => {}
        }
    }

    fn begun(&mut self, record: &Record, run: &RunId, event_id: &str) -> &mut RunSummary {
        let place = *self.places.entry(run.clone()).or_insert(self.all.len());
        if place == self.all.len() {
            let event_kind = self.kinds.get(&(record.process.clone(), event_id.to_owned())).cloned();
            self.all.push(RunSummary {
                run: run.clone(),
                process: record.process.clone(),
                event_id: event_id.to_owned(),
                event_kind,
                started: record.at,
                ended: None,
                attempts: 0,
                turns: 0,
                calls: 0,
                cost: None,
                outcome: RunOutcome::Open,
                said: String::new(),
                seq: record.seq,
            });
        }
        &mut self.all[place]
    }

    fn step(&mut self, run: &RunId, take: impl FnOnce(&mut BTreeSet<StepId>, &mut BTreeMap<StepId, Option<f64>>)) {
        // A step of a run whose beginning is no longer in the journal says too little of it.
        let Some(place) = self.places.get(run) else { return };
        let (turns, calls) = self.steps.entry(run.clone()).or_default();
        take(turns, calls);
        let summary = &mut self.all[*place];
        (summary.turns, summary.calls) = (turns.len(), calls.len());
        summary.cost = calls.values().flatten().copied().reduce(|sum, cost| sum + cost);
    }

    fn set(&mut self, run: &RunId, outcome: RunOutcome, said: &str, ended: Option<DateTime<Utc>>) {
        let Some(place) = self.places.get(run) else { return };
        let summary = &mut self.all[*place];
        (summary.outcome, summary.said, summary.ended) = (outcome, said.to_owned(), ended);
        if ended.is_some() {
            // The numbers stand in the summary by now.
            self.steps.remove(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sample;

    fn price(notes: &Map<String, Value>) -> Option<f64> {
        notes.get("budget")?["cost"].as_f64()
    }

    #[test]
    fn a_run_is_one_line_with_its_turns_calls_and_cost() {
        let records = sample::records();
        let runs = Runs::of(&records, price);
        let [first, second] = runs.list() else { panic!("{:?}", runs.list()) };
        assert_eq!((first.turns, first.calls, first.cost), (2, 1, Some(2.5)), "a call that is tried again counts once");
        assert_eq!((first.outcome, first.said.as_str(), first.attempts), (RunOutcome::Ok, "raised", 2));
        assert_eq!((first.event_kind.as_deref(), first.ended.is_some()), (Some("cron"), true));
        assert_eq!((second.outcome, second.said.as_str(), second.ended), (RunOutcome::Held, "in doubt", None));
    }

    #[test]
    fn a_run_is_found_by_the_beginning_of_its_id_where_only_one_begins_so() {
        let records = sample::records();
        let runs = Runs::of(&records, price);
        assert_eq!(runs.find("run-a").map(|run| run.process.as_str()), Ok("monitor"));
        assert!(matches!(runs.find("run-"), Err(FindRun::Several { fitting, .. }) if fitting.len() == 2));
        assert_eq!(runs.find("x"), Err(FindRun::None("x".into())));
    }
}
