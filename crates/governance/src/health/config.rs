//! What counts as ill.

use serde::Deserialize;

use crate::{EscalationTarget, Problems};

/// When an agent's behaviour is an anomaly, and what becomes of the process then.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Whether anyone looks at all.
    pub enabled: bool,
    /// So many equal calls with equal results in a row are stuck; at least 2.
    pub stuck_threshold: usize,
    /// How many of a run's last calls are searched for a loop; 4 to 1000.
    pub loop_window: usize,
    /// So many rounds of one pattern are a loop; at least 2.
    pub loop_min_repeats: usize,
    /// So many trivial answers in a row are an anomaly; at least 2.
    pub empty_threshold: usize,
    /// An answer of at most so many characters is trivial.
    pub empty_max_chars: usize,
    /// Over how many of the last calls the error rate is taken; 2 to 1000.
    pub error_window: usize,
    /// The share of failed calls that is an anomaly; above 0, at most 1.
    pub error_rate_threshold: f64,
    /// What becomes of the process.
    pub on_anomaly: OnAnomaly,
    /// Seconds for which the same anomaly is not told again. What becomes of the process does not wait.
    pub cooldown: f64,
    /// Whom to tell.
    pub escalation: Option<EscalationTarget>,
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
            on_anomaly: OnAnomaly::default(),
            cooldown: 300.0,
            escalation: None,
        }
    }
}

/// What becomes of a process that shows an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnAnomaly {
    /// It goes on; the anomaly is written down.
    #[default]
    Log,
    /// It pauses until someone resumes it.
    Pause,
    /// Someone is told, and it pauses.
    Escalate,
    /// It stops.
    Stop,
}

/// A window longer than this would make every call dear.
const LONGEST_WINDOW: usize = 1_000;

impl HealthConfig {
    /// What is wrong with it, by field.
    pub fn check(&self) -> Problems {
        let mut problems = Problems::new();
        let counts = [
            ("stuck_threshold", self.stuck_threshold, 2),
            ("loop_window", self.loop_window, 4),
            ("loop_min_repeats", self.loop_min_repeats, 2),
            ("empty_threshold", self.empty_threshold, 2),
            ("error_window", self.error_window, 2),
        ];
        for (field, count, least) in counts {
            if !(least..=LONGEST_WINDOW).contains(&count) {
                problems.push((field.into(), format!("must be from {least} to {LONGEST_WINDOW}")));
            }
        }
        if !(self.error_rate_threshold > 0.0 && self.error_rate_threshold <= 1.0) {
            problems.push(("error_rate_threshold".into(), "must be above 0 and at most 1, such as 0.5".into()));
        }
        if !(self.cooldown.is_finite() && self.cooldown >= 0.0) {
            problems.push(("cooldown".into(), "must be a number of seconds, 0 or more".into()));
        }
        if self.on_anomaly == OnAnomaly::Escalate && self.escalation.is_none() {
            problems.push(("escalation".into(), "is missing: `on_anomaly: escalate` needs someone to tell".into()));
        }
        EscalationTarget::check_in(self.escalation.as_ref(), &mut problems);
        problems
    }
}
