//! One turn of a model.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CallError, Run, StepId, ToolSpec};

/// Answers one turn.
#[async_trait]
pub trait Model: Send + Sync {
    /// The answer to `turn`.
    ///
    /// Asking has no effect but its cost, so a call that failed may be made again. Dropping the
    /// future gives the question up. Implementations set their own deadline: a reply never takes
    /// for ever.
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError>;
}

/// What a model is asked.
#[derive(Debug, Clone)]
pub struct Turn {
    /// The run this turn belongs to.
    pub run: Run,
    /// Which step of the run it is.
    pub step: StepId,
    /// The conversation so far, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// The tools the model may want to call.
    pub tools: Vec<Arc<ToolSpec>>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Instructions and notes.
    System {
        /// What is said.
        text: String,
    },
    /// The event, or an earlier one.
    User {
        /// What is said.
        text: String,
    },
    /// The model's own words and wishes.
    Assistant {
        /// What is said; may be empty where calls are wanted.
        text: String,
        /// The calls it wanted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<WantedCall>,
    },
    /// What a call brought.
    Tool {
        /// The id under which the model wanted the call.
        call_id: String,
        /// The tool's name.
        name: String,
        /// The result's text.
        text: String,
    },
}

impl Message {
    /// A system message.
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { text: text.into() }
    }

    /// A user's message.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// An assistant's message without calls.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), calls: Vec::new() }
    }

    /// What the message says, whoever said it.
    pub fn text(&self) -> &str {
        match self {
            Self::System { text } | Self::User { text } | Self::Assistant { text, .. } | Self::Tool { text, .. } => text,
        }
    }
}

/// What a model answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What it says; the run's answer where it wants no call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The calls it wants, to be made side by side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<WantedCall>,
    /// How many more calls it wanted than [`MAX_CALLS_PER_REPLY`]; of these nothing is kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls_beyond: u64,
    /// What the turn used.
    #[serde(default)]
    pub usage: Usage,
}

/// The most calls of one reply that are taken in. A model that lists thousands has lost its way,
/// and each of them would be asked about in every later turn.
pub const MAX_CALLS_PER_REPLY: usize = 64;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Reply {
    /// The reply with no more than [`MAX_CALLS_PER_REPLY`] calls, and a count of the others.
    pub fn capped(mut self) -> Self {
        let beyond = self.calls.len().saturating_sub(MAX_CALLS_PER_REPLY);
        self.calls.truncate(MAX_CALLS_PER_REPLY);
        self.calls_beyond += beyond as u64;
        self
    }

    /// A reply that only says something.
    pub fn say(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// A call as the model wants it. Its id is the model's; nothing durable is keyed by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WantedCall {
    /// The model's name for this call, for matching the result.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments. Not an object where the model wrote something else; the loop then answers
    /// the model instead of a tool.
    pub args: Value,
}

/// What turns used, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read.
    #[serde(default)]
    pub input_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub output_tokens: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
    }
}
