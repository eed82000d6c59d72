//! A node, steered from elsewhere.

mod http;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::TriggerEvent;
use flyball_runtime::{Control, ControlError, ProcessStatus, RuntimeStatus, Settlement};
use flyball_triggers::Receipt;
use hyper::Method;
use serde_json::Value;

use crate::wire::{
    Accepted, Command, CommandAnswer, DeadLetter, Delivered, Done, EmittedEvent, Health, InjectedEvent, NodeStatus, Nothing,
    Pause, Processes, SentMessage,
};
use crate::{Error, ProcessSummary};
use http::Connector;

/// A [`Control`] over HTTP: what a [`RuntimeTransport`](crate::RuntimeTransport) serves, on the other side.
///
/// A node that cannot be reached, or does not understand us, is [`ControlError::Failed`]. Of an event only payload, metadata,
/// trigger and key travel: the node gives it an id and a time of its own, and never takes it as trusted.
pub struct RemoteControl {
    connector: Connector,
    timeouts: RemoteTimeouts,
}

/// How long a remote node is waited for. Over them, it is not known whether the node did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteTimeouts {
    /// For a connection.
    pub connect: Duration,
    /// For an answer.
    pub request: Duration,
    /// For the answer to a start or a stop, which wait for tool servers and for runs.
    pub lifecycle: Duration,
}

impl Default for RemoteTimeouts {
    /// A little more than the node takes itself, so that its own words arrive.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(35), lifecycle: Duration::from_secs(125) }
    }
}

impl RemoteControl {
    /// A node at `url`, such as `http://127.0.0.1:9100`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Config`] where `url` is not `http://HOST[:PORT]` or the token does not fit into a header.
    pub fn new(url: &str, token: Option<String>) -> Result<Self, Error> {
        Ok(Self { connector: Connector::new(url, token)?, timeouts: RemoteTimeouts::default() })
    }

    /// The same node, waited for as long as `timeouts` say.
    pub fn with_timeouts(self, timeouts: RemoteTimeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Whether the node answers. It needs no token.
    ///
    /// # Errors
    /// [`ControlError::Failed`] where it does not.
    pub async fn health(&self) -> Result<Health, ControlError> {
        self.get("/health").await
    }

    /// The whole node, or why it cannot be had: what [`Control::status`] cannot say.
    ///
    /// # Errors
    /// [`ControlError::Failed`] where the node does not answer or wants another token.
    pub async fn node_status(&self) -> Result<NodeStatus, ControlError> {
        self.get("/status").await
    }

    /// The node's processes in short.
    ///
    /// # Errors
    /// As for [`RemoteControl::node_status`].
    pub async fn processes(&self) -> Result<Vec<ProcessSummary>, ControlError> {
        let Processes { processes } = self.get("/processes").await?;
        Ok(processes)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ControlError> {
        self.connector.ask::<(), T>(Method::GET, path, None, self.timeouts.connect, self.timeouts.request).await
    }

    async fn post<B: serde::Serialize, T: serde::de::DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ControlError> {
        self.connector.ask(Method::POST, path, Some(body), self.timeouts.connect, self.timeouts.request).await
    }

    async fn lifecycle<B: serde::Serialize>(&self, name: &str, verb: &str, body: &B) -> Result<(), ControlError> {
        let path = process_path(name, verb);
        let Done { .. } =
            self.connector.ask(Method::POST, &path, Some(body), self.timeouts.connect, self.timeouts.lifecycle).await?;
        Ok(())
    }
}

impl fmt::Debug for RemoteControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteControl").field("node", &self.connector.node()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Control for RemoteControl {
    /// A node that does not answer shows as one without processes, and as a warning in the log;
    /// [`RemoteControl::node_status`] tells them apart.
    async fn status(&self) -> RuntimeStatus {
        match self.node_status().await {
            Ok(NodeStatus { process_count, processes, .. }) => RuntimeStatus { process_count, processes },
            Err(error) => {
                tracing::warn!(%error, "the node's status is not known");
                RuntimeStatus { process_count: 0, processes: Default::default() }
            }
        }
    }

    async fn process_status(&self, name: &str) -> Result<ProcessStatus, ControlError> {
        self.get(&format!("/processes/{}", http::encode(name))).await
    }

    async fn start(&self, name: &str) -> Result<(), ControlError> {
        self.lifecycle(name, "start", &Nothing {}).await
    }

    async fn stop(&self, name: &str) -> Result<(), ControlError> {
        self.lifecycle(name, "stop", &Nothing {}).await
    }

    async fn pause(&self, name: &str, why: &str) -> Result<(), ControlError> {
        self.lifecycle(name, "pause", &Pause { why: Some(why.to_owned()) }).await
    }

    async fn resume(&self, name: &str) -> Result<(), ControlError> {
        self.lifecycle(name, "resume", &Nothing {}).await
    }

    async fn inject(&self, name: &str, event: TriggerEvent) -> Result<Receipt, ControlError> {
        // Without a key of its own the event's id is its key here, as it would be there.
        let dedup_key = Some(event.key().to_owned());
        let TriggerEvent { payload, metadata, trigger_type, trigger_id, .. } = event;
        let body = InjectedEvent { payload, metadata, trigger_type, trigger_id, dedup_key };
        let Accepted { event_id, duplicate } = self.post(&process_path(name, "event"), &body).await?;
        Ok(Receipt { event_id, duplicate })
    }

    async fn emit(&self, event_type: &str, source: &str, data: Value) -> Result<usize, ControlError> {
        let body = EmittedEvent { event_type: event_type.to_owned(), data, source: source.to_owned() };
        let Delivered { delivered } = self.post("/events", &body).await?;
        Ok(delivered)
    }

    async fn publish(&self, topic: &str, sender: &str, content: Value) -> Result<usize, ControlError> {
        let body = SentMessage { topic: topic.to_owned(), content, sender: sender.to_owned() };
        let Delivered { delivered } = self.post("/messages", &body).await?;
        Ok(delivered)
    }

    async fn resolve(&self, name: &str, settlement: Settlement) -> Result<(), ControlError> {
        let Done { .. } = self.post(&process_path(name, "resolve"), &settlement).await?;
        Ok(())
    }

    async fn see_to_dead_letter(&self, name: &str, event_id: &str, again: bool, note: &str) -> Result<(), ControlError> {
        let body = DeadLetter { event_id: event_id.to_owned(), again, note: note.to_owned() };
        let Done { .. } = self.post(&process_path(name, "dead-letter"), &body).await?;
        Ok(())
    }

    async fn command(&self, name: &str, layer: &str, request: &str, body: Value) -> Result<Value, ControlError> {
        let body = Command { layer: layer.to_owned(), request: request.to_owned(), body };
        let CommandAnswer { result } = self.post(&process_path(name, "command"), &body).await?;
        Ok(result)
    }
}

fn process_path(name: &str, verb: &str) -> String {
    format!("/processes/{}/{verb}", http::encode(name))
}
