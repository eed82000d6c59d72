//! When an agent's behaviour counts as ill.

use serde::{Deserialize, Serialize};

use super::budget::{ESCALATION, Escalation};
use crate::manifest::table::{Key, Kind, Kinds, SECONDS, SOME_FRACTION, Section, Word};

/// When an agent's behaviour counts as ill, and what is done then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct HealthConfig {
    pub enabled: bool,
    pub stuck_threshold: u32,
    pub loop_window: u32,
    pub loop_min_repeats: u32,
    pub empty_threshold: u32,
    pub empty_max_chars: u32,
    pub error_window: u32,
    pub error_rate_threshold: f64,
    pub on_anomaly: OnAnomaly,
    /// Seconds.
    pub cooldown: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
}

/// What is done about an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAnomaly {
    /// It is written down.
    #[default]
    Log,
    /// The process starts no new run until an operator resumes it.
    Pause,
    /// Someone is told.
    Escalate,
    /// The process stops.
    Stop,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            stuck_threshold: 3,
            loop_window: 20,
            loop_min_repeats: 2,
            empty_threshold: 3,
            empty_max_chars: 10,
            error_window: 10,
            error_rate_threshold: 0.5,
            on_anomaly: OnAnomaly::Log,
            cooldown: 300.0,
            escalation: None,
        }
    }
}

/// A window ends here, because what it looks at is kept in memory.
const MAX_WINDOW: i64 = 1000;

const ON_ANOMALY: Kind = Kind::Choice(&[Word::new("log"), Word::new("pause"), Word::new("escalate"), Word::new("stop")]);

pub(in crate::manifest) const HEALTH: Section = Section {
    name: "health",
    kinds: Kinds::One,
    keys: &[
        Key::new("enabled", Kind::Bool, "Whether behaviour is watched.").or("false"),
        Key::new("stuck_threshold", Kind::Int(2, MAX_WINDOW), "So many identical calls in a row are an anomaly.").or("3"),
        Key::new("loop_window", Kind::Int(4, MAX_WINDOW), "How many of the last calls are searched for a loop.").or("20"),
        Key::new("loop_min_repeats", Kind::Int(2, MAX_WINDOW), "So often a pattern must occur to be a loop.").or("2"),
        Key::new("empty_threshold", Kind::Int(2, MAX_WINDOW), "So many empty replies in a row are an anomaly.").or("3"),
        Key::new("empty_max_chars", Kind::Int(0, MAX_WINDOW), "A reply of so many characters or fewer counts as empty.").or("10"),
        Key::new("error_window", Kind::Int(2, MAX_WINDOW), "Over how many of the last calls errors are counted.").or("10"),
        Key::new("error_rate_threshold", SOME_FRACTION, "The part of failed calls that is an anomaly.").or("0.5"),
        Key::new("on_anomaly", ON_ANOMALY, "What is done about an anomaly.").or("log"),
        Key::new("cooldown", SECONDS, "Seconds before the same anomaly counts again.").or("300.0"),
        Key::new("escalation", Kind::Section(&ESCALATION), "Who is told of an anomaly."),
    ],
};
