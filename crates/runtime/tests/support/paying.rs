//! An agent inside the two layers that the journal needs, with one tool.

use std::sync::Arc;

use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Effect, Model, Stack, ToolSpec, Toolbox};
use flyball_journal::{Intent, Replay};
use flyball_runtime::{Built, Past};
use serde_json::json;

/// A tool that pays.
pub fn pay(effect: Option<Effect>) -> Vec<Arc<ToolSpec>> {
    let (name, description, parameters) = ("pay".to_owned(), "Pays.".to_owned(), json!({"type": "object"}));
    vec![Arc::new(ToolSpec { name, description, parameters, effect, reconcile: None })]
}

/// What a blueprint makes of a model and its tools. What is said is not told to later runs.
pub fn journalled(past: &Past, model: impl Model + 'static, tools: Arc<dyn Toolbox>) -> Built {
    let mut stack = Stack::new();
    stack.push(Intent::new(Arc::clone(&past.journal)));
    stack.push(Replay::new(Arc::clone(&past.journal)));
    let agent = stack.agent("Pay.", 5, Arc::new(model), tools);
    let config = ContextConfig { conversation_history: false, ..ContextConfig::default() };
    let context = Arc::new(Context::new(config).expect("a context"));
    Built { agent, context, layers: Vec::new(), on_stop: None }
}
