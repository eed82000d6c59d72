//! What an agent is to achieve.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::{EscalationTarget, Problems};

/// A goal, how to know that it is reached, and when to give up.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MissionConfig {
    /// Whether there is a mission at all.
    pub enabled: bool,
    /// The goal.
    pub objective: String,
    /// How the judge knows that it is reached.
    pub success_criteria: String,
    /// The model that judges; the process's own where nothing is said.
    pub eval_model: Option<String>,
    /// After how many completed runs the judge is asked; at least 1.
    pub eval_every: u32,
    /// A verdict that is less sure than this pauses the process; 0 to 1.
    pub confidence_threshold: f64,
    /// Hours after which the mission has failed; 0 for never.
    pub timeout_hours: f64,
    /// Completed runs after which the mission has failed; 0 for never.
    pub max_invocations: u32,
    /// The judge's word completes the mission; else an operator does.
    pub auto_complete: bool,
    /// What becomes of the process then; it stops where nothing is said.
    pub on_complete: Option<OnComplete>,
    /// Whom to tell.
    pub escalation: Option<EscalationTarget>,
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

/// What becomes of a process whose mission is complete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnComplete {
    /// It stops.
    #[default]
    Stop,
    /// It goes on as an agent without a mission.
    Continue,
    /// It pauses until someone resumes it.
    Suspend,
}

/// A century: a mission that may take longer may take for ever.
const LONGEST_HOURS: f64 = 876_600.0;

impl MissionConfig {
    /// What is wrong with it, by field.
    pub fn check(&self) -> Problems {
        let mut problems = Problems::new();
        if self.enabled {
            for (field, text) in [("objective", &self.objective), ("success_criteria", &self.success_criteria)] {
                if text.trim().is_empty() {
                    problems.push((field.into(), "is empty: a mission needs one".into()));
                }
            }
        }
        if self.eval_every == 0 {
            problems.push(("eval_every".into(), "must be at least 1".into()));
        }
        if !(0.0..=1.0).contains(&self.confidence_threshold) {
            problems.push(("confidence_threshold".into(), "must be from 0 to 1".into()));
        }
        if !(0.0..=LONGEST_HOURS).contains(&self.timeout_hours) {
            problems.push(("timeout_hours".into(), format!("must be from 0 (never) to {LONGEST_HOURS}")));
        }
        EscalationTarget::check_in(self.escalation.as_ref(), &mut problems);
        problems
    }

    /// When a mission that started at `start` has failed.
    pub(super) fn deadline(&self, start: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.timeout_hours <= 0.0 {
            return None;
        }
        let millis = self.timeout_hours.min(LONGEST_HOURS) * 3_600_000.0;
        start.checked_add_signed(TimeDelta::try_milliseconds(millis as i64)?)
    }

    /// Whether the judge is asked after the completed run number `n`. It always is after the last
    /// one allowed, so that no mission fails that was achieved.
    pub(super) fn is_judged(&self, n: u32) -> bool {
        n.is_multiple_of(self.eval_every.max(1)) || self.is_last(n)
    }

    pub(super) fn is_last(&self, n: u32) -> bool {
        self.max_invocations > 0 && n >= self.max_invocations
    }
}
