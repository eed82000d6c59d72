//! The `webhook` trigger: wakes an agent when somebody posts to it.

mod config;
mod door;
mod request;
mod server;
mod signature;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::Clock;
use tokio::net::TcpListener;

use crate::{Error, Sink, Trigger, identity};

pub use config::WebhookConfig;
use door::Door;

/// Listens on an address of its own and fires for each `POST` on its path. Payload: the body, as
/// JSON where it is JSON, else as text.
///
/// The answer is 202 with the event's id once the process has the event durably, and 200 with
/// `duplicate: true` for one it had before. The dedup key is the first of these headers that is
/// there: `webhook-id`, `X-GitHub-Delivery`, `Idempotency-Key`, `ce-source` with `ce-id`. What the
/// process does not take is answered with 503 and `Retry-After`; nothing is kept then.
///
/// Dropping the trigger closes the port at once; requests under way have 5 s to end.
pub struct WebhookTrigger {
    id: String,
    config: WebhookConfig,
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    listener: Option<TcpListener>,
}

impl WebhookTrigger {
    /// Checks the configuration; the port is taken by [`Trigger::open`].
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let address = config.check()?;
        Ok(Self { id: identity::trigger_id("webhook", &config)?, config, address, clock, listener: None })
    }

    /// Where it listens, once it is open. Tells the port where the configuration left it free (0).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
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

    async fn open(&mut self) -> Result<(), Error> {
        self.listener = None;
        let listener = TcpListener::bind(self.address).await;
        let why = |error: std::io::Error| {
            let taken = error.kind() == std::io::ErrorKind::AddrInUse;
            let fix = if taken { "; stop what listens there, or set another webhook_port" } else { "" };
            Error::Unavailable(format!("webhook cannot listen on {}: {error}{fix}", self.address))
        };
        self.listener = Some(listener.map_err(why)?);
        Ok(())
    }

    async fn run(mut self: Box<Self>, sink: Sink) -> Error {
        if self.listener.is_none()
            && let Err(error) = self.open().await
        {
            return error;
        }
        let Some(listener) = self.listener else {
            return Error::Unavailable(format!("webhook does not listen on {}", self.address));
        };
        let guarded = self.address.ip().is_loopback() && self.config.hmac_secret.is_none();
        let door = Door { id: self.id, config: self.config, guarded, clock: self.clock, sink: sink.clone() };
        tokio::select! {
            () = sink.closed() => Error::Unavailable("the process is not taking events".to_owned()),
            never = server::accept(listener, Arc::new(door)) => match never {},
        }
    }
}
