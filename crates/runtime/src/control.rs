//! The one way in from outside: the command line and the HTTP API know nothing else.

use async_trait::async_trait;
use flyball_core_agent::{RunId, StepId, TriggerEvent};
use flyball_journal::Decision;
use flyball_triggers::{Receipt, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ProcessStatus, RuntimeStatus};

/// Steers the processes of a node. The local runtime implements it; so may a remote node.
///
/// Dropping a future gives up the wait, not the act.
#[async_trait]
pub trait Control: Send + Sync {
    /// Everything, as it is now.
    async fn status(&self) -> RuntimeStatus;

    /// One process, as it is now.
    async fn process_status(&self, name: &str) -> Result<ProcessStatus, ControlError>;

    /// Starts a process that is not alive. It is up, or has failed, when this returns.
    async fn start(&self, name: &str) -> Result<(), ControlError>;

    /// Stops a process in order: it takes no more events, and its runs get its drain time.
    async fn stop(&self, name: &str) -> Result<(), ControlError>;

    /// Holds back new runs until [`resume`](Control::resume). Events are still taken in.
    async fn pause(&self, name: &str, why: &str) -> Result<(), ControlError>;

    /// Ends a pause, whoever made it.
    async fn resume(&self, name: &str) -> Result<(), ControlError>;

    /// Gives a process an event, as if a trigger had. It is durable when this returns.
    async fn inject(&self, name: &str, event: TriggerEvent) -> Result<Receipt, ControlError>;

    /// Emits an event on the bus. Returns how many processes took it.
    async fn emit(&self, event_type: &str, source: &str, data: Value) -> Result<usize, ControlError>;

    /// Publishes a message on the broker. Returns how many processes took it.
    async fn publish(&self, topic: &str, sender: &str, content: Value) -> Result<usize, ControlError>;

    /// Says what became of a call in doubt. It is durable when this returns, and the run goes on.
    async fn resolve(&self, name: &str, settlement: Settlement) -> Result<(), ControlError>;

    /// Handles a dead letter once more (`again`), or gives it up. Durable when this returns.
    async fn see_to_dead_letter(&self, name: &str, event_id: &str, again: bool, note: &str) -> Result<(), ControlError>;

    /// Asks a layer of a process something that only the layer understands.
    async fn command(&self, name: &str, layer: &str, request: &str, body: Value) -> Result<Value, ControlError>;
}

/// What an operator says of a call in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The run that is held.
    pub run: RunId,
    /// The call's step.
    pub step: StepId,
    /// What became of it.
    pub decision: Decision,
    /// Why, in the operator's words.
    #[serde(default)]
    pub note: String,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No process has that name or id.
    #[error("no process is named '{name}'; there are: {known}")]
    NotFound {
        /// The name asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// It makes no sense in the process's present state.
    #[error("{0}")]
    State(String),
    /// The event was not taken.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}
