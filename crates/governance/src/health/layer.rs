//! Health around a toolbox and an agent.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{
    Agent, CallError, Clock, Directive, Error, Invocation, Layer, Outcome, ToolCall, ToolReply, ToolSpec, Toolbox,
};
use flyball_journal::Journal;
use serde_json::Value;

use super::config::HealthConfig;
use super::watch::Watch;
use crate::Notify;

/// The name of the layer and of its notes.
pub(super) const LAYER: &str = "health";

/// The behavioural health of one process, as a layer. It asks no model.
///
/// An anomaly that asks for a pause or a stop ends the run at its next call, or at its end.
pub struct Health {
    watch: Arc<Watch>,
}

impl Health {
    /// A watch that has seen nothing yet. `config` has passed its [check](HealthConfig::check).
    pub fn new(config: HealthConfig, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>, notify: Arc<dyn Notify>) -> Arc<Self> {
        Arc::new(Self { watch: Arc::new(Watch::new(config, clock, journal, notify)) })
    }
}

impl Layer for Health {
    fn name(&self) -> &'static str {
        LAYER
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(Watched { watch: Arc::clone(&self.watch), inner })
    }

    fn agent(&self, inner: Arc<dyn Agent>) -> Arc<dyn Agent> {
        Arc::new(Watched { watch: Arc::clone(&self.watch), inner })
    }

    fn status(&self) -> Option<Value> {
        Some(self.watch.status())
    }

    fn after_failure(&self) -> Directive {
        self.watch.owed.take()
    }
}

struct Watched<T: ?Sized> {
    watch: Arc<Watch>,
    inner: Arc<T>,
}

#[async_trait]
impl Toolbox for Watched<dyn Toolbox> {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let pending = self.watch.pending(&call.run);
        if pending != Directive::Continue {
            return Err(CallError::Halt(pending));
        }
        let result = self.inner.call(call).await;
        match &result {
            Ok(reply) => self.watch.saw_call(call, &reply.text, reply.is_error).await,
            Err(CallError::Failed(failure)) => self.watch.saw_call(call, &failure.message, true).await,
            // Not an answer: the run ends or waits.
            Err(CallError::Halt(_) | CallError::Park(_) | CallError::Abort(_) | CallError::Cancelled) => {}
        }
        result
    }
}

#[async_trait]
impl Agent for Watched<dyn Agent> {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        let run = invocation.run.clone();
        let ended = self.inner.invoke(invocation).await;
        if matches!(ended, Err(Error::Failed(_))) {
            self.watch.owed.add(self.watch.pending(&run));
        }
        let mut outcome = ended?;
        // A run that was ended early had no chance to answer.
        if outcome.directive == Directive::Continue {
            self.watch.saw_answer(&run, &outcome.reply).await;
        }
        outcome.directive.raise(self.watch.pending(&run));
        outcome.directive.raise(self.watch.owed.take());
        Ok(outcome)
    }
}
