//! Between the protocol and our own turn and reply. Requests were checked before.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::{Message, Reply, Run, RunId, StepId, ToolSpec, Turn, WantedCall};

pub(super) fn turn(request: &Value, place: Place) -> Turn {
    let mut names = HashMap::new();
    let messages = list(request, "messages").iter().map(|message| Arc::new(ours(message, &mut names)));
    let messages: Vec<Arc<Message>> = messages.collect();
    let step = place.step.unwrap_or_else(|| next_step(&messages));
    let run = Run::new(RunId("behind-http".to_owned()), &place.process, CancellationToken::new());
    Turn { run, step, messages, tools: list(request, "tools").iter().map(|spec| Arc::new(tool(spec))).collect() }
}

pub(super) fn completion(request: &Value, reply: &Reply) -> Value {
    let calls: Vec<Value> = reply.calls.iter().map(wire_call).collect();
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let reason = if reply.calls.is_empty() { "stop" } else { "tool_calls" };
    let (read, written) = (reply.usage.input_tokens, reply.usage.output_tokens);
    json!({
        "id": format!("chatcmpl-{}", crate::fresh_id()),
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    })
}

fn ours(message: &Value, names: &mut HashMap<String, String>) -> Message {
    let text = text(&message["content"]);
    match message["role"].as_str().unwrap_or_default() {
        "user" => Message::User { text },
        "assistant" => {
            let calls: Vec<WantedCall> = list(message, "tool_calls").iter().map(wanted).collect();
            names.extend(calls.iter().map(|call| (call.id.clone(), call.name.clone())));
            Message::Assistant { text, calls }
        }
        "tool" => {
            let call_id = self::text(&message["tool_call_id"]);
            let name = names.get(&call_id).cloned().unwrap_or_default();
            Message::Tool { call_id, name, text }
        }
        _ => Message::System { text },
    }
}

fn wanted(call: &Value) -> WantedCall {
    let arguments = text(&call["function"]["arguments"]);
    let args = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
    WantedCall { id: text(&call["id"]), name: text(&call["function"]["name"]), args }
}

fn wire_call(call: &WantedCall) -> Value {
    let arguments = match &call.args {
        Value::String(raw) => raw.clone(),
        other => other.to_string(),
    };
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn tool(tool: &Value) -> ToolSpec {
    let function = &tool["function"];
    ToolSpec {
        name: text(&function["name"]),
        description: text(&function["description"]),
        parameters: function["parameters"].clone(),
        effect: None,
        reconcile: None,
    }
}

/// The turn after those that the assistant took since the last user message.
fn next_step(messages: &[Arc<Message>]) -> StepId {
    let taken = messages.iter().rev().take_while(|message| !matches!(***message, Message::User { .. }));
    let taken = taken.filter(|message| matches!(***message, Message::Assistant { .. })).count();
    StepId::turn(u32::try_from(taken).unwrap_or(u32::MAX))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
