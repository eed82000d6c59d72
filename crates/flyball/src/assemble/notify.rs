//! What the policies need from outside: someone to tell, and something to know.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::Context;
use flyball_core_agent::Run;
use flyball_governance::{EscalationTarget, Facts, Notice, Notify};
use flyball_triggers::{BusEvent, EventBus};
use serde_json::{Map, Value};

/// Tells escalation targets: an event on the bus, an HTTP POST, or both.
pub(super) struct Escalations {
    bus: Arc<dyn EventBus>,
}

/// A receiver that takes longer is given up: a policy must not wait for someone else's server.
const DEADLINE: Duration = Duration::from_secs(10);

impl Escalations {
    pub fn new(bus: Arc<dyn EventBus>) -> Self {
        Self { bus }
    }
}

#[async_trait]
impl Notify for Escalations {
    async fn notify(&self, target: &EscalationTarget, notice: Notice) {
        let body = serde_json::to_value(&notice).unwrap_or(Value::Null);
        if let Some(event_type) = &target.event_type
            && let Err(error) = self.bus.emit(BusEvent::new(event_type, &notice.process, body.clone())).await
        {
            tracing::warn!(process = %notice.process, kind = %notice.kind, %error, "an escalation did not reach the bus");
        }
        if let Some(url) = target.webhook_url.clone() {
            // Not waited for: whoever escalates goes on.
            tokio::spawn(post(url, notice, body));
        }
    }
}

async fn post(url: String, notice: Notice, body: Value) {
    flyball_core_agent::install_tls_provider();
    let client = reqwest::Client::builder().timeout(DEADLINE).redirect(reqwest::redirect::Policy::none()).build();
    let sent = match client {
        Ok(client) => client.post(url).json(&body).send().await.and_then(reqwest::Response::error_for_status).map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = sent {
        // A webhook's URL is a secret in many products: the error goes without it.
        tracing::warn!(process = %notice.process, kind = %notice.kind, error = %error.without_url(), "an escalation was not delivered");
    }
}

/// The agent's state, as a run sees it.
pub(super) struct StateFacts {
    context: Arc<Context>,
}

impl StateFacts {
    pub fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

impl Facts for StateFacts {
    fn state(&self, run: &Run) -> Value {
        let mut state: Map<String, Value> = self.context.state().snapshot();
        state.extend(run.changes().into_iter().map(|change| (change.key, change.value)));
        Value::Object(state)
    }
}
