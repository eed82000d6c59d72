//! An agent that costs nothing: its model answers at once and its tool returns what it is given. What
//! is left is what the product does around them.

use std::sync::Arc;

use async_trait::async_trait;
use flyball::assemble::Declared;
use flyball::context::{Context, ContextConfig};
use flyball::core_agent::{
    CallError, Clock, Model, Reply, Stack, SystemClock, ToolCall, ToolReply, ToolSpec, Toolbox, Turn, WantedCall, join,
};
use flyball::journal::{Intent, Replay};
use flyball::manifest::ProcessConfig;
use flyball::runtime::{Blueprint, Built, Past};
use flyball::triggers::{EmitTools, EventBus, MessageBroker, Trigger, WebhookConfig, WebhookListeners, WebhookTrigger};
use serde_json::json;

/// Builds the parts that a manifest with a local tool would give: the same layers in the same order, the
/// same tools of our own, the same context.
pub struct Instant {
    /// Turns of a run in which the model wants one call; one more turn ends it.
    pub calls: u32,
    /// Whether runs are given the conversation so far.
    pub history: bool,
    /// A webhook that wakes it, on a port that others may share.
    pub webhook: Option<(WebhookConfig, WebhookListeners)>,
    /// What the agent's own tools reach.
    pub bus: Arc<dyn EventBus>,
    /// What the agent's own tools reach.
    pub broker: Arc<dyn MessageBroker>,
}

const INSTRUCTIONS: &str = "You monitor data pipelines.";

const TOOL: &str = "echo";

#[async_trait]
impl Blueprint for Instant {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        let Some((webhook, listeners)) = &self.webhook else { return Ok(Vec::new()) };
        let owner = webhook.webhook_path.clone();
        let trigger = WebhookTrigger::sharing(webhook.clone(), Arc::new(SystemClock), listeners, owner);
        Ok(vec![Box::new(trigger.map_err(|error| error.to_string())?)])
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = ContextConfig { conversation_history: self.history, ..ContextConfig::default() };
        let context = Context::with_clock(config, clock).map_err(|error| error.to_string())?;
        let context = Arc::new(context);
        let emit = EmitTools::new(Some(Arc::clone(&self.bus)), Some(Arc::clone(&self.broker)));
        let own = context.toolbox().into_iter().chain([Arc::new(emit) as Arc<dyn Toolbox>]);
        let own = own.map(|toolbox| ("flyball".to_owned(), None, toolbox));
        let echo = ("echo".to_owned(), None, Arc::new(Echo::new()) as Arc<dyn Toolbox>);
        let declared = Declared::new(join([echo].into_iter().chain(own).collect()), &ProcessConfig::default());
        let mut stack = Stack::new();
        stack.push(Intent::new(Arc::clone(&past.journal)));
        stack.push(Replay::new(Arc::clone(&past.journal)));
        let model = Arc::new(InstantModel { calls: self.calls });
        let agent = stack.agent(INSTRUCTIONS, self.calls + 1, model, Arc::new(declared));
        Ok(Built { agent, context, layers: stack.layers().to_vec(), on_stop: None })
    }
}

/// Wants a call in each of its first turns, and then is done.
struct InstantModel {
    calls: u32,
}

#[async_trait]
impl Model for InstantModel {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let number: u32 = turn.step.0.trim_start_matches('t').parse().unwrap_or(u32::MAX);
        if number >= self.calls {
            return Ok(Reply::say("All pipelines are healthy; nothing to report."));
        }
        let call =
            WantedCall { id: format!("call_{number}"), name: TOOL.into(), args: json!({"text": format!("hello {number}")}) };
        Ok(Reply { calls: vec![call], ..Reply::default() })
    }
}

/// Says what it is told. What it does to the world nobody has declared, so its intents are synced.
struct Echo {
    spec: Arc<ToolSpec>,
}

impl Echo {
    fn new() -> Self {
        let spec = ToolSpec {
            name: TOOL.into(),
            description: "Return the text.".into(),
            parameters: json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
            effect: None,
            reconcile: None,
        };
        Self { spec: Arc::new(spec) }
    }
}

#[async_trait]
impl Toolbox for Echo {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(vec![Arc::clone(&self.spec)])
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        Ok(ToolReply::ok(call.args.get("text").and_then(|text| text.as_str()).unwrap_or_default()))
    }
}
