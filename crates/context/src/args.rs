//! Reading a tool call's arguments, strictly: a model that guesses wrong is told what there is.

use std::sync::Arc;

use flyball_core_agent::{ToolCall, ToolSpec};
use serde_json::{Map, Value, json};

use crate::suggest::did_you_mean;

/// A tool's parameters as JSON Schema, closed against other fields.
pub(crate) fn schema(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Refuses arguments that the tool does not have.
pub(crate) fn only(args: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match args.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let hint = did_you_mean(name, known.iter().copied());
            Err(format!("unknown argument '{name}'{hint}; there are: {}", known.join(", ")))
        }
    }
}

/// A required text argument.
pub(crate) fn text<'a>(args: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    args.get(name).and_then(Value::as_str).ok_or_else(|| format!("the argument '{name}' is missing: give a text"))
}

/// The answer to a call of a tool that a toolbox does not have.
pub(crate) fn no_such_tool(call: &ToolCall, specs: &[Arc<ToolSpec>]) -> String {
    let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    format!("no tool is named '{}'; there are: {}", call.name, known.join(", "))
}
