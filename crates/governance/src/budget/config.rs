//! What an agent may spend.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{EscalationTarget, Problems};

/// The envelope in which an agent acts freely. A limit of `None` is no limit.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Whether there is a budget at all.
    pub enabled: bool,
    /// Tool calls in one run; at least 1.
    pub max_tool_calls_per_run: Option<u64>,
    /// Turns of the model in one run; at least 1.
    pub max_llm_turns_per_run: Option<u64>,
    /// Cost of one run's tool calls, in units of your own; above 0.
    pub max_cost_per_run: Option<f64>,
    /// Irreversible calls in one run; 0 allows none.
    pub max_irreversible_per_run: Option<u64>,
    /// Tool calls in one day; at least 1.
    pub max_tool_calls_per_day: Option<u64>,
    /// Runs in one day; at least 1.
    pub max_runs_per_day: Option<u64>,
    /// Cost of one day's tool calls; above 0.
    pub max_cost_per_day: Option<f64>,
    /// What a call of each tool costs; 1 where nothing is said.
    pub tool_costs: BTreeMap<String, ToolCostAnnotation>,
    /// What becomes of the process when a limit was hit.
    pub on_exceeded: OnExceeded,
    /// Whom to tell.
    pub escalation: Option<EscalationTarget>,
    /// At which full hour, in UTC, a day begins; 0 to 23.
    pub daily_reset_hour_utc: u32,
    /// Tell the model before every turn what is left.
    pub inject_remaining: bool,
    /// The part of a limit at which someone is warned; above 0, at most 1.
    pub warning_threshold: f64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_tool_calls_per_run: None,
            max_llm_turns_per_run: None,
            max_cost_per_run: None,
            max_irreversible_per_run: None,
            max_tool_calls_per_day: None,
            max_runs_per_day: None,
            max_cost_per_day: None,
            tool_costs: BTreeMap::new(),
            on_exceeded: OnExceeded::default(),
            escalation: None,
            daily_reset_hour_utc: 0,
            inject_remaining: true,
            warning_threshold: 0.8,
        }
    }
}

/// What a call of one tool costs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolCostAnnotation {
    /// Its cost; above 0.
    pub cost_weight: f64,
    /// What it does cannot be taken back.
    pub irreversible: bool,
}

impl Default for ToolCostAnnotation {
    fn default() -> Self {
        Self { cost_weight: 1.0, irreversible: false }
    }
}

/// What becomes of the process when a limit was hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    /// It pauses: until the day ends where only daily limits were hit, else until someone resumes it.
    #[default]
    Pause,
    /// It stops.
    Stop,
    /// Someone is told, and it pauses.
    Escalate,
}

impl BudgetConfig {
    /// What is wrong with it, by field.
    pub fn check(&self) -> Problems {
        let mut problems = Problems::new();
        let counts = [
            ("max_tool_calls_per_run", self.max_tool_calls_per_run),
            ("max_llm_turns_per_run", self.max_llm_turns_per_run),
            ("max_tool_calls_per_day", self.max_tool_calls_per_day),
            ("max_runs_per_day", self.max_runs_per_day),
        ];
        for (field, _) in counts.into_iter().filter(|(_, limit)| *limit == Some(0)) {
            problems.push((field.into(), "must be at least 1; leave it out for no limit".into()));
        }
        for (field, limit) in [("max_cost_per_run", self.max_cost_per_run), ("max_cost_per_day", self.max_cost_per_day)] {
            if limit.is_some_and(|cost| !above_zero(cost)) {
                problems.push((field.into(), "must be a number above 0; leave it out for no limit".into()));
            }
        }
        for (tool, _) in self.tool_costs.iter().filter(|(_, cost)| !above_zero(cost.cost_weight)) {
            problems.push((format!("tool_costs.{tool}.cost_weight"), "must be a number above 0".into()));
        }
        if self.daily_reset_hour_utc > 23 {
            problems.push(("daily_reset_hour_utc".into(), "must be a full hour from 0 to 23".into()));
        }
        if !above_zero(self.warning_threshold) || self.warning_threshold > 1.0 {
            problems.push(("warning_threshold".into(), "must be above 0 and at most 1, such as 0.8".into()));
        }
        if self.on_exceeded == OnExceeded::Escalate && self.escalation.is_none() {
            let what = "is missing: `on_exceeded: escalate` needs someone to tell";
            problems.push(("escalation".into(), what.into()));
        }
        EscalationTarget::check_in(self.escalation.as_ref(), &mut problems);
        problems
    }
}

fn above_zero(number: f64) -> bool {
    number.is_finite() && number > 0.0
}
