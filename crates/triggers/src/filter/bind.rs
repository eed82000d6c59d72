//! What an expression sees of an event.

use cel::Context;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use flyball_core_agent::TriggerEvent;
use serde_json::{Map, Value};
use std::collections::HashMap;

use super::check::Program;
use super::functions;

/// The names that every event has.
pub(super) const NAMES: [&str; 5] = ["payload", "metadata", "trigger_type", "trigger_id", "event_id"];

/// What `name` stands for in `event`, where it is not one of [`NAMES`].
///
pub(super) fn bare<'e>(event: &'e TriggerEvent, name: &str) -> Option<&'e Value> {
    if NAMES.contains(&name) || functions::is_type(name) {
        return None;
    }
    event.payload.as_object()?.get(name)
}

/// Gives the expression the names that it uses, and no other: a key `payload.size` would else be what
/// `payload.size` means, and whoever sends a payload could answer for another part of it. Texts are
/// borrowed from the event.
pub(super) fn context<'e>(event: &'e TriggerEvent, program: &Program) -> Context<'e, 'e> {
    let mut context = functions::context(&program.patterns);
    for name in &program.names {
        let value = match name.as_str() {
            "payload" => Some(value(&event.payload)),
            "metadata" => Some(map(&event.metadata)),
            "trigger_type" => Some(text(&event.trigger_type)),
            "trigger_id" => Some(text(&event.trigger_id)),
            "event_id" => Some(text(&event.event_id)),
            other => bare(event, other).map(value),
        };
        if let Some(value) = value {
            context.add_variable_as_val(name.as_str(), value);
        }
    }
    context
}

fn value(json: &Value) -> Box<dyn Val + '_> {
    match json {
        Value::Null => Box::new(CelNull),
        Value::Bool(truth) => Box::new(CelBool::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(string) => text(string),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(value).collect::<Vec<_>>())),
        Value::Object(fields) => map(fields),
    }
}

fn map(fields: &Map<String, Value>) -> Box<dyn Val + '_> {
    let fields: HashMap<_, _> = fields.iter().map(|(key, json)| (CelMapKey::from(key.as_str()), value(json))).collect();
    Box::new(CelMap::from(fields))
}

fn text(text: &str) -> Box<dyn Val + '_> {
    Box::new(CelString::from(text))
}
