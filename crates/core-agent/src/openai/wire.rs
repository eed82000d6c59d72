//! The protocol's requests as we write them, and its answers as servers really write them.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::OpenAiConfig;
use super::fault::{Fault, Said};
use super::names::Names;
use crate::{MAX_CALLS_PER_REPLY, Message, Reply, ToolSpec, Turn, Usage, WantedCall, nesting};

/// OpenAI refuses longer descriptions of tools.
const MAX_DESCRIPTION_CHARS: usize = 1024;

#[derive(Serialize)]
pub(super) struct ChatRequest {
    model: String,
    messages: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    stream: bool,
}

impl ChatRequest {
    pub(super) fn new(config: &OpenAiConfig, turn: &Turn, names: &Names) -> Self {
        Self {
            model: config.model.clone(),
            messages: turn.messages.iter().map(|message| wire_message(message, names)).collect(),
            tools: turn.tools.iter().map(|tool| wire_tool(tool, names)).collect(),
            temperature: config.temperature,
            stream: false,
        }
    }
}

fn wire_message(message: &Message, names: &Names) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Tool { call_id, text, .. } => json!({"role": "tool", "tool_call_id": call_id, "content": text}),
        Message::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Message::Assistant { text, calls } => {
            let calls: Vec<Value> = calls.iter().map(|call| wire_call(call, names)).collect();
            let content = if text.is_empty() { Value::Null } else { Value::String(text.clone()) };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
    }
}

fn wire_call(call: &WantedCall, names: &Names) -> Value {
    let arguments = match &call.args {
        Value::Null => "{}".to_owned(),
        // What did not parse goes back as the model wrote it.
        Value::String(raw) => raw.clone(),
        other => other.to_string(),
    };
    json!({"id": call.id, "type": "function", "function": {"name": names.wire(&call.name), "arguments": arguments}})
}

fn wire_tool(tool: &ToolSpec, names: &Names) -> Value {
    let mut function = json!({"name": names.wire(&tool.name), "parameters": schema(&tool.parameters)});
    if !tool.description.is_empty() {
        function["description"] = tool.description.chars().take(MAX_DESCRIPTION_CHARS).collect::<String>().into();
    }
    json!({"type": "function", "function": function})
}

/// A schema that every server takes: an object with properties, though there may be none.
fn schema(parameters: &Value) -> Value {
    let mut schema = parameters.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| json!("object"));
    schema.entry("properties").or_insert_with(|| json!({}));
    Value::Object(schema)
}

/// An answer. Leaves are [`Value`]s where servers disagree about their type.
#[derive(Deserialize)]
pub(super) struct ChatReply {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Value,
    #[serde(default)]
    error: Value,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    message: Option<Spoken>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Value,
    #[serde(default)]
    tool_calls: Option<FirstCalls>,
}

/// The calls up to [`MAX_CALLS_PER_REPLY`]; the others are counted as they are read past.
#[derive(Default)]
struct FirstCalls {
    calls: Vec<Called>,
    beyond: u64,
}

#[derive(Deserialize)]
struct Called {
    #[serde(default)]
    id: Value,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl<'de> Deserialize<'de> for FirstCalls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ReadCalls)
    }
}

struct ReadCalls;

impl<'de> Visitor<'de> for ReadCalls {
    type Value = FirstCalls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of calls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstCalls, A::Error> {
        let mut first = FirstCalls::default();
        while first.calls.len() < MAX_CALLS_PER_REPLY {
            let Some(call) = list.next_element()? else { return Ok(first) };
            first.calls.push(call);
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            first.beyond += 1;
        }
        Ok(first)
    }
}

impl ChatReply {
    /// The answer if it is one: some servers send errors with a good status.
    pub(super) fn checked(self) -> Result<Self, Fault> {
        if self.choices.as_ref().and_then(|choices| choices.first()?.message.as_ref()).is_some() {
            return Ok(self);
        }
        if self.error.is_null() {
            return Err(Fault::Shape("the answer holds no message (choices[0].message)".to_owned()));
        }
        let said = Said::of(&self.error);
        let status = said.status().unwrap_or(reqwest::StatusCode::BAD_GATEWAY);
        Err(Fault::Status { status, said, retry_after: None })
    }

    pub(super) fn into_reply(self, names: &Names) -> Reply {
        let usage = usage(&self.usage);
        let said = self.choices.into_iter().flatten().find_map(|choice| choice.message);
        let Some(said) = said else { return Reply { usage, ..Reply::default() } };
        let mut text = content(&said.content);
        if text.is_empty() {
            text = content(&said.refusal);
        }
        let FirstCalls { calls, beyond } = said.tool_calls.unwrap_or_default();
        Reply { text, calls: wanted(calls, names), calls_beyond: beyond, usage }
    }
}

/// Text, or a list of parts of which some are text.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

/// The calls, each with an id of its own: some servers send none, or the same for all.
fn wanted(called: Vec<Called>, names: &Names) -> Vec<WantedCall> {
    let mut calls: Vec<WantedCall> = Vec::with_capacity(called.len());
    for (index, call) in called.into_iter().enumerate() {
        let given = call.id.as_str().filter(|id| !id.is_empty() && calls.iter().all(|other| other.id != *id));
        let id = given.map_or_else(|| format!("call_{index}_{}", &crate::fresh_id()[24..]), str::to_owned);
        calls.push(WantedCall { id, name: names.ours(&call.function.name), args: arguments(call.function.arguments) });
    }
    calls
}

/// Arguments are JSON in a string; an empty string means none, an object means itself. What is nested too
/// deep stays a text, as what is no JSON.
fn arguments(arguments: Value) -> Value {
    match arguments {
        Value::String(text) if text.trim().is_empty() => json!({}),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(arguments) if nesting::fits(&arguments) => arguments,
            _ => Value::String(text),
        },
        Value::Null => json!({}),
        other => nesting::flattened(other),
    }
}

fn usage(usage: &Value) -> Usage {
    let tokens = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or_default();
    Usage { input_tokens: tokens("prompt_tokens"), output_tokens: tokens("completion_tokens") }
}
