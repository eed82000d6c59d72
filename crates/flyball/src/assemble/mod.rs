//! The one place where the layers meet: a manifest in, a process's parts out.

mod models;
mod notify;
mod policies;
mod servers;
mod stack;
mod tools;
mod triggers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::{Context, MemoryProvider};
use flyball_core_agent::{Clock, Toolbox, join};
use flyball_runtime::{Blueprint, Built, Past, ProcessSpec, Restart};
use flyball_triggers::{EmitTools, EventBus, MessageBroker, Trigger, WebhookListeners};

use crate::manifest::{self, Manifest, ProcessConfig};

pub use models::{ModelChoice, is_test_double};
pub use tools::{Declared, ToolMistake};

/// What processes of one runtime share.
#[derive(Clone)]
pub struct Surroundings {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Carries events between agents.
    pub event_bus: Arc<dyn EventBus>,
    /// Carries messages between agents.
    pub broker: Arc<dyn MessageBroker>,
    /// The ports that webhooks share.
    pub webhooks: WebhookListeners,
}

/// Builds a process from its manifest, anew on every start.
pub struct Assembly {
    name: String,
    dir: PathBuf,
    config: ProcessConfig,
    surroundings: Surroundings,
}

impl Assembly {
    /// An assembly of `manifest`.
    pub fn new(manifest: &Manifest, surroundings: Surroundings) -> Self {
        Self { name: manifest.name.clone(), dir: manifest.dir.clone(), config: manifest.config.clone(), surroundings }
    }

    /// How the process is run.
    pub fn spec(&self) -> ProcessSpec {
        let config = &self.config;
        ProcessSpec {
            name: self.name.clone(),
            concurrency: config.concurrency as usize,
            max_consecutive_failures: config.max_consecutive_failures,
            restart: Restart {
                policy: policies::restart(config.restart_policy),
                max_restarts: config.max_restarts,
                backoff: Duration::from_secs_f64(config.restart_backoff),
            },
            drain_timeout: Duration::from_secs_f64(config.drain_timeout),
            max_invocation_time: unless_zero(config.max_invocation_time),
            delivery: policies::delivery(&config.trigger_delivery),
            heartbeat_interval: Duration::from_secs_f64(config.heartbeat_interval),
            idle_timeout: unless_zero(config.idle_timeout),
            max_lifetime: unless_zero(config.max_lifetime),
            dedup_keys: flyball_journal::MAX_DEDUP_KEYS,
        }
    }

    /// What can be found to be a mistake of the manifest, or of a file that it names, without anything being
    /// started. The error is for the operator.
    pub fn check(&self) -> Result<(), String> {
        let mission = &self.config.mission;
        let judge = mission.eval_model.as_deref().filter(|_| mission.enabled);
        let models = std::iter::once(self.config.model.as_str()).chain(judge);
        models.into_iter().try_for_each(|model| ModelChoice::parse(model)?.make(&self.dir).map(drop))
    }

    fn context(&self) -> Result<Context, String> {
        let context = &self.config.context;
        let memory = match context.memory_provider {
            None => MemoryProvider::Off,
            Some(manifest::MemoryProvider::Embedded) => MemoryProvider::Embedded,
        };
        let config = flyball_context::ContextConfig {
            initial_state: context.initial_state.clone(),
            writable_keys: context.writable_keys.clone(),
            state_tool: context.state_tool,
            memory,
            memory_auto_store: context.memory_auto_store,
            memory_max: context.memory_max as usize,
            memory_min_score: context.memory_min_score,
            conversation_max_messages: context.conversation_max_messages as usize,
            conversation_history: context.conversation_history,
            env_prefix: Some(context.env_prefix.clone()),
            file_mounts: context.file_mounts.clone(),
            ..flyball_context::ContextConfig::default()
        };
        Context::with_clock(config, Arc::clone(&self.surroundings.clock)).map_err(|error| format!("context: {error}"))
    }

    /// The tools that are flyball's own.
    fn own_tools(&self, context: &Context) -> Vec<Arc<dyn Toolbox>> {
        let (bus, broker) = (Arc::clone(&self.surroundings.event_bus), Arc::clone(&self.surroundings.broker));
        let emit: Arc<dyn Toolbox> = Arc::new(EmitTools::new(Some(bus), Some(broker)));
        context.toolbox().into_iter().chain([emit]).collect()
    }

    /// Every tool the agent has, with what the manifest knows of them.
    async fn toolbox(&self, own: &[Arc<dyn Toolbox>], servers: &servers::Servers) -> Result<Arc<dyn Toolbox>, String> {
        let own = own.iter().map(|toolbox| ("flyball".to_owned(), None, Arc::clone(toolbox)));
        let declared = Declared::new(join(servers.toolboxes().into_iter().chain(own).collect()), &self.config);
        declared.check().await.map_err(|mistake| mistake.to_string())?;
        Ok(Arc::new(declared))
    }
}

/// The names of the tools in `boxes`.
async fn names(boxes: &[Arc<dyn Toolbox>]) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    for toolbox in boxes {
        let specs = toolbox.list().await.map_err(|error| error.to_string())?;
        names.extend(specs.into_iter().map(|spec| spec.name.clone()));
    }
    Ok(names)
}

#[async_trait]
impl Blueprint for Assembly {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        triggers::build(&self.name, &self.config.triggers, &self.surroundings)
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        let context = Arc::new(self.context()?);
        let servers = servers::Servers::connect(&self.config.servers, &self.dir).await?;
        let own = self.own_tools(&context);
        let toolbox = self.toolbox(&own, &servers).await?;
        let stack = stack::Parts {
            process: &self.name,
            config: &self.config,
            dir: &self.dir,
            surroundings: &self.surroundings,
            context: &context,
        };
        let (agent, layers, secrets) = stack.build(toolbox, past).await?;
        if let Some(secrets) = &secrets {
            // What an agent says to its own state or to other agents must not carry a value.
            secrets.keep_from(names(&own).await?);
        }
        let on_stop = Box::pin(async move {
            if let Some(secrets) = secrets {
                secrets.stopped();
            }
            servers.close().await;
        });
        Ok(Built { agent, context, layers, on_stop: Some(on_stop) })
    }
}

/// Zero means that there is no such limit.
fn unless_zero(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds))
}
