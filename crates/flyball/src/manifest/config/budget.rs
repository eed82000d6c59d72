//! What an agent may spend.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::SecretText;
use crate::manifest::table::{ABOVE_ZERO, AT_LEAST_ONE, Key, Kind, Kinds, SOME_FRACTION, Section, Word};

/// What an agent may spend in a run and in a day. Cost is in units that the author chooses by
/// `tool_costs`; it is not money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct BudgetConfig {
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tool_calls_per_run: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_llm_turns_per_run: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_per_run: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_irreversible_per_run: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tool_calls_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_runs_per_day: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_per_day: Option<f64>,
    pub tool_costs: BTreeMap<String, ToolCost>,
    pub on_exceeded: OnExceeded,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
    pub daily_reset_hour_utc: u32,
    pub inject_remaining: bool,
    pub warning_threshold: f64,
}

/// What one call of a tool costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolCost {
    /// Budget units per call.
    pub cost_weight: f64,
    /// The call counts against `max_irreversible_per_run`.
    pub irreversible: bool,
}

/// What becomes of the process when a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    /// It starts no new run until the day's reset or an operator.
    #[default]
    Pause,
    /// It stops.
    Stop,
    /// Someone is told, and it pauses.
    Escalate,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Escalation {
    /// Gets a POST with a JSON body. Such addresses often hold a key, so it is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<SecretText>,
    /// The event that is emitted on the bus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
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
            on_exceeded: OnExceeded::Pause,
            escalation: None,
            daily_reset_hour_utc: 0,
            inject_remaining: true,
            warning_threshold: 0.8,
        }
    }
}

impl Default for ToolCost {
    fn default() -> Self {
        Self { cost_weight: 1.0, irreversible: false }
    }
}

const ON_EXCEEDED: Kind = Kind::Choice(&[Word::new("pause"), Word::new("stop"), Word::new("escalate")]);

pub(in crate::manifest) const BUDGET: Section = Section {
    name: "budget",
    kinds: Kinds::One,
    keys: &[
        Key::new("enabled", Kind::Bool, "Whether the limits hold.").or("false"),
        Key::new("max_tool_calls_per_run", AT_LEAST_ONE, "Tool calls in one run."),
        Key::new("max_llm_turns_per_run", AT_LEAST_ONE, "Turns of the model in one run."),
        Key::new("max_cost_per_run", ABOVE_ZERO, "Units of cost in one run."),
        Key::new("max_irreversible_per_run", Kind::Int(0, i64::MAX), "Calls of irreversible tools in one run."),
        Key::new("max_tool_calls_per_day", AT_LEAST_ONE, "Tool calls in a day."),
        Key::new("max_runs_per_day", AT_LEAST_ONE, "Runs in a day."),
        Key::new("max_cost_per_day", ABOVE_ZERO, "Units of cost in a day."),
        Key::new(
            "tool_costs",
            Kind::Map(&Kind::Section(&TOOL_COST)),
            "What a call of each tool costs; one that is not listed costs 1.",
        )
        .or("{}"),
        Key::new("on_exceeded", ON_EXCEEDED, "What becomes of the process when a limit is reached.").or("pause"),
        Key::new("escalation", Kind::Section(&ESCALATION), "Who is told when a limit is reached."),
        Key::new("daily_reset_hour_utc", Kind::Int(0, 23), "The hour (UTC) at which a day begins.").or("0"),
        Key::new("inject_remaining", Kind::Bool, "The agent is shown before each turn what is left.").or("true"),
        Key::new("warning_threshold", SOME_FRACTION, "The part of a limit from which on a warning is given.").or("0.8"),
    ],
};

pub(in crate::manifest) const TOOL_COST: Section = Section {
    name: "tool cost",
    kinds: Kinds::One,
    keys: &[
        Key::new("cost_weight", ABOVE_ZERO, "Units per call.").or("1.0"),
        Key::new("irreversible", Kind::Bool, "The call counts against `max_irreversible_per_run`.").or("false"),
    ],
};

pub(in crate::manifest) const ESCALATION: Section = Section {
    name: "escalation",
    kinds: Kinds::One,
    keys: &[
        Key::new("webhook_url", Kind::Private, "An `http://` or `https://` address that gets a POST. It is never shown."),
        Key::new("event_type", Kind::Filled, "An event that is emitted on the bus."),
    ],
};
