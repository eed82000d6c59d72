//! Why a run happened, what it did, and what it caused.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use flyball_core_agent::{RunId, StepId, TriggerEvent};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{RunSummary, Runs};
use crate::{Entry, Record};

/// A run with its causes, its steps and its effects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunTree {
    /// The run.
    pub run: RunSummary,
    /// The events behind it, its own first; each one but the last was caused by a run that handled
    /// the one after it.
    pub causes: Vec<Because>,
    /// Its records, in order.
    pub moments: Vec<Moment>,
    /// The events that it caused in any process.
    pub caused: Vec<Caused>,
}

/// An event and the run that it began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Because {
    /// The record that took it in.
    pub seq: u64,
    /// The process that took it in.
    pub process: String,
    /// The run that handled it.
    pub run: RunId,
    /// The event.
    pub event: TriggerEvent,
}

/// One record of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What a call that it records costs, where someone set a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// What was recorded.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Moment {
    /// The step that it is about, if it is about one.
    pub fn step(&self) -> Option<&StepId> {
        match &self.entry {
            Entry::ModelReply { step, .. } | Entry::ToolCall { step, .. } | Entry::ToolResult { step, .. } => Some(step),
            _ => None,
        }
    }
}

/// An event that a run caused, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Caused {
    /// The record that took it in.
    pub seq: u64,
    /// The process that took it in.
    pub process: String,
    /// The event.
    pub event: TriggerEvent,
    /// The run that it began, if it began one.
    pub run: Option<RunSummary>,
    /// What that run caused in turn.
    pub caused: Vec<Caused>,
}

/// Causes and effects are followed so far; agents that wake each other are stopped long before.
pub(crate) const MAX_DEPTH: usize = 32;

impl RunTree {
    /// The tree of `run`, one of `runs`, which are those of `records`.
    pub fn of(records: &[Record], runs: &Runs, run: &RunSummary, price: impl Fn(&Map<String, Value>) -> Option<f64>) -> Self {
        let of_run = records.iter().filter(|record| record.process == run.process && record.entry.run() == Some(&run.run));
        let moments = of_run.map(|record| Moment {
            seq: record.seq,
            at: record.at,
            cost: match &record.entry {
                Entry::ToolCall { notes, .. } => price(notes),
                _ => None,
            },
            entry: record.entry.clone(),
        });
        let mut seen = HashSet::from([&run.run]);
        Self {
            run: run.clone(),
            causes: causes(records, runs, run),
            moments: moments.collect(),
            caused: effects(records, runs, &run.run, &mut seen, 0),
        }
    }
}

fn causes(records: &[Record], runs: &Runs, run: &RunSummary) -> Vec<Because> {
    let mut causes = Vec::new();
    let mut run = Some(run);
    while let Some(of) = run.take().filter(|_| causes.len() < MAX_DEPTH) {
        let Some((record, event)) =
            taken(records).find(|(record, event)| record.process == of.process && event.event_id == of.event_id)
        else {
            break;
        };
        causes.push(Because { seq: record.seq, process: of.process.clone(), run: of.run.clone(), event: event.clone() });
        run = event.cause.as_ref().and_then(|cause| runs.get(&RunId(cause.run.clone())));
    }
    causes
}

fn effects<'a>(records: &[Record], runs: &'a Runs, run: &RunId, seen: &mut HashSet<&'a RunId>, depth: usize) -> Vec<Caused> {
    let by_run = |event: &TriggerEvent| event.cause.as_ref().is_some_and(|cause| cause.run == run.0);
    let mut caused = Vec::new();
    for (record, event) in taken(records).filter(|(_, event)| by_run(event)) {
        let of_event = |run: &&RunSummary| run.process == record.process && run.event_id == event.event_id;
        let began = runs.list().iter().find(of_event);
        let further = match began {
            Some(began) if depth < MAX_DEPTH && seen.insert(&began.run) => effects(records, runs, &began.run, seen, depth + 1),
            _ => Vec::new(),
        };
        let (process, event) = (record.process.clone(), event.clone());
        caused.push(Caused { seq: record.seq, process, event, run: began.cloned(), caused: further });
    }
    caused
}

/// The events that were taken in.
fn taken(records: &[Record]) -> impl Iterator<Item = (&Record, &TriggerEvent)> {
    records.iter().filter_map(|record| match &record.entry {
        Entry::TriggerEvent { event, .. } => Some((record, event)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sample;

    #[test]
    fn a_run_leads_back_to_the_first_event_and_on_to_what_it_caused() {
        let records = sample::records();
        let runs = Runs::of(&records, |_| None);
        let tree = |id: &str| RunTree::of(&records, &runs, runs.find(id).expect("it is there"), |_| None);
        let second = tree("run-b");
        let kinds: Vec<&str> = second.causes.iter().map(|cause| cause.event.trigger_type.as_str()).collect();
        assert_eq!(kinds, ["event", "cron"]);
        let first = tree("run-a");
        let [caused] = first.caused.as_slice() else { panic!("{:?}", first.caused) };
        assert_eq!((caused.process.as_str(), caused.run.as_ref().map(|run| run.run.0.as_str())), ("analyst", Some("run-b")));
        let steps: Vec<&str> = first.moments.iter().filter_map(|moment| Some(moment.step()?.0.as_str())).collect();
        assert_eq!(steps, ["t0", "t0.c0", "t0.c0", "t0.c0", "t1"]);
    }
}
