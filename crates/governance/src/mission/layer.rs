//! A mission around a toolbox and an agent.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{
    Agent, CallError, Clock, Due, Error, Invocation, Layer, Model, Outcome, ToolCall, ToolReply, ToolSpec, Toolbox,
};
use flyball_journal::{Journal, Record};
use serde_json::Value;

use super::config::MissionConfig;
use super::core::Core;
use super::evidence::Calls;
use super::state::LAYER;
use crate::{Facts, Notify};

/// The mission of one process, as its outermost layer: it sees every end of a run, and every answer
/// that a run was given, those from the journal included.
pub struct Mission {
    core: Arc<Core>,
}

impl Mission {
    /// A mission that goes on from where `recovered`, the process's records so far, say it is.
    ///
    /// `judge` is already inside the layers that journal and replay a model's turns. `config` has
    /// passed its [check](MissionConfig::check).
    #[expect(clippy::too_many_arguments, reason = "each is one thing of the outside world, and assembly is the one caller")]
    pub fn new(
        config: MissionConfig,
        judge: Arc<dyn Model>,
        clock: Arc<dyn Clock>,
        journal: Arc<dyn Journal>,
        notify: Arc<dyn Notify>,
        facts: Arc<dyn Facts>,
        recovered: &[Record],
    ) -> Arc<Self> {
        Arc::new(Self { core: Arc::new(Core::new(config, judge, clock, journal, notify, facts, recovered)) })
    }

    /// To be called at every start of the process that is not the recovery from a crash: a mission
    /// that is over begins anew, as the next episode; one that is on goes on.
    ///
    /// The error says that the start could not be written down; the process cannot be started then.
    pub fn begin(&self) -> Result<(), flyball_journal::Error> {
        self.core.begin()
    }
}

impl Layer for Mission {
    fn name(&self) -> &'static str {
        LAYER
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(Watched { core: Arc::clone(&self.core), inner })
    }

    fn agent(&self, inner: Arc<dyn Agent>) -> Arc<dyn Agent> {
        Arc::new(Watched { core: Arc::clone(&self.core), inner })
    }

    fn status(&self) -> Option<Value> {
        Some(self.core.status())
    }

    fn snapshot(&self) -> Option<Value> {
        Some(self.core.snapshot())
    }

    fn due(&self) -> Option<Due> {
        self.core.due()
    }

    /// `complete`, `fail`, `pause` and `resume`, each with an optional `reason`.
    fn command(&self, request: &str, body: &Value) -> Result<Value, String> {
        self.core.command(request, body)
    }
}

struct Watched<T: ?Sized> {
    core: Arc<Core>,
    inner: Arc<T>,
}

#[async_trait]
impl Toolbox for Watched<dyn Toolbox> {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let reply = self.inner.call(call).await?;
        call.run.extension::<Calls>().keep(call, &reply);
        Ok(reply)
    }
}

#[async_trait]
impl Agent for Watched<dyn Agent> {
    async fn invoke(&self, mut invocation: Invocation) -> Result<Outcome, Error> {
        let (run, event) = (invocation.run.clone(), invocation.event.clone());
        if let Some(outcome) = self.core.open(&run).map_err(|error| Error::Failed(error.to_string()))? {
            return Ok(outcome);
        }
        invocation.notes.insert(0, self.core.note());
        let mut outcome = self.inner.invoke(invocation).await?;
        self.core.close(&run, &event, &mut outcome).await?;
        Ok(outcome)
    }
}
