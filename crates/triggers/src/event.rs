//! The `event` trigger: wakes an agent when something is emitted on the bus.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{Clock, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::gate::{Entrance, Gate};
use crate::{BusEvent, Cursor, Error, EventBus, Handled, Handler, NotTaken, Pattern, Sink, Subscription, Trigger, identity};

/// What an [`EventTrigger`] listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventConfig {
    /// The event's type; a [`Pattern`].
    pub event_type: String,
    /// Only events of this source.
    #[serde(default)]
    pub event_source: Option<String>,
}

impl EventConfig {
    /// Every event whose type matches `event_type`, whoever emits it.
    pub fn new(event_type: &str) -> Self {
        Self { event_type: event_type.to_owned(), event_source: None }
    }
}

/// Fires for each event on the bus that matches. Payload: `event_type`, `event_id`, `source`, `data`.
///
/// `emit` counts it as taken once the process has it durably. The event's id is the dedup key, and
/// its cause goes along.
pub struct EventTrigger {
    id: String,
    pattern: Pattern,
    source: Option<String>,
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    gate: Gate,
    subscription: Option<Subscription>,
}

impl EventTrigger {
    /// Checks the configuration; subscribes to nothing yet.
    pub fn new(config: EventConfig, bus: Arc<dyn EventBus>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let pattern = Pattern::parse(&config.event_type).map_err(|error| Error::Config(format!("event_type: {error}")))?;
        if config.event_source.as_deref() == Some("") {
            return Err(Error::Config("event_source: it is empty; leave it out to hear every source".to_owned()));
        }
        let id = identity::trigger_id("event", &config)?;
        Ok(Self { id, pattern, source: config.event_source, bus, clock, gate: Gate::new(), subscription: None })
    }
}

#[async_trait]
impl Trigger for EventTrigger {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "event"
    }

    fn label(&self) -> String {
        let from = self.source.as_ref().map(|source| format!(" from {source}"));
        format!("{}{}", self.pattern, from.unwrap_or_default())
    }

    fn lingers(&self) -> bool {
        true
    }

    async fn open(&mut self, _cursor: &Cursor) -> Result<(), Error> {
        let listener = Listener {
            id: self.id.clone(),
            source: self.source.clone(),
            clock: Arc::clone(&self.clock),
            entrance: self.gate.entrance(),
        };
        self.subscription = Some(self.bus.subscribe(&self.pattern, Arc::new(listener)).await?);
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
    source: Option<String>,
    clock: Arc<dyn Clock>,
    entrance: Entrance,
}

#[async_trait]
impl Handler<BusEvent> for Listener {
    async fn handle(&self, event: BusEvent) -> Result<Handled, NotTaken> {
        if self.source.as_ref().is_some_and(|source| *source != event.source) {
            return Ok(Handled::Ignored);
        }
        let payload = json!({
            "event_type": event.event_type, "event_id": event.event_id, "source": event.source, "data": event.data,
        });
        let mut fired = TriggerEvent::new(&self.id, "event", self.clock.now(), payload);
        fired.dedup_key = Some(event.event_id);
        fired.cause = event.cause;
        self.entrance.pass(fired).await
    }
}
