//! What a request must look like. Stricter than the real service where that finds mistakes of ours.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, Method};
use serde_json::{Map, Value};

/// What is wrong with a request.
pub(super) struct Violation {
    pub(super) status: u16,
    pub(super) message: String,
}

type Checked<T = ()> = Result<T, Violation>;

const TOP_LEVEL: &[&str] = &[
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "n",
    "stream",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "user",
    "seed",
    "response_format",
    "reasoning_effort",
    "service_tier",
    "store",
    "metadata",
];

/// The service takes no more tools than this.
const MAX_TOOLS: usize = 128;

/// Nor longer descriptions of them, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1024;

/// Nor longer names.
const MAX_NAME_CHARS: usize = 64;

pub(super) fn head(method: &Method, path: &str, headers: &HeaderMap, anonymous: bool) -> Checked {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if path != "/v1/chat/completions" {
        return Err(Violation { status: 404, message: format!("nothing is served at {path}") });
    }
    if method != Method::POST {
        return Err(Violation { status: 405, message: format!("{method} is not POST") });
    }
    let key = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
    if key.trim().is_empty() && !(anonymous && header("authorization").is_empty()) {
        return Err(Violation { status: 401, message: "the Authorization header holds no bearer token".to_owned() });
    }
    let content_type = header("content-type");
    ensure(content_type.split(';').next() == Some("application/json"), || format!("the Content-Type is '{content_type}'"))
}

pub(super) fn body(body: &[u8]) -> Checked<Value> {
    let request: Value = serde_json::from_slice(body).map_err(|error| bad(format!("the body is no JSON: {error}")))?;
    let fields = object(&request, "the body")?;
    known(fields, TOP_LEVEL, "the body")?;
    filled(&request["model"], "model")?;
    ensure(matches!(request.get("stream"), None | Some(Value::Bool(false))), || "stream must be false here".to_owned())?;
    if let Some(temperature) = request.get("temperature") {
        let fits = temperature.as_f64().is_some_and(|degrees| (0.0..=2.0).contains(&degrees));
        ensure(fits, || format!("temperature {temperature} is not between 0 and 2"))?;
    }
    if let Some(tools) = request.get("tools") {
        check_tools(tools)?;
    }
    check_messages(&request["messages"])?;
    Ok(request)
}

fn check_tools(tools: &Value) -> Checked {
    let tools = list(tools, "tools")?;
    ensure(tools.len() <= MAX_TOOLS, || format!("{} tools are more than {MAX_TOOLS}", tools.len()))?;
    let mut names = BTreeSet::new();
    for tool in tools {
        known(object(tool, "a tool")?, &["type", "function"], "a tool")?;
        ensure(tool["type"] == "function", || "a tool's type is not 'function'".to_owned())?;
        let function = object(&tool["function"], "a tool's function")?;
        known(function, &["name", "description", "parameters", "strict"], "a tool's function")?;
        let name = tool_name(&tool["function"]["name"])?;
        ensure(names.insert(name.to_owned()), || format!("two tools are named '{name}'"))?;
        check_function(name, function)?;
    }
    Ok(())
}

fn check_function(name: &str, function: &Map<String, Value>) -> Checked {
    if let Some(description) = function.get("description") {
        let text = description.as_str().ok_or_else(|| bad(format!("tool '{name}': the description is no string")))?;
        let length = text.chars().count();
        ensure(length <= MAX_DESCRIPTION_CHARS, || format!("tool '{name}': its description has {length} characters"))?;
    }
    if let Some(parameters) = function.get("parameters") {
        let schema = object(parameters, "a tool's parameters")?;
        let shaped =
            schema.get("type").is_some_and(|kind| kind == "object") && schema.get("properties").is_some_and(Value::is_object);
        ensure(shaped, || format!("tool '{name}': the parameters are no object schema with properties"))?;
    }
    Ok(())
}

fn check_messages(messages: &Value) -> Checked {
    let mut open: BTreeSet<String> = BTreeSet::new();
    for (index, message) in list(messages, "messages")?.iter().enumerate() {
        let place = format!("messages[{index}]");
        let fields = object(message, &place)?;
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool" && !open.is_empty() {
            return Err(bad(format!("{place}: tool calls are not answered: {open:?}")));
        }
        match role {
            "system" | "developer" | "user" => {
                known(fields, &["role", "content", "name"], &place)?;
                string(&message["content"], &format!("{place}.content"))?;
            }
            "assistant" => open = check_assistant(fields, &place)?,
            "tool" => {
                known(fields, &["role", "content", "tool_call_id"], &place)?;
                string(&message["content"], &format!("{place}.content"))?;
                let id = string(&message["tool_call_id"], &format!("{place}.tool_call_id"))?;
                ensure(open.remove(id), || format!("{place}: '{id}' answers no open call of the assistant's message before"))?;
            }
            other => return Err(bad(format!("{place}: the role '{other}' is unknown"))),
        }
    }
    ensure(open.is_empty(), || format!("tool calls are not answered: {open:?}"))
}

/// The ids of the calls that must be answered next.
fn check_assistant(fields: &Map<String, Value>, place: &str) -> Checked<BTreeSet<String>> {
    known(fields, &["role", "content", "tool_calls", "refusal", "name"], place)?;
    let content = fields.get("content").unwrap_or(&Value::Null);
    let Some(calls) = fields.get("tool_calls") else {
        return string(content, &format!("{place}.content")).map(|_| BTreeSet::new());
    };
    ensure(content.is_null() || content.is_string(), || format!("{place}.content is neither text nor null"))?;
    let mut ids = BTreeSet::new();
    for call in list(calls, &format!("{place}.tool_calls"))? {
        known(object(call, "a tool call")?, &["id", "type", "function"], "a tool call")?;
        ensure(call["type"] == "function", || format!("{place}: a call's type is not 'function'"))?;
        known(object(&call["function"], "a call's function")?, &["name", "arguments"], "a call's function")?;
        tool_name(&call["function"]["name"])?;
        string(&call["function"]["arguments"], "a call's arguments")?;
        let id = filled(&call["id"], "a call's id")?;
        ensure(ids.insert(id.to_owned()), || format!("{place}: two calls have the id '{id}'"))?;
    }
    Ok(ids)
}

fn tool_name(name: &Value) -> Checked<&str> {
    let name = filled(name, "a function's name")?;
    let fits = name.len() <= MAX_NAME_CHARS && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    ensure(fits, || format!("the function's name '{name}' does not match ^[a-zA-Z0-9_-]{{1,64}}$"))?;
    Ok(name)
}

fn known(fields: &Map<String, Value>, names: &[&str], place: &str) -> Checked {
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(bad(format!("{place} has an unknown field '{key}'"))),
        None => Ok(()),
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Checked<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| bad(format!("{place} is no object")))
}

/// A list that is not empty.
fn list<'a>(value: &'a Value, place: &str) -> Checked<&'a [Value]> {
    match value.as_array() {
        Some(items) if !items.is_empty() => Ok(items),
        _ => Err(bad(format!("{place} is no list, or an empty one"))),
    }
}

fn string<'a>(value: &'a Value, place: &str) -> Checked<&'a str> {
    value.as_str().ok_or_else(|| bad(format!("{place} is no string")))
}

fn filled<'a>(value: &'a Value, place: &str) -> Checked<&'a str> {
    string(value, place).and_then(|text| if text.is_empty() { Err(bad(format!("{place} is empty"))) } else { Ok(text) })
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(bad(message())) }
}

fn bad(message: String) -> Violation {
    Violation { status: 400, message }
}
