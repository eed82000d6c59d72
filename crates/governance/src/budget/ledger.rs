//! What was spent: a fold of the journal, and the same function live.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use flyball_core_agent::{RunId, StepId};
use flyball_journal::{Entry, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::Limit;

/// The name of the layer, of its notes, and of its mark on a call.
pub(super) const LAYER: &str = "budget";

/// One process's spending: the day's totals, and those of each run that has not ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ledger {
    pub(super) day: Day,
    pub(super) open: BTreeMap<RunId, RunTotals>,
    #[serde(skip)]
    reset_hour: u32,
}

impl Ledger {
    /// An empty ledger of days that begin at `reset_hour` UTC.
    pub fn new(reset_hour: u32) -> Self {
        Self { reset_hour, ..Self::default() }
    }

    pub(super) fn saved(day: Day, open: BTreeMap<RunId, RunTotals>) -> Self {
        Self { day, open, reset_hour: 0 }
    }

    /// Takes one record in.
    pub fn apply(&mut self, record: &Record) {
        match &record.entry {
            Entry::Checkpoint { layers, .. } => self.restore(layers.get(LAYER)),
            Entry::InvocationResult { run, .. } | Entry::Error { run, last: true, .. } => {
                self.open.remove(run);
            }
            entry => {
                if let (Some(run), Some(fact)) = (entry.run(), self.fact(record)) {
                    count(&mut self.day, self.open.entry(run.clone()).or_default(), &fact);
                }
            }
        }
    }

    /// What a checkpoint says was spent. One without a budget was made while there was none.
    fn restore(&mut self, saved: Option<&Value>) {
        let saved = saved.and_then(|saved| serde_json::from_value::<Self>(saved.clone()).ok()).unwrap_or_default();
        *self = Self { reset_hour: self.reset_hour, ..saved };
    }

    /// The day's totals so far.
    pub fn day(&self) -> &Day {
        &self.day
    }

    fn fact(&self, record: &Record) -> Option<Fact> {
        match &record.entry {
            Entry::ToolCall { step, notes, .. } => {
                let day = budget_day(record.at, self.reset_hour);
                notes.get(LAYER).map(|mark| Fact::Call { step: step.clone(), reserved: Reservation::read(mark, day) })
            }
            Entry::ModelReply { step, .. } => Some(Fact::Turn { step: step.clone() }),
            Entry::Note { layer, body, .. } if layer == LAYER => Fact::read(body),
            _ => None,
        }
    }
}

/// One day's totals. A day never goes back, whatever the clock does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Day {
    /// Which day.
    pub date: NaiveDate,
    /// Tool calls.
    pub tool_calls: u64,
    /// Their cost.
    pub cost: f64,
    /// Runs.
    pub runs: u64,
    pub(super) warned: BTreeSet<Limit>,
}

impl Day {
    /// Begins the day `date` if that is a later one.
    pub(super) fn advance(&mut self, date: NaiveDate) {
        if date > self.date {
            *self = Self { date, ..Self::default() };
        }
    }
}

/// One run's totals, keyed by step so that nothing counts twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct RunTotals {
    pub(super) counted: bool,
    pub(super) calls: BTreeMap<StepId, Reservation>,
    pub(super) turns: BTreeSet<StepId>,
    pub(super) cost: f64,
    pub(super) irreversible: u64,
    pub(super) exceeded: BTreeSet<Limit>,
    pub(super) warned: BTreeSet<Limit>,
}

/// What one call takes from the budget. It travels in the call's intent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Reservation {
    pub(super) cost: f64,
    pub(super) irreversible: bool,
    /// The day it counts for, which may be later than the clock says.
    pub(super) day: NaiveDate,
}

impl Reservation {
    /// A mark that cannot be read counts as much as a call can by default, rather than not at all.
    fn read(mark: &Value, day: NaiveDate) -> Self {
        Self {
            cost: mark["cost"].as_f64().filter(|cost| *cost >= 0.0).unwrap_or(1.0),
            irreversible: mark["irreversible"].as_bool().unwrap_or(true),
            day: mark.get("day").and_then(|day| serde_json::from_value(day.clone()).ok()).unwrap_or(day),
        }
    }
}

/// One fact of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Fact {
    /// The run was let in.
    Run { day: NaiveDate },
    /// A limit stood in the way.
    Exceeded { limit: Limit, day: NaiveDate, wanted: String },
    /// Someone was warned of a limit.
    Warning { limit: Limit, day: NaiveDate, used: f64, max: f64 },
    /// A call was let through. Recorded on the call's intent.
    #[serde(skip)]
    Call { step: StepId, reserved: Reservation },
    /// The model was asked. Recorded as its reply.
    #[serde(skip)]
    Turn { step: StepId },
}

impl Fact {
    fn read(body: &Value) -> Option<Self> {
        serde_json::from_value(body.clone()).ok()
    }
}

/// Counts one fact, live and on recovery alike.
pub(super) fn count(day: &mut Day, run: &mut RunTotals, fact: &Fact) {
    match fact {
        Fact::Run { day: date } => {
            day.advance(*date);
            if !std::mem::replace(&mut run.counted, true) {
                day.runs += 1;
            }
        }
        Fact::Call { step, reserved } => {
            day.advance(reserved.day);
            if run.calls.insert(step.clone(), *reserved).is_none() {
                run.cost += reserved.cost;
                run.irreversible += u64::from(reserved.irreversible);
                day.tool_calls += 1;
                day.cost += reserved.cost;
            }
        }
        Fact::Turn { step } => {
            run.turns.insert(step.clone());
        }
        Fact::Exceeded { limit, day: date, .. } => {
            day.advance(*date);
            run.exceeded.insert(*limit);
        }
        Fact::Warning { limit, day: date, .. } => {
            day.advance(*date);
            if !limit.is_daily() {
                run.warned.insert(*limit);
            } else if *date == day.date {
                day.warned.insert(*limit);
            }
        }
    }
}

/// The budget's day that holds `at`: it begins at `reset_hour` UTC.
pub(super) fn budget_day(at: DateTime<Utc>, reset_hour: u32) -> NaiveDate {
    at.checked_sub_signed(TimeDelta::hours(i64::from(reset_hour))).unwrap_or(at).date_naive()
}

/// The first instant after the budget's day `date`.
pub(super) fn end_of(date: NaiveDate, reset_hour: u32) -> DateTime<Utc> {
    let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
    next.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(i64::from(reset_hour))
}
