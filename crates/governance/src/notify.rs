//! What the policies need from outside: someone to tell, and something to know.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use flyball_core_agent::Run;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Problems;

/// Whom to tell when a policy needs a person. Without either field nobody outside is told.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EscalationTarget {
    /// Where a notice is posted as JSON. Such an address often is a credential, so `Debug` shows no path.
    pub webhook_url: Option<String>,
    /// Under which type a notice is emitted on the event bus.
    pub event_type: Option<String>,
}

impl EscalationTarget {
    /// What is wrong with it, by field.
    pub fn check(&self) -> Problems {
        let mut problems = Problems::new();
        if self.webhook_url.is_none() && self.event_type.is_none() {
            problems.push((String::new(), "tells nobody: give `webhook_url`, `event_type` or both".into()));
        }
        if self.webhook_url.as_deref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            problems.push(("webhook_url".into(), "must begin with http:// or https://".into()));
        }
        if self.event_type.as_deref().is_some_and(|kind| kind.trim().is_empty()) {
            problems.push(("event_type".into(), "is empty: name an event type, or leave it out".into()));
        }
        problems
    }

    /// The same, as part of a larger section.
    pub(crate) fn check_in(target: Option<&Self>, problems: &mut Problems) {
        for (field, what) in target.map(Self::check).unwrap_or_default() {
            let path = if field.is_empty() { "escalation".to_owned() } else { format!("escalation.{field}") };
            problems.push((path, what));
        }
    }
}

impl fmt::Debug for EscalationTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.webhook_url.as_deref().map(|url| url.split('/').take(3).collect::<Vec<_>>().join("/") + "/…");
        f.debug_struct("EscalationTarget").field("webhook_url", &host).field("event_type", &self.event_type).finish()
    }
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// Of which kind, such as `budget.exceeded`, `health.anomaly` or `mission.completed`.
    pub kind: String,
    /// The process it is about; empty where the policy was not told.
    pub process: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The facts. Holds no secret.
    pub body: Value,
}

/// Tells people.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Takes `notice` over for delivery and returns soon, without waiting for the receiver: runs wait for it.
    /// Retrying, and what becomes of a notice that cannot be delivered, is the implementation's matter.
    ///
    /// A target with neither field set reaches nobody outside; an implementation may still show the notice.
    async fn notify(&self, target: &EscalationTarget, notice: Notice);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNotify;

#[async_trait]
impl Notify for NoNotify {
    async fn notify(&self, _target: &EscalationTarget, _notice: Notice) {}
}

/// What a mission's judge may know of the process.
pub trait Facts: Send + Sync {
    /// The agent's state as `run` sees it, its own writes included. Holds no secret.
    fn state(&self, run: &Run) -> Value;
}

/// Knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFacts;

impl Facts for NoFacts {
    fn state(&self, _run: &Run) -> Value {
        Value::Object(serde_json::Map::new())
    }
}
