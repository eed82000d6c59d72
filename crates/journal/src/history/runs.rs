//! One line for each run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Effect, RunId, StepId};
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
    /// An operator has said what became of all its calls in doubt, and it has not gone on since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decided: bool,
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
    #[error("'{given}' may be any of {}{}: give more of the id", fitting.join(", "), and_more(*more))]
    Several {
        /// What was given.
        given: String,
        /// The first few that fit.
        fitting: Vec<String>,
        /// How many fit beside these.
        more: usize,
    },
}

/// Of several runs that fit, this many are named.
const NAMED: usize = 5;

impl FindRun {
    /// The only one of `fitting`, whose ids begin with `given`, oldest first.
    pub(crate) fn one_of<T>(given: &str, mut fitting: Vec<T>, id: impl Fn(&T) -> &RunId) -> Result<T, Self> {
        let given = given.to_owned();
        if fitting.len() > 1 {
            let more = fitting.len().saturating_sub(NAMED);
            let fitting = fitting.iter().take(NAMED).map(|one| id(one).0.clone()).collect();
            return Err(Self::Several { given, fitting, more });
        }
        fitting.pop().ok_or(Self::None(given))
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// What is counted of a run that has no end yet.
#[derive(Debug, Default)]
struct Steps {
    turns: BTreeSet<StepId>,
    /// With their costs.
    calls: BTreeMap<StepId, Option<f64>>,
    /// Calls that cannot be undone and have no result.
    unanswered: BTreeSet<StepId>,
}

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
                (summary.outcome, summary.decided) = (RunOutcome::Open, false);
                summary.said.clear();
            }
            Entry::ModelReply { run, step, .. } => self.step(run, |steps| {
                steps.turns.insert(step.clone());
            }),
            Entry::ToolCall { run, step, effect, notes, .. } => self.step(run, |steps| {
                steps.calls.entry(step.clone()).or_insert_with(|| price(notes));
                if *effect == Effect::Irreversible {
                    steps.unanswered.insert(step.clone());
                }
            }),
            Entry::ToolResult { run, step, .. } => self.step(run, |steps| {
                steps.unanswered.remove(step);
            }),
            Entry::InvocationHeld { run, why } => self.set(run, RunOutcome::Held, why, None),
            Entry::InvocationResult { run, outcome, .. } => self.set(run, RunOutcome::Ok, &outcome.reply, Some(record.at)),
            Entry::Settled { run, decision: Decision::Abort, note, .. } => {
                self.set(run, RunOutcome::Failed, &format!("given up by an operator: {note}"), Some(record.at));
            }
            Entry::Settled { run, step, .. } => self.settle(run, step),
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
                decided: false,
                said: String::new(),
                seq: record.seq,
            });
        }
        &mut self.all[place]
    }

    fn step(&mut self, run: &RunId, take: impl FnOnce(&mut Steps)) {
        // A step of a run whose beginning is no longer in the journal says too little of it.
        let Some(place) = self.places.get(run) else { return };
        let steps = self.steps.entry(run.clone()).or_default();
        take(steps);
        let summary = &mut self.all[*place];
        (summary.turns, summary.calls) = (steps.turns.len(), steps.calls.len());
        summary.cost = steps.calls.values().flatten().copied().reduce(|sum, cost| sum + cost);
    }

    /// A run that is held waits for all of its calls in doubt.
    fn settle(&mut self, run: &RunId, step: &StepId) {
        let mut all = false;
        self.step(run, |steps| {
            steps.unanswered.remove(step);
            all = steps.unanswered.is_empty();
        });
        if let Some(place) = self.places.get(run) {
            self.all[*place].decided = all;
        }
    }

    fn set(&mut self, run: &RunId, outcome: RunOutcome, said: &str, ended: Option<DateTime<Utc>>) {
        let Some(place) = self.places.get(run) else { return };
        let summary = &mut self.all[*place];
        (summary.outcome, summary.said, summary.ended) = (outcome, said.to_owned(), ended);
        summary.decided = false;
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
        assert!(matches!(runs.find("run-"), Err(FindRun::Several { fitting, more: 0, .. }) if fitting.len() == 2));
        assert_eq!(runs.find("x"), Err(FindRun::None("x".into())));
    }

    #[test]
    fn of_many_runs_that_fit_some_are_named_and_the_rest_are_counted() {
        let fitting: Vec<RunId> = (0..8).map(|number| RunId(format!("r{number}"))).collect();
        let told = FindRun::one_of("r", fitting, |run| run).expect_err("there are several").to_string();
        assert_eq!(told, "'r' may be any of r0, r1, r2, r3, r4 and 3 more: give more of the id");
    }

    #[test]
    fn a_run_is_decided_when_all_of_its_calls_are_and_until_it_goes_on() {
        let run = RunId("r".into());
        let begin = |attempt| Entry::InvocationStart { run: run.clone(), event_id: "e".into(), attempt, again: None };
        let call = |index| {
            let (step, effect) = (StepId::call(0, index), Effect::Irreversible);
            let (tool, args, notes) = ("pay".into(), Map::new(), Map::new());
            Entry::ToolCall { run: run.clone(), step, attempt: 1, tool, args, effect, notes }
        };
        let settled = |index| {
            let (event_id, step, decision) = ("e".into(), StepId::call(0, index), Decision::DidNotHappen);
            Entry::Settled { run: run.clone(), event_id, step, decision, note: String::new() }
        };
        let held = Entry::InvocationHeld { run: run.clone(), why: "in doubt".into() };
        let entries = [begin(1), call(0), call(1), held, settled(0), settled(1), begin(2)];
        let mut runs = Runs::default();
        let outcomes = (1..).zip(entries).map(|(seq, entry)| {
            let record = Record { seq, process: "p".into(), n: seq, epoch: 1, at: DateTime::UNIX_EPOCH, entry };
            runs.apply(&record, &price);
            runs.list()[0].decided
        });
        assert_eq!(outcomes.collect::<Vec<_>>(), [false, false, false, false, false, true, false]);
    }
}
