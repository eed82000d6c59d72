//! A process's records, read by what a test asks of them.

use flyball::core_agent::{Outcome, StepId, ToolReply, TriggerEvent};
use flyball::journal::{Entry, LifecycleState, Record};
use serde_json::{Map, Value};

/// A process's records, oldest first.
pub struct Reading {
    pub records: Vec<Record>,
}

/// The kinds of records in their order.
pub fn kinds(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|record| record.entry.kind()).collect()
}

/// Where a call stands in its run: `t2.c1` is (2, 1).
fn place(step: &StepId) -> (u32, u32) {
    let parts = step.0.strip_prefix('t').and_then(|step| step.split_once(".c"));
    let (turn, call) = parts.expect("a call's step");
    (turn.parse().expect("a turn"), call.parse().expect("a call"))
}

impl Reading {
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    fn all<'a, T>(&'a self, pick: impl Fn(&'a Entry) -> Option<T>) -> Vec<T> {
        self.records.iter().filter_map(|record| pick(&record.entry)).collect()
    }

    /// The events that were taken in.
    pub fn events(&self) -> Vec<&TriggerEvent> {
        self.all(|entry| match entry {
            Entry::TriggerEvent { event, .. } => Some(event),
            _ => None,
        })
    }

    /// The calls that left, each with its tool and arguments.
    pub fn calls(&self) -> Vec<(&str, &Map<String, Value>)> {
        self.all(|entry| match entry {
            Entry::ToolCall { tool, args, .. } => Some((tool.as_str(), args)),
            _ => None,
        })
    }

    /// The answers in the order of their calls, and whether a layer gave them in the tool's place.
    pub fn results(&self) -> Vec<(&ToolReply, bool)> {
        let mut results = self.all(|entry| match entry {
            Entry::ToolResult { run, step, reply, refused, .. } => Some(((run, place(step)), (reply, *refused))),
            _ => None,
        });
        // Calls of one turn are made side by side, and are answered as they come.
        results.sort_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The steps in which a model answered.
    pub fn turns(&self) -> Vec<&str> {
        self.all(|entry| match entry {
            Entry::ModelReply { step, .. } => Some(step.0.as_str()),
            _ => None,
        })
    }

    /// How runs ended that did not fail.
    pub fn outcomes(&self) -> Vec<&Outcome> {
        self.all(|entry| match entry {
            Entry::InvocationResult { outcome, .. } => Some(outcome),
            _ => None,
        })
    }

    /// The last run's final words.
    pub fn last_reply(&self) -> &str {
        &self.outcomes().last().expect("a run ended").reply
    }

    /// Why runs failed.
    pub fn errors(&self) -> Vec<&str> {
        self.all(|entry| match entry {
            Entry::Error { error, .. } => Some(error.as_str()),
            _ => None,
        })
    }

    /// What a layer noted.
    pub fn notes(&self, of: &str) -> Vec<&Value> {
        self.all(|entry| match entry {
            Entry::Note { layer, body, .. } if layer == of => Some(body),
            _ => None,
        })
    }

    /// The states it moved to.
    pub fn states(&self) -> Vec<LifecycleState> {
        self.all(|entry| match entry {
            Entry::StateTransition { to_state, .. } => Some(*to_state),
            _ => None,
        })
    }
}
