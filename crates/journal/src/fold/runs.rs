//! Runs that have no end yet.

use chrono::{DateTime, Utc};
use flyball_core_agent::{RunId, StepId, ToolReply, TriggerEvent};
use serde::{Deserialize, Serialize};

use super::ProcessFold;
use crate::tape::Tape;
use crate::{Again, Decision};

/// A run without an end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenRun {
    /// The event it handles.
    pub event_id: String,
    /// How often it was begun.
    pub attempt: u32,
    /// What it waits for, if it is held.
    pub held: Option<String>,
    /// How often it failed.
    pub failures: u32,
    /// After a failure: when it is tried again.
    pub retry_at: Option<DateTime<Utc>>,
    /// How often in a row it was cut off by a crash before it had recorded a further step.
    pub fruitless: u32,
    /// Its steps so far.
    pub tape: Tape,
    /// How many there were when it was last begun.
    steps_before: usize,
    /// It was not a crash that ended it last.
    excused: bool,
    /// An operator has decided what it was held for, and it has not begun again since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    decided: bool,
}

impl OpenRun {
    /// Why it begins again, if it does now and a run may be tried `of` times.
    pub fn again(&self, of: u32) -> Again {
        match self {
            Self { decided: true, .. } => Again::Decided,
            Self { held: Some(_), .. } => Again::Held,
            Self { retry_at: Some(_), failures, .. } => Again::Failed { times: *failures, of },
            _ => Again::CutOff,
        }
    }
}

impl ProcessFold {
    pub(super) fn begin(&mut self, run: RunId, event_id: String, attempt: u32) {
        let first = OpenRun { event_id, excused: true, ..OpenRun::default() };
        let open = self.open_runs.entry(run).or_insert(first);
        let steps = open.tape.len();
        open.fruitless = if open.excused || steps > open.steps_before { 0 } else { open.fruitless + 1 };
        (open.attempt, open.steps_before, open.excused) = (attempt, steps, false);
        (open.held, open.retry_at, open.decided) = (None, None, false);
    }

    pub(super) fn hold(&mut self, run: &RunId, why: &str) {
        if let Some(open) = self.open_runs.get_mut(run) {
            (open.held, open.excused) = (Some(why.to_owned()), true);
        }
    }

    pub(super) fn fail(&mut self, run: &RunId, retry_at: Option<DateTime<Utc>>) {
        if let Some(open) = self.open_runs.get_mut(run) {
            open.failures += 1;
            (open.retry_at, open.excused) = (retry_at, true);
        }
    }

    /// Whatever ends with the process was not cut off by a crash.
    pub(super) fn excuse_runs(&mut self) {
        self.open_runs.values_mut().for_each(|open| open.excused = true);
    }

    pub(super) fn settle(&mut self, run: &RunId, event_id: &str, step: &StepId, decision: &Decision) {
        let Some(open) = self.open_runs.get_mut(run) else { return };
        (open.held, open.decided) = (None, true);
        match decision {
            Decision::Happened { result } => open.tape.set_result(step, &ToolReply::ok(result)),
            Decision::DidNotHappen | Decision::Retry => open.tape.clear_doubt(step),
            Decision::Abort => {
                if self.end(run, event_id).is_some() {
                    self.events.cancelled += 1;
                }
                self.invocation_count += 1;
            }
        }
    }

    pub(super) fn tape(&mut self, run: &RunId, record: impl FnOnce(&Tape)) {
        if let Some(open) = self.open_runs.get(run) {
            record(&open.tape);
        }
    }

    pub(super) fn end(&mut self, run: &RunId, event_id: &str) -> Option<TriggerEvent> {
        self.open_runs.remove(run);
        self.close_event(event_id)
    }
}
