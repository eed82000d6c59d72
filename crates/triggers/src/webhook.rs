//! The `webhook` trigger: wakes an agent when somebody posts to it.

mod answers;
mod config;
mod door;
mod kept;
mod listeners;
mod read_soon;
mod request;
mod routes;
mod seats;
mod server;
mod signature;
mod sources;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::Clock;

use crate::{Cursor, Error, Sink, Trigger, identity};

pub use config::{WebhookAuth, WebhookConfig};
use door::Door;
use listeners::Place;
pub use listeners::WebhookListeners;
pub use signature::SignatureScheme;
pub use sources::Source;

/// Listens on an address and fires for each `POST` on its path. Payload: the body, as JSON where it
/// is JSON, else as text.
///
/// The answer is 202 with the event's id once the process has the event durably, and 200 with
/// `duplicate: true` for one it had before. The dedup key is the signature scheme's own, such as
/// Stripe's event id, or the first of these headers that is there: `webhook-id`,
/// `X-GitHub-Delivery`, `Idempotency-Key`, `ce-source` with `ce-id`; of a CloudEvent in the structured
/// mode its `source` and `id`. What the process does not take is answered with `Retry-After` and 429 where too much waits, 507 where the disk is full, else 503;
/// nothing is kept then.
///
/// Dropping the last trigger on an address closes the port at once; requests under way have 5 s to end.
pub struct WebhookTrigger {
    id: String,
    config: WebhookConfig,
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    owner: String,
    listeners: WebhookListeners,
    place: Option<Place>,
}

impl WebhookTrigger {
    /// Checks the configuration; the port is taken by [`Trigger::open`], for this trigger alone.
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::sharing(config, clock, &WebhookListeners::default(), "the webhook")
    }

    /// As [`new`](Self::new), on ports that all webhooks of `listeners` share. `owner` names it
    /// where two want one path, such as `monitor's triggers[1]`.
    pub fn sharing(
        config: WebhookConfig,
        clock: Arc<dyn Clock>,
        listeners: &WebhookListeners,
        owner: impl Into<String>,
    ) -> Result<Self, Error> {
        let address = config.check()?;
        let id = identity::trigger_id("webhook", &config.naming())?;
        Ok(Self { id, config, address, clock, owner: owner.into(), listeners: listeners.clone(), place: None })
    }

    /// Where it listens, once it is open. Tells the port where the configuration left it free (0).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.place.as_ref().and_then(Place::local_addr)
    }
}

#[async_trait]
impl Trigger for WebhookTrigger {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn label(&self) -> String {
        format!("{}{}", self.address, self.config.webhook_path)
    }

    fn remark(&self) -> Option<String> {
        (!self.config.is_signed()).then(|| "unsigned".to_owned())
    }

    async fn open(&mut self, _cursor: &Cursor) -> Result<(), Error> {
        self.place = None;
        self.place = Some(self.listeners.take(self.address, &self.config.webhook_path, &self.owner)?);
        Ok(())
    }

    async fn run(mut self: Box<Self>, sink: Sink) -> Error {
        if self.place.is_none()
            && let Err(error) = self.open(&Cursor::new()).await
        {
            return error;
        }
        let place = self.place.take();
        let Some((place, listener)) = place.as_ref().and_then(|place| Some((place, place.listener()?))) else {
            return Error::Unavailable(format!("webhook does not listen on {}", self.address));
        };
        let guarded = self.address.ip().is_loopback() && !self.config.is_signed();
        let header = self.config.header().to_ascii_lowercase();
        let door = Door { id: self.id, config: self.config, header, guarded, clock: self.clock, sink: sink.clone() };
        place.serve(Arc::new(door));
        tokio::select! {
            () = sink.closed() => Error::Unavailable("the process is not taking events".to_owned()),
            never = server::accept(listener) => match never {},
        }
    }
}
