//! Two ways for agents to reach each other: a bus for events, a broker for messages. Both are
//! traits, so that a program can bring its own.

mod delivery;
mod in_process;

use async_trait::async_trait;
use flyball_core_agent::Cause;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use std::sync::Arc;

use crate::{Error, Pattern};

pub use delivery::{Delivery, Handled, Handler, NotTaken, Subscription};
pub use in_process::{InProcessBroker, InProcessBus};

/// Something that happened, for whoever listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusEvent {
    /// Two arrivals with the same id are the same event.
    pub event_id: String,
    /// What happened, a topic such as `alert.critical`.
    pub event_type: String,
    /// Who says so: a process's name, or that of a program.
    pub source: String,
    /// What is known of it.
    pub data: Value,
    /// The run that emitted it, where an agent did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl BusEvent {
    /// An event with a fresh id, caused by no agent.
    pub fn new(event_type: &str, source: &str, data: Value) -> Self {
        Self {
            event_id: flyball_core_agent::fresh_id(),
            event_type: event_type.to_owned(),
            source: source.to_owned(),
            data,
            cause: None,
        }
    }
}

/// Something said on a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Two arrivals with the same id are the same message.
    pub message_id: String,
    /// Where it is said, such as `analysis.complete`.
    pub topic: String,
    /// Who says it: a process's name, or that of a program.
    pub sender: String,
    /// What is said.
    pub content: Value,
    /// The run that published it, where an agent did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

impl Message {
    /// A message with a fresh id, caused by no agent.
    pub fn new(topic: &str, sender: &str, content: Value) -> Self {
        Self {
            message_id: flyball_core_agent::fresh_id(),
            topic: topic.to_owned(),
            sender: sender.to_owned(),
            content,
            cause: None,
        }
    }
}

/// Carries events. Its laws are those of the `conformance` module, under the feature of that name.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// From the moment this returns `Ok`, every event whose type matches `pattern` is handed to
    /// `handler`, until the subscription is dropped.
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<BusEvent>>) -> Result<Subscription, Error>;

    /// Hands `event` to everyone who listens to its type, side by side, and says who took it.
    ///
    /// One that does not take it stops no other. Emitting the same event again is harmless: to those
    /// who took it, it is a duplicate. [`Error::Config`] for a type that is no topic,
    /// [`Error::Unavailable`] where the bus cannot be reached. Dropping the future leaves open who took it.
    async fn emit(&self, event: BusEvent) -> Result<Delivery, Error>;
}

/// Carries messages. It differs from [`EventBus`] in what it carries, and in nothing else.
#[async_trait]
pub trait MessageBroker: Send + Sync {
    /// From the moment this returns `Ok`, every message whose topic matches `pattern` is handed to
    /// `handler`, until the subscription is dropped.
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<Message>>) -> Result<Subscription, Error>;

    /// Hands `message` to everyone who listens to its topic, side by side, and says who took it;
    /// else as [`EventBus::emit`].
    async fn publish(&self, message: Message) -> Result<Delivery, Error>;
}
