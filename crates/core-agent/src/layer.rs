//! The one extension point: a layer may wrap a model, a toolbox and an agent.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{Agent, Directive, Model, ToolLoop, Toolbox};

/// A policy or a service around an agent. Every method has a default that changes nothing.
pub trait Layer: Send + Sync {
    /// Under which name the layer shows its status and takes commands.
    fn name(&self) -> &'static str;

    /// Wraps the model. What it returns sees every turn before `inner` does.
    fn model(&self, inner: Arc<dyn Model>) -> Arc<dyn Model> {
        inner
    }

    /// Wraps the toolbox. What it returns sees every call before `inner` does.
    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        inner
    }

    /// Wraps the agent. What it returns sees the invocation first and the outcome last.
    fn agent(&self, inner: Arc<dyn Agent>) -> Arc<dyn Agent> {
        inner
    }

    /// What an operator wants to know of it now. Never holds a secret.
    fn status(&self) -> Option<Value> {
        None
    }

    /// What the layer must find again at the next start, if the records before now are not read any
    /// more. Asked for between runs only. It goes into the journal, so it never holds a secret.
    fn snapshot(&self) -> Option<Value> {
        None
    }

    /// The next instant at which the layer wants something of the process though no run is on:
    /// a budget's new day, a mission's deadline.
    fn due(&self) -> Option<Due> {
        None
    }

    /// What a run that has just failed would have asked of the process, which only an [`Outcome`](crate::Outcome)
    /// can: a spent budget holds whatever becomes of the run that spent it. Asked once after each failure.
    fn after_failure(&self) -> Directive {
        Directive::Continue
    }

    /// Answers an operator's request. The error is for the operator.
    fn command(&self, request: &str, body: &Value) -> Result<Value, String> {
        let _ = body;
        Err(format!("'{}' takes no command '{request}'", self.name()))
    }
}

/// What a layer wants, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Not before this.
    pub at: DateTime<Utc>,
    /// What the process shall do then.
    pub directive: Directive,
}

/// Layers around one model, one toolbox and the loop between them.
#[derive(Clone, Default)]
pub struct Stack {
    layers: Vec<Arc<dyn Layer>>,
}

impl Stack {
    /// No layer yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `layer` around all that was pushed before it.
    pub fn push(&mut self, layer: Arc<dyn Layer>) {
        self.layers.push(layer);
    }

    /// The layers, innermost first.
    pub fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.layers
    }

    /// `model` inside every layer so far.
    pub fn model(&self, model: Arc<dyn Model>) -> Arc<dyn Model> {
        self.layers.iter().fold(model, |inner, layer| layer.model(inner))
    }

    /// `toolbox` inside every layer so far.
    pub fn toolbox(&self, toolbox: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        self.layers.iter().fold(toolbox, |inner, layer| layer.toolbox(inner))
    }

    /// The stock loop over `model` and `toolbox`, with every layer around all three.
    pub fn agent(&self, instructions: &str, max_turns: u32, model: Arc<dyn Model>, toolbox: Arc<dyn Toolbox>) -> Arc<dyn Agent> {
        let core = ToolLoop::new(instructions, max_turns, self.model(model), self.toolbox(toolbox));
        let core: Arc<dyn Agent> = Arc::new(core);
        self.layers.iter().fold(core, |inner, layer| layer.agent(inner))
    }
}
