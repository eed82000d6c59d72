//! What is written down, one entry a fact.

mod read;
mod write;

use std::fmt;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Change, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Decision, LifecycleState, ProcessFold};

/// Why a run begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// It was cut off, by a crash or because its process ended.
    CutOff,
    /// It failed so often, and may be tried so often in all.
    Failed {
        /// How often.
        times: u32,
        /// How often it may be tried.
        of: u32,
    },
    /// It was held, and what it waits for may have been answered meanwhile.
    Held,
    /// It was held, and an operator has decided.
    Decided,
}

/// One fact about one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// What is derived reads and writes the fields; `read` and `write` put them into one object with the kind.
#[serde(remote = "Self", rename_all = "snake_case")]
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
        /// Where its trigger stands with it, as for [`Entry::TriggerMoved`].
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        cursor: Map<String, Value>,
    },
    /// A trigger stands elsewhere though no event was taken in: it looked for the first time, or it let
    /// something pass.
    TriggerMoved {
        /// Which one.
        trigger_id: String,
        /// What changed of where it stands, by key; `null` for what is there no more.
        cursor: Map<String, Value>,
        /// How much it let pass: instants that were missed, or that came while an earlier one was handled.
        #[serde(default, skip_serializing_if = "is_zero")]
        skipped: u64,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        why: String,
    },
    /// A run began, or began again.
    InvocationStart {
        /// The run.
        run: RunId,
        /// The event it handles.
        event_id: String,
        /// 1 for the first time.
        attempt: u32,
        /// Why it began again; nothing where it did not, or an earlier version wrote this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Again>,
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
    /// A run failed. It is run again from its last recorded step, unless this was its last attempt: then
    /// its event is a dead letter.
    Error {
        /// The run.
        run: RunId,
        /// The event it handled.
        event_id: String,
        /// What went wrong.
        error: String,
        /// No further attempt will be made.
        last: bool,
        /// Before this instant no further attempt is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<DateTime<Utc>>,
    },
    /// An event waited longer than it may, and is not handled any more.
    Expired {
        /// The event.
        event_id: String,
        /// Which limit.
        why: String,
    },
    /// A dead letter is handled once more, in a run of its own.
    Redelivered {
        /// The event.
        event_id: String,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// A dead letter was given up.
    Dismissed {
        /// The event.
        event_id: String,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        note: String,
    },
    /// The end of the journal was cut off. These events were open then, and a step of their runs may
    /// have stood there.
    TailLost {
        /// Where it was cut.
        why: String,
        /// The events' ids.
        events: Vec<String>,
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
    /// Records of the process, from its newest checkpoint on, once more: the segments in which they
    /// stood first can be given up. Recovery begins here.
    Carried {
        /// They keep their numbers.
        records: Vec<Record>,
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
    /// An event was taken in, by something that remembers nothing of it.
    pub fn accepted(event: TriggerEvent) -> Self {
        Self::TriggerEvent { event, cursor: Map::new() }
    }

    /// The names of all kinds.
    pub const KINDS: [&str; 20] = [
        "state_transition",
        "trigger_event",
        "trigger_moved",
        "invocation_start",
        "model_reply",
        "tool_call",
        "tool_result",
        "invocation_held",
        "settled",
        "invocation_result",
        "error",
        "expired",
        "redelivered",
        "dismissed",
        "tail_lost",
        "context_update",
        "note",
        "checkpoint",
        "carried",
        "recovered",
    ];

    /// The kind's name, as it stands in the journal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::StateTransition { .. } => "state_transition",
            Self::TriggerEvent { .. } => "trigger_event",
            Self::TriggerMoved { .. } => "trigger_moved",
            Self::InvocationStart { .. } => "invocation_start",
            Self::ModelReply { .. } => "model_reply",
            Self::ToolCall { .. } => "tool_call",
            Self::ToolResult { .. } => "tool_result",
            Self::InvocationHeld { .. } => "invocation_held",
            Self::Settled { .. } => "settled",
            Self::InvocationResult { .. } => "invocation_result",
            Self::Error { .. } => "error",
            Self::Expired { .. } => "expired",
            Self::Redelivered { .. } => "redelivered",
            Self::Dismissed { .. } => "dismissed",
            Self::TailLost { .. } => "tail_lost",
            Self::ContextUpdate { .. } => "context_update",
            Self::Note { .. } => "note",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Carried { .. } => "carried",
            Self::Recovered { .. } => "recovered",
        }
    }

    /// It says again what the records before it come to, and stands in a batch of its own.
    pub(crate) fn restates(&self) -> bool {
        matches!(self, Self::Checkpoint { .. } | Self::Carried { .. })
    }

    /// The run that the entry is about comes to its end with it.
    pub(crate) fn ends_run(&self) -> bool {
        matches!(
            self,
            Self::InvocationResult { .. } | Self::Error { last: true, .. } | Self::Settled { decision: Decision::Abort, .. }
        )
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
            | Self::TriggerMoved { .. }
            | Self::Expired { .. }
            | Self::Redelivered { .. }
            | Self::Dismissed { .. }
            | Self::TailLost { .. }
            | Self::ContextUpdate { .. }
            | Self::Checkpoint { .. }
            | Self::Carried { .. }
            | Self::Recovered { .. } => None,
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq)]
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
    pub entry: Entry,
}
