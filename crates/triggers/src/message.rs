//! The `message` trigger: wakes an agent when something is said on a topic.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{Clock, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::gate::{Entrance, Gate};
use crate::{Cursor, Error, Handled, Handler, Message, MessageBroker, NotTaken, Pattern, Sink, Subscription, Trigger, identity};

/// What a [`MessageTrigger`] listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageConfig {
    /// The topic; a [`Pattern`].
    pub topic: String,
}

impl MessageConfig {
    /// Every message whose topic matches `topic`.
    pub fn new(topic: &str) -> Self {
        Self { topic: topic.to_owned() }
    }
}

/// Fires for each message on a topic that matches. Payload: `topic` (the one it was published on,
/// not the pattern), `message_id`, `sender`, `content`.
///
/// `publish` counts it as taken once the process has it durably. The message's id is the dedup key,
/// and its cause goes along.
pub struct MessageTrigger {
    id: String,
    pattern: Pattern,
    broker: Arc<dyn MessageBroker>,
    clock: Arc<dyn Clock>,
    gate: Gate,
    subscription: Option<Subscription>,
}

impl MessageTrigger {
    /// Checks the configuration; subscribes to nothing yet.
    pub fn new(config: MessageConfig, broker: Arc<dyn MessageBroker>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let pattern = Pattern::parse(&config.topic).map_err(|error| Error::Config(format!("topic: {error}")))?;
        let id = identity::trigger_id("message", &config)?;
        Ok(Self { id, pattern, broker, clock, gate: Gate::new(), subscription: None })
    }
}

#[async_trait]
impl Trigger for MessageTrigger {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "message"
    }

    fn label(&self) -> String {
        self.pattern.to_string()
    }

    fn lingers(&self) -> bool {
        true
    }

    async fn open(&mut self, _cursor: &Cursor) -> Result<(), Error> {
        let listener = Listener { id: self.id.clone(), clock: Arc::clone(&self.clock), entrance: self.gate.entrance() };
        self.subscription = Some(self.broker.subscribe(&self.pattern, Arc::new(listener)).await?);
        Ok(())
    }

    async fn run(mut self: Box<Self>, sink: Sink) -> Error {
        if self.subscription.is_none()
            && let Err(error) = self.open(&Cursor::new()).await
        {
            return error;
        }
        let _until_dropped = self.subscription;
        self.gate.run(sink).await
    }
}

struct Listener {
    id: String,
    clock: Arc<dyn Clock>,
    entrance: Entrance,
}

#[async_trait]
impl Handler<Message> for Listener {
    async fn handle(&self, message: Message) -> Result<Handled, NotTaken> {
        let payload = json!({
            "topic": message.topic, "message_id": message.message_id, "sender": message.sender, "content": message.content,
        });
        let mut fired = TriggerEvent::new(&self.id, "message", self.clock.now(), payload);
        fired.dedup_key = Some(message.message_id);
        fired.cause = message.cause;
        self.entrance.pass(fired).await
    }
}
