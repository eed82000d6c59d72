//! The goal that ends an agent's work.

use serde::{Deserialize, Serialize};

use super::budget::{ESCALATION, Escalation};
use crate::manifest::table::{FRACTION, Key, Kind, Kinds, Section, Span, Word};

/// A goal, how it is judged, and what happens when it is reached or given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct MissionConfig {
    pub enabled: bool,
    pub objective: String,
    pub success_criteria: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_model: Option<String>,
    pub eval_every: u32,
    pub confidence_threshold: f64,
    /// 0 is no limit.
    pub timeout_hours: f64,
    /// 0 is no limit.
    pub max_invocations: u32,
    pub auto_complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_complete: Option<OnComplete>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

/// What becomes of the process when its mission is achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnComplete {
    /// It stops.
    Stop,
    /// It goes on.
    Continue,
    /// It starts no new run until an operator resumes it.
    Suspend,
}

impl Default for MissionConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            objective: String::new(),
            success_criteria: String::new(),
            eval_model: None,
            eval_every: 1,
            confidence_threshold: 0.7,
            timeout_hours: 0.0,
            max_invocations: 0,
            auto_complete: true,
            on_complete: None,
            escalation: None,
        }
    }
}

/// Eleven years, so that a deadline never overflows.
const HOURS: Kind = Kind::Float(Span { min: 0.0, open: false, max: 100_000.0 });
const ON_COMPLETE: Kind = Kind::Choice(&[Word::new("stop"), Word::new("continue"), Word::new("suspend")]);
const MAX_COUNT: i64 = 1_000_000_000;

pub(in crate::manifest) const MISSION: Section = Section {
    name: "mission",
    kinds: Kinds::One,
    keys: &[
        Key::new("enabled", Kind::Bool, "Whether there is a mission.").or("false"),
        Key::new("objective", Kind::Text, "What is to be reached. Needed where the mission is enabled.").or("\"\""),
        Key::new(
            "success_criteria",
            Kind::Text,
            "By what the judge knows that it is reached. Needed where the mission is enabled.",
        )
        .or("\"\""),
        Key::new("eval_model", Kind::Filled, "The judge's model; the agent's own where this is not set."),
        Key::new("eval_every", Kind::Int(1, MAX_COUNT), "The judge is asked after every so many runs.").or("1"),
        Key::new("confidence_threshold", FRACTION, "A verdict below this pauses the process and escalates.").or("0.7"),
        Key::new("timeout_hours", HOURS, "The mission fails after so many hours; 0 is never.").or("0.0"),
        Key::new("max_invocations", Kind::Int(0, MAX_COUNT), "The mission fails after so many runs; 0 is never.").or("0"),
        Key::new("auto_complete", Kind::Bool, "The judge's word completes the mission; else an operator does.").or("true"),
        Key::new(
            "on_complete",
            ON_COMPLETE,
            "What becomes of the process when the mission is complete; it stops where this is not set.",
        ),
        Key::new("escalation", Kind::Section(&ESCALATION), "Who is told of a verdict below the threshold."),
        Key::refused("success_check", "it is a function, and can only be given in code; describe it in `success_criteria`"),
    ],
};
