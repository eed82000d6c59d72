//! Tools, and one call of one of them.

mod effect;
mod join;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{CallError, Run, StepId};

pub use effect::Effect;
pub use join::{NameClash, join};

/// A set of tools. MCP servers, an agent's state, its memory, the bus and the broker are all toolboxes.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// The tools, as they are now. Cheap enough to be asked before each turn.
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError>;

    /// Makes one call and returns what the tool said, errors that it reported itself included.
    ///
    /// An `Err` says that the tool did not answer: [`Failure::sent`](crate::Failure) tells whether
    /// it may have acted. Implementations set a deadline. Dropping the future gives up the wait,
    /// not the act.
    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError>;
}

/// What a tool is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name, unique in its toolbox.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON Schema of its arguments.
    pub parameters: Value,
    /// What calling it does to the world, where someone we trust said so.
    pub effect: Option<Effect>,
    /// The tool that can tell whether an earlier call of this one happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<String>,
}

/// One call on its way to a tool.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The run this call belongs to.
    pub run: Run,
    /// Which step of the run it is.
    pub step: StepId,
    /// The tool.
    pub name: String,
    /// Its arguments, a JSON object.
    pub args: Map<String, Value>,
    /// The tool as it was listed, where it was.
    pub spec: Option<Arc<ToolSpec>>,
    /// What layers want remembered with the call's intent, by layer name.
    pub notes: Map<String, Value>,
}

impl ToolCall {
    /// The call's effect for everything that must be careful: undeclared counts as irreversible.
    pub fn effect(&self) -> Effect {
        self.spec.as_ref().and_then(|spec| spec.effect).unwrap_or(Effect::Irreversible)
    }

    /// The key under which the tool may do this call once, however often it is sent.
    pub fn idempotency_key(&self) -> String {
        self.run.idempotency_key(&self.step)
    }
}

/// What a tool said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolReply {
    /// The text for the model.
    pub text: String,
    /// The tool reports that it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
    /// What the call changed in the agent's own state, to be put back when the call is replayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

impl ToolReply {
    /// A result.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A failure that the tool, or a policy in its place, reports to the model.
    pub fn error(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_error: true, ..Self::default() }
    }
}

/// One write to an agent's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its new value.
    pub value: Value,
    /// Who wrote it: `agent`, `system`, `api`, or what the caller says.
    pub source: String,
    /// When.
    pub at: chrono::DateTime<chrono::Utc>,
}
