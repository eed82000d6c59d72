//! What an operator sees.

use chrono::{DateTime, Utc};
use flyball_journal::{EventCounts, LifecycleState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A whole runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuntimeStatus {
    /// How many processes it manages.
    pub process_count: usize,
    /// Each of them, by name.
    pub processes: std::collections::BTreeMap<String, ProcessStatus>,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name.
    pub name: String,
    /// Its id, the same for as long as its journal lives.
    pub process_id: String,
    /// Where it is in its life.
    pub state: LifecycleState,
    /// Why it is there.
    pub reason: String,
    /// It failed, and will not be started again by itself.
    pub given_up: bool,
    /// It came to an end, or was never started, and will not be started by itself. A process that is stopped
    /// to be started anew is not.
    #[serde(default)]
    pub over: bool,
    /// Runs that ended or were cut off, ever.
    pub invocation_count: u64,
    /// Runs in a row that failed.
    pub consecutive_failures: u32,
    /// Automatic restarts in a row.
    pub restart_count: u32,
    /// When it was last started, if it is alive.
    pub started_at: Option<DateTime<Utc>>,
    /// Since then; 0 when it is not alive.
    pub uptime_seconds: f64,
    /// When its loop last said that it is well.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// Events taken in and not yet handled.
    pub pending_events: usize,
    /// What became of all events: `accepted` are those with an end, and those that are open.
    #[serde(default)]
    pub events: EventCounts,
    /// Events that have no end yet: `pending_events`, and those of runs that are on or held.
    #[serde(default)]
    pub open_events: usize,
    /// The disk is full: no event is accepted.
    #[serde(default)]
    pub disk_full: bool,
    /// Runs that are on.
    pub active_runs: usize,
    /// Runs that wait for an answer, and for what.
    pub held_runs: Map<String, Value>,
    /// Its triggers: id, kind, and how often each fired since the start.
    pub triggers: Vec<TriggerStatus>,
    /// What each layer says of itself.
    pub layers: Map<String, Value>,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerStatus {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What it waits for, as whoever configured it would say it; empty where an older runtime tells of it.
    #[serde(default)]
    pub label: String,
    /// Events it brought since the process started.
    pub fired: u64,
    /// Events that its filter did not let through, since then.
    #[serde(default)]
    pub filtered: u64,
    /// When and why it last let one not through.
    #[serde(default)]
    pub last_filtered: Option<String>,
    /// How much it let pass, ever: instants that were missed, or that came too early.
    #[serde(default)]
    pub skipped: u64,
    /// Why, the last time.
    #[serde(default)]
    pub last_skipped: Option<String>,
    /// When it fires next, where that is known.
    #[serde(default)]
    pub next: Option<DateTime<Utc>>,
    /// What an operator should know of it.
    #[serde(default)]
    pub remark: Option<String>,
    /// Why it ended, if it did.
    pub error: Option<String>,
}
