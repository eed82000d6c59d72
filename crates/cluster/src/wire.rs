//! What goes over the wire, as both sides write and read it.

use std::collections::BTreeMap;

use flyball_journal::LifecycleState;
use flyball_runtime::{ControlError, ProcessStatus, RuntimeStatus};
use flyball_triggers::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// `GET /health`: the node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `healthy`.
    pub status: String,
    /// Which node it is.
    pub node_id: String,
    /// How many processes it manages.
    pub process_count: usize,
}

/// `GET /status`: a whole node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which node it is.
    pub node_id: String,
    /// How many processes it manages.
    pub process_count: usize,
    /// Each of them, by name.
    pub processes: BTreeMap<String, ProcessStatus>,
}

impl NodeStatus {
    pub(crate) fn new(node_id: &str, status: RuntimeStatus) -> Self {
        let RuntimeStatus { process_count, processes } = status;
        Self { node_id: node_id.to_owned(), process_count, processes }
    }
}

/// One line of `GET /processes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// Its name.
    pub name: String,
    /// Its id.
    pub process_id: String,
    /// Where it is in its life.
    pub state: LifecycleState,
    /// Why it is there.
    pub reason: String,
}

impl From<ProcessStatus> for ProcessSummary {
    fn from(status: ProcessStatus) -> Self {
        let ProcessStatus { name, process_id, state, reason, .. } = status;
        Self { name, process_id, state, reason }
    }
}

/// `GET /processes`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Processes {
    pub(crate) processes: Vec<ProcessSummary>,
}

/// The body of a request that needs none.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The body of `POST /processes/{name}/pause`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pause {
    #[serde(default)]
    pub(crate) why: Option<String>,
}

/// What was done: `started`, `stopped`, `paused`, `resumed`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) name: String,
    pub(crate) result: String,
}

/// The body of `POST /processes/{name}/event`. Who sends it decides neither its id nor that it is trusted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InjectedEvent {
    pub(crate) payload: Value,
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
    #[serde(default = "remote")]
    pub(crate) trigger_type: String,
    #[serde(default = "remote")]
    pub(crate) trigger_id: String,
    #[serde(default)]
    pub(crate) dedup_key: Option<String>,
}

/// The event was taken.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) event_id: String,
    pub(crate) duplicate: bool,
}

/// The body of `POST /processes/{name}/dead-letter`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLetter {
    pub(crate) event_id: String,
    /// It is handled once more; else it is given up.
    pub(crate) again: bool,
    #[serde(default)]
    pub(crate) note: String,
}

/// The body of `POST /processes/{name}/command`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    pub(crate) layer: String,
    pub(crate) request: String,
    #[serde(default)]
    pub(crate) body: Value,
}

/// What the layer answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CommandAnswer {
    pub(crate) result: Value,
}

/// The body of `POST /events`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmittedEvent {
    pub(crate) event_type: String,
    pub(crate) data: Value,
    #[serde(default = "api")]
    pub(crate) source: String,
}

/// The body of `POST /messages`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SentMessage {
    pub(crate) topic: String,
    pub(crate) content: Value,
    #[serde(default = "api")]
    pub(crate) sender: String,
}

/// How many processes took it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) delivered: usize,
}

/// Every answer that is not a success: `{"error": {...}}`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) error: Reason,
}

/// Why, for programs (`code`, `details`) and for people (`message`).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) details: Map<String, Value>,
}

fn remote() -> String {
    "remote".to_owned()
}

fn api() -> String {
    "api".to_owned()
}

impl From<ControlError> for Reason {
    /// The reason with all that the other side needs to make the same error of it.
    fn from(error: ControlError) -> Self {
        let message = error.to_string();
        let (code, details) = match error {
            ControlError::NotFound { name, known } => ("PROCESS_NOT_FOUND", vec![("name", json!(name)), ("known", json!(known))]),
            ControlError::State(_) => ("WRONG_STATE", vec![]),
            ControlError::Refused(Refusal::Full { waiting }) => ("FULL", vec![("waiting", json!(waiting))]),
            ControlError::Refused(Refusal::Closed) => ("CLOSED", vec![]),
            ControlError::Refused(Refusal::NoRoom) => ("NO_ROOM", vec![]),
            ControlError::Refused(Refusal::TooDeep) => ("TOO_DEEP", vec![]),
            ControlError::Refused(Refusal::Overlaps) => ("OVERLAPS", vec![]),
            ControlError::Refused(Refusal::NotDurable(cause)) => ("NOT_DURABLE", vec![("cause", json!(cause))]),
            ControlError::Refused(Refusal::Filtered { why }) => ("FILTERED", vec![("why", json!(why))]),
            ControlError::Failed(_) => ("FAILED", vec![]),
        };
        let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { code: code.to_owned(), message, details }
    }
}

impl From<Reason> for ControlError {
    fn from(reason: Reason) -> Self {
        let text = |name: &str| reason.details.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match reason.code.as_str() {
            "PROCESS_NOT_FOUND" => Self::NotFound { name: text("name"), known: text("known") },
            "WRONG_STATE" => Self::State(reason.message),
            "FULL" => {
                let waiting = reason.details.get("waiting").and_then(Value::as_u64).unwrap_or_default();
                Self::Refused(Refusal::Full { waiting: usize::try_from(waiting).unwrap_or(usize::MAX) })
            }
            "CLOSED" => Self::Refused(Refusal::Closed),
            "NO_ROOM" => Self::Refused(Refusal::NoRoom),
            "TOO_DEEP" => Self::Refused(Refusal::TooDeep),
            "OVERLAPS" => Self::Refused(Refusal::Overlaps),
            "NOT_DURABLE" => Self::Refused(Refusal::NotDurable(text("cause"))),
            "FILTERED" => Self::Refused(Refusal::Filtered { why: text("why") }),
            _ => Self::Failed(reason.message),
        }
    }
}
