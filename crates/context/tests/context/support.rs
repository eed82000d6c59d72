//! What several tests need.

use std::sync::Arc;

use flyball_core_agent::{Run, RunId, StepId, ToolCall, ToolReply, Toolbox};
use serde_json::{Map, Value};

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("the test gives an object")
}

pub fn run() -> Run {
    Run::new(RunId::fresh(), "monitor", Default::default())
}

/// One call, with its changes recorded as the tool loop would.
pub async fn call(toolbox: &dyn Toolbox, run: &Run, name: &str, args: Value) -> ToolReply {
    let call = ToolCall {
        run: run.clone(),
        step: StepId::call(0, 0),
        name: name.to_owned(),
        args: object(args),
        spec: None,
        notes: Map::new(),
    };
    let reply = toolbox.call(&call).await.expect("the tool answers");
    run.record(&reply.changes);
    reply
}

pub async fn names(toolbox: &Arc<dyn Toolbox>) -> Vec<String> {
    toolbox.list().await.unwrap().into_iter().map(|spec| spec.name.clone()).collect()
}
