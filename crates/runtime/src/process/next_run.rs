//! Which event is handled next. Decided from what the process is and the time alone.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{RunId, TriggerEvent};
use flyball_journal::{OpenRun, ProcessFold};

use crate::Delivery;

/// A run that a crash cut off so often in a row, without one further step on record, is what brings
/// the process down: it is not begun any more.
const MAX_FRUITLESS: u32 = 10;

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Choice {
    /// Begin this run, or begin it again.
    Begin { run: RunId, event: TriggerEvent, attempt: u32 },
    /// The event waited too long.
    Expire { event_id: String, why: String },
    /// The run cannot be begun any more.
    GiveUp { run: RunId, event_id: String, why: String },
    /// Nothing can be begun now.
    Nothing,
}

/// What is known beside the process's records.
pub(super) struct Known<'a> {
    pub process: &'a str,
    pub delivery: &'a Delivery,
    /// The events whose runs are on.
    pub busy: &'a BTreeSet<String>,
    /// The runs that are not tried before someone answers what they wait for.
    pub waiting: &'a BTreeSet<RunId>,
    /// Whether events of a trigger are handled one after the other.
    pub is_serial: &'a dyn Fn(&str) -> bool,
    pub now: DateTime<Utc>,
}

impl Known<'_> {
    /// Runs that were cut off and events in the order in which they came.
    pub fn choose(&self, fold: &ProcessFold) -> Choice {
        // Triggers of which an earlier event keeps the later ones waiting.
        let mut blocked: BTreeSet<&str> = BTreeSet::new();
        let begun = begun(fold);
        for event in fold.open_events.values() {
            let trigger = event.trigger_id.as_str();
            if blocked.contains(trigger) {
                continue;
            }
            let open = begun.get(event.event_id.as_str()).copied();
            if !self.busy.contains(&event.event_id)
                && let Some(choice) = self.about(fold, event, open)
            {
                return choice;
            }
            let held = open.is_some_and(|(_, open)| open.held.is_some());
            if self.delivery.strict_order || (!held && (self.is_serial)(trigger)) {
                blocked.insert(trigger);
            }
        }
        Choice::Nothing
    }

    /// What to do about an event whose run is not on; `None` if it has to wait.
    fn about(&self, fold: &ProcessFold, event: &TriggerEvent, open: Option<(&RunId, &OpenRun)>) -> Option<Choice> {
        let event_id = event.event_id.clone();
        let Some((run, open)) = open else {
            if let Some(why) = self.too_old(fold, event) {
                return Some(Choice::Expire { event_id, why });
            }
            let run = RunId::of(self.process, event, fold.redeliveries(&event.event_id));
            return Some(Choice::Begin { run, event: event.clone(), attempt: 1 });
        };
        // What a run waits for may have been answered while the process was down.
        if (open.held.is_some() && self.waiting.contains(run)) || open.retry_at.is_some_and(|at| self.is_ahead(at)) {
            return None;
        }
        if open.fruitless >= MAX_FRUITLESS {
            let why = format!("it was cut off {MAX_FRUITLESS} times in a row before it had done anything further");
            return Some(Choice::GiveUp { run: run.clone(), event_id, why });
        }
        Some(Choice::Begin { run: run.clone(), event: event.clone(), attempt: open.attempt + 1 })
    }

    /// Whether a run is not to be tried again yet. Where more is left than any wait is long, its wait began under
    /// a clock that was ahead and has been set back since: it could be years, and keep its trigger's later events waiting.
    fn is_ahead(&self, retry_at: DateTime<Utc>) -> bool {
        (retry_at - self.now).to_std().is_ok_and(|left| !left.is_zero() && left <= self.delivery.retry_backoff_max)
    }

    /// One that an operator took from the dead letters is never too old: he knew how old it is.
    fn too_old(&self, fold: &ProcessFold, event: &TriggerEvent) -> Option<String> {
        let max_age = self.delivery.max_age.filter(|_| fold.redeliveries(&event.event_id) == 0)?;
        let waited = (self.now - event.timestamp).to_std().ok().filter(|waited| *waited > max_age)?;
        Some(format!("it waited for {} s, and {} are allowed (max_age)", waited.as_secs(), max_age.as_secs_f64()))
    }

    /// When something can be begun, or has waited too long, though nothing else happens.
    pub fn due(&self, fold: &ProcessFold) -> Option<DateTime<Utc>> {
        let idle = |open: &&OpenRun| !self.busy.contains(&open.event_id);
        let retries = fold.open_runs.values().filter(idle).filter_map(|open| open.retry_at);
        let max_age = self.delivery.max_age.and_then(|age| TimeDelta::from_std(age).ok());
        let oldest = max_age.and_then(|age| {
            let begun = begun(fold);
            let may_expire =
                |event: &&TriggerEvent| !begun.contains_key(event.event_id.as_str()) && fold.redeliveries(&event.event_id) == 0;
            let first = fold.open_events.values().find(may_expire)?;
            first.timestamp.checked_add_signed(age + TimeDelta::milliseconds(1))
        });
        retries.chain(oldest).min()
    }
}

/// The open runs by their events.
fn begun(fold: &ProcessFold) -> HashMap<&str, (&RunId, &OpenRun)> {
    fold.open_runs.iter().map(|(run, open)| (open.event_id.as_str(), (run, open))).collect()
}

#[cfg(test)]
mod tests;
