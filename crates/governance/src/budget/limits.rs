//! The decisions: pure functions of what was spent and what is wanted.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use flyball_core_agent::Directive;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::config::{BudgetConfig, OnExceeded};
use super::ledger::{Day, Reservation, RunTotals};

/// One limit, named by its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Limit {
    #[serde(rename = "max_tool_calls_per_run")]
    ToolCallsPerRun,
    #[serde(rename = "max_llm_turns_per_run")]
    LlmTurnsPerRun,
    #[serde(rename = "max_cost_per_run")]
    CostPerRun,
    #[serde(rename = "max_irreversible_per_run")]
    IrreversiblePerRun,
    #[serde(rename = "max_tool_calls_per_day")]
    ToolCallsPerDay,
    #[serde(rename = "max_runs_per_day")]
    RunsPerDay,
    #[serde(rename = "max_cost_per_day")]
    CostPerDay,
}

/// All of them, in the order in which they are looked at.
pub(super) const ALL: [Limit; 7] = [
    Limit::ToolCallsPerRun,
    Limit::LlmTurnsPerRun,
    Limit::CostPerRun,
    Limit::IrreversiblePerRun,
    Limit::ToolCallsPerDay,
    Limit::RunsPerDay,
    Limit::CostPerDay,
];

/// Sums of decimal fractions come out a little off; what is off by less is equal.
const ROUNDING: f64 = 1e-9;

impl Limit {
    /// The field that sets it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::ToolCallsPerRun => "max_tool_calls_per_run",
            Self::LlmTurnsPerRun => "max_llm_turns_per_run",
            Self::CostPerRun => "max_cost_per_run",
            Self::IrreversiblePerRun => "max_irreversible_per_run",
            Self::ToolCallsPerDay => "max_tool_calls_per_day",
            Self::RunsPerDay => "max_runs_per_day",
            Self::CostPerDay => "max_cost_per_day",
        }
    }

    /// Under which key what is left of it is shown.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::ToolCallsPerRun => "tool_calls_run",
            Self::LlmTurnsPerRun => "llm_turns_run",
            Self::CostPerRun => "cost_run",
            Self::IrreversiblePerRun => "irreversible_run",
            Self::ToolCallsPerDay => "tool_calls_day",
            Self::RunsPerDay => "runs_day",
            Self::CostPerDay => "cost_day",
        }
    }

    /// A new day lifts it.
    pub(super) fn is_daily(self) -> bool {
        matches!(self, Self::ToolCallsPerDay | Self::RunsPerDay | Self::CostPerDay)
    }

    /// The limit, if there is one.
    pub(super) fn max(self, config: &BudgetConfig) -> Option<f64> {
        match self {
            Self::ToolCallsPerRun => config.max_tool_calls_per_run.map(number),
            Self::LlmTurnsPerRun => config.max_llm_turns_per_run.map(number),
            Self::CostPerRun => config.max_cost_per_run,
            Self::IrreversiblePerRun => config.max_irreversible_per_run.map(number),
            Self::ToolCallsPerDay => config.max_tool_calls_per_day.map(number),
            Self::RunsPerDay => config.max_runs_per_day.map(number),
            Self::CostPerDay => config.max_cost_per_day,
        }
    }

    /// How much of it is spent.
    pub(super) fn used(self, run: &RunTotals, day: &Day) -> f64 {
        match self {
            Self::ToolCallsPerRun => number(run.calls.len() as u64),
            Self::LlmTurnsPerRun => number(run.turns.len() as u64),
            Self::CostPerRun => run.cost,
            Self::IrreversiblePerRun => number(run.irreversible),
            Self::ToolCallsPerDay => number(day.tool_calls),
            Self::RunsPerDay => number(day.runs),
            Self::CostPerDay => day.cost,
        }
    }

    fn taken_by(self, call: &Reservation) -> f64 {
        match self {
            Self::ToolCallsPerRun | Self::ToolCallsPerDay => 1.0,
            Self::CostPerRun | Self::CostPerDay => call.cost,
            Self::IrreversiblePerRun => f64::from(u8::from(call.irreversible)),
            Self::LlmTurnsPerRun | Self::RunsPerDay => 0.0,
        }
    }
}

/// The first limit that `call` would break.
pub(super) fn broken_by_call(config: &BudgetConfig, run: &RunTotals, day: &Day, call: &Reservation) -> Option<Limit> {
    ALL.into_iter().find(|limit| {
        let more = limit.taken_by(call);
        more > 0.0 && breaks(*limit, more, config, run, day)
    })
}

/// Whether one more of what `limit` counts would break it.
pub(super) fn is_spent(limit: Limit, config: &BudgetConfig, run: &RunTotals, day: &Day) -> bool {
    breaks(limit, 1.0, config, run, day)
}

fn breaks(limit: Limit, more: f64, config: &BudgetConfig, run: &RunTotals, day: &Day) -> bool {
    limit.max(config).is_some_and(|max| limit.used(run, day) + more > max + ROUNDING)
}

/// The limits that are nearly spent and of which nobody was warned yet: which, how much of it, and the limit.
pub(super) fn nearly_spent(config: &BudgetConfig, run: &RunTotals, day: &Day) -> Vec<(Limit, f64, f64)> {
    let new = ALL.into_iter().filter(|limit| !run.warned.contains(limit) && !day.warned.contains(limit));
    let shares = new.filter_map(|limit| Some((limit, limit.used(run, day), limit.max(config)?)));
    shares.filter(|(_, used, max)| *used > 0.0 && *used + ROUNDING >= max * config.warning_threshold).collect()
}

/// What shall become of a process whose run hit the limits `exceeded`.
pub(super) fn consequence(config: &BudgetConfig, exceeded: &BTreeSet<Limit>, day_ends: DateTime<Utc>) -> Directive {
    if exceeded.is_empty() {
        return Directive::Continue;
    }
    let fields: Vec<&str> = exceeded.iter().map(|limit| limit.field()).collect();
    let why = format!("budget: {} reached", fields.join(", "));
    match config.on_exceeded {
        OnExceeded::Stop => Directive::stop(why),
        OnExceeded::Pause | OnExceeded::Escalate => {
            let until = exceeded.iter().all(|limit| limit.is_daily()).then_some(day_ends);
            Directive::Pause { why, until }
        }
    }
}

/// What is left, by key; null where there is no limit.
pub(super) fn remaining<'a>(
    config: &BudgetConfig,
    run: &RunTotals,
    day: &Day,
    limits: impl IntoIterator<Item = &'a Limit>,
) -> Map<String, Value> {
    let left = |limit: Limit| limit.max(config).map(|max| max - limit.used(run, day));
    limits.into_iter().map(|limit| (limit.key().to_owned(), left(*limit).map_or(Value::Null, tidy))).collect()
}

/// A number as people write it: whole where it is whole.
pub(super) fn tidy(number: f64) -> Value {
    let rounded = (number * 1e6).round() / 1e6;
    // Beyond 2^53 a float holds no odd numbers, and i64 may not hold it.
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 { json!(rounded as i64) } else { json!(rounded) }
}

fn number(count: u64) -> f64 {
    // Exact up to 2^53, which no count of calls reaches.
    count as f64
}
