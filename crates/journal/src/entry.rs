//! What is written down, one entry a fact.

use std::fmt;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Change, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Decision, LifecycleState, ProcessFold};

/// One fact about one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The process's lifecycle moved.
    StateTransition {
        /// From here.
        from_state: LifecycleState,
        /// To here.
        to_state: LifecycleState,
        /// For the operator.
        reason: String,
    },
    /// An event was taken in. Once this is durable, its source may be told yes.
    TriggerEvent {
        /// The event.
        event: TriggerEvent,
    },
    /// A run began, or began again after a crash.
    InvocationStart {
        /// The run.
        run: RunId,
        /// The event it handles.
        event_id: String,
        /// 1 for the first time.
        attempt: u32,
    },
    /// A model answered.
    ModelReply {
        /// The run.
        run: RunId,
        /// The turn.
        step: StepId,
        /// What it said.
        reply: Reply,
    },
    /// A call is about to leave. Durable before its first byte does, unless it only reads.
    ToolCall {
        /// The run.
        run: RunId,
        /// The call's step.
        step: StepId,
        /// 1 for the first time.
        attempt: u32,
        /// The tool.
        tool: String,
        /// Its arguments, with names of secrets in place of secrets.
        args: Map<String, Value>,
        /// What calling it does.
        effect: Effect,
        /// What layers want remembered of this call, by layer name.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        notes: Map<String, Value>,
    },
    /// A call was answered, by its tool or by a layer that refused it.
    ToolResult {
        /// The run.
        run: RunId,
        /// The call's step.
        step: StepId,
        /// The answer, with the changes it made.
        reply: ToolReply,
        /// A layer answered; the tool was never asked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
        /// How the answer became known where the tool did not give it: `reconcile`, or an operator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settled_by: Option<String>,
    },
    /// A run waits for an answer, and its process goes on.
    InvocationHeld {
        /// The run.
        run: RunId,
        /// What it waits for.
        why: String,
    },
    /// Someone said what became of a call in doubt. The run goes on, unless it is aborted.
    Settled {
        /// The run.
        run: RunId,
        /// The event it handles.
        event_id: String,
        /// The call's step.
        step: StepId,
        /// What was said.
        decision: Decision,
        /// Why, in the operator's words.
        note: String,
    },
    /// A run ended; its end and all of its writes are one record.
    InvocationResult {
        /// The run.
        run: RunId,
        /// The event it handled.
        event_id: String,
        /// How it ended.
        outcome: Outcome,
        /// What it wrote.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<Change>,
    },
    /// A run failed. It is run again from its last recorded step, unless this was its last attempt.
    Error {
        /// The run.
        run: RunId,
        /// The event it handled.
        event_id: String,
        /// What went wrong.
        error: String,
        /// No further attempt will be made.
        last: bool,
    },
    /// State was written outside of any run.
    ContextUpdate {
        /// What was written.
        changes: Vec<Change>,
    },
    /// A layer's own fact. The journal does not read it.
    Note {
        /// The layer.
        layer: String,
        /// The run it belongs to, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// The fact.
        body: Value,
    },
    /// All that the process's records up to here come to. Recovery begins at the newest of these.
    Checkpoint {
        /// The process.
        fold: Box<ProcessFold>,
        /// What each layer must not forget, by its name.
        layers: Map<String, Value>,
    },
    /// The process was started from this journal.
    Recovered {
        /// How many of its records were read.
        entries_replayed: u64,
        /// The runs that a crash had cut off.
        interrupted: Vec<RunId>,
        /// The events that were waiting.
        pending_events: u64,
    },
}

impl Entry {
    /// The kind's name, as it stands in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StateTransition { .. } => "state_transition",
            Self::TriggerEvent { .. } => "trigger_event",
            Self::InvocationStart { .. } => "invocation_start",
            Self::ModelReply { .. } => "model_reply",
            Self::ToolCall { .. } => "tool_call",
            Self::ToolResult { .. } => "tool_result",
            Self::InvocationHeld { .. } => "invocation_held",
            Self::Settled { .. } => "settled",
            Self::InvocationResult { .. } => "invocation_result",
            Self::Error { .. } => "error",
            Self::ContextUpdate { .. } => "context_update",
            Self::Note { .. } => "note",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Recovered { .. } => "recovered",
        }
    }

    /// The run the entry is about, if it is about one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::InvocationStart { run, .. }
            | Self::ModelReply { run, .. }
            | Self::ToolCall { run, .. }
            | Self::ToolResult { run, .. }
            | Self::InvocationHeld { run, .. }
            | Self::Settled { run, .. }
            | Self::InvocationResult { run, .. }
            | Self::Error { run, .. } => Some(run),
            Self::Note { run, .. } => run.as_ref(),
            Self::StateTransition { .. }
            | Self::TriggerEvent { .. }
            | Self::ContextUpdate { .. }
            | Self::Checkpoint { .. }
            | Self::Recovered { .. } => None,
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number in the log, from 1, without gaps.
    pub seq: u64,
    /// The process it is about.
    pub process: String,
    /// Its number among the process's records, from 1, without gaps.
    pub n: u64,
    /// Under which ownership it was written. 1 on a single node.
    pub epoch: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// The fact.
    #[serde(flatten)]
    pub entry: Entry,
}
