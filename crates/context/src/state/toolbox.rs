//! The tools with which an agent reads and writes its state.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use flyball_core_agent::{CallError, Clock, Effect, Failure, Run, ToolCall, ToolReply, ToolSpec, Toolbox};
use serde_json::{Map, Value, json};

use super::State;
use crate::args;
use crate::suggest::did_you_mean;

/// `get_state` and `set_state`.
///
/// A run sees the state of its start and its own writes, whatever other runs do meanwhile. A write
/// changes nothing but the run: the reply carries it, and the process takes it over at the run's end.
pub struct StateToolbox {
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    specs: Vec<Arc<ToolSpec>>,
}

impl StateToolbox {
    /// The tools over `state`; `clock` dates the writes.
    pub fn new(state: Arc<State>, clock: Arc<dyn Clock>) -> Self {
        let specs = Self::specs(&state).into_iter().map(Arc::new).collect();
        Self { state, clock, specs }
    }

    fn specs(state: &State) -> Vec<ToolSpec> {
        let writable = match state.writable_keys() {
            [] => "Any key may be written.".to_owned(),
            keys => format!("Writable keys: {}.", keys.join(", ")),
        };
        let key = json!({"type": "string", "description": "The key"});
        let value = json!({"description": "The new value: any JSON"});
        vec![
            ToolSpec {
                name: "get_state".to_owned(),
                description: "Reads your persistent state: one key, or all of it if you name none.".to_owned(),
                parameters: args::schema(json!({"key": key}), &[]),
                effect: Some(Effect::Read),
                reconcile: None,
            },
            ToolSpec {
                name: "set_state".to_owned(),
                description: format!("Writes one key of your persistent state; later turns and runs see it. {writable}"),
                parameters: args::schema(json!({"key": key, "value": value}), &["key", "value"]),
                // It acts on nothing but its own reply, so making it again is harmless.
                effect: Some(Effect::Idempotent),
                reconcile: None,
            },
        ]
    }

    fn get(&self, call: &ToolCall) -> Result<ToolReply, String> {
        args::only(&call.args, &["key"])?;
        let seen = self.seen_by(&call.run);
        if call.args.get("key").is_none_or(Value::is_null) {
            return Ok(ToolReply::ok(Value::Object(seen).to_string()));
        }
        let key = args::text(&call.args, "key")?;
        match seen.get(key) {
            Some(value) => Ok(ToolReply::ok(value.to_string())),
            None => {
                let hint = did_you_mean(key, seen.keys().map(String::as_str));
                let known: Vec<&str> = seen.keys().map(String::as_str).collect();
                Err(format!("the state has no key '{key}'{hint}; there are: {}", known.join(", ")))
            }
        }
    }

    fn set(&self, call: &ToolCall) -> Result<ToolReply, String> {
        args::only(&call.args, &["key", "value"])?;
        let key = args::text(&call.args, "key")?;
        let value = call.args.get("value").ok_or("the argument 'value' is missing: give any JSON, null included")?;
        let seen = self.seen_by(&call.run);
        self.state.admit(key, value, seen.len(), seen.contains_key(key)).map_err(|error| error.to_string())?;
        let change = flyball_core_agent::Change {
            key: key.to_owned(),
            value: value.clone(),
            source: "agent".to_owned(),
            at: self.clock.now(),
        };
        let text = format!("{key} is now {value}");
        Ok(ToolReply { text, is_error: false, changes: vec![change] })
    }

    /// The state of the run's start with the run's own writes over it.
    fn seen_by(&self, run: &Run) -> Map<String, Value> {
        let mut seen = pin_start(&self.state, run);
        seen.extend(run.changes().into_iter().map(|change| (change.key, change.value)));
        seen
    }
}

#[async_trait]
impl Toolbox for StateToolbox {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(self.specs.clone())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let reply = match call.name.as_str() {
            "get_state" => self.get(call),
            "set_state" => self.set(call),
            _ => return Err(Failure::unsent(args::no_such_tool(call, &self.specs)).into()),
        };
        Ok(reply.unwrap_or_else(ToolReply::error))
    }
}

/// The state as it was when its run first looked.
#[derive(Default)]
struct Start(OnceLock<Map<String, Value>>);

/// The state that `run` started with: taken now if it never was, else as it was taken then.
pub(crate) fn pin_start(state: &State, run: &Run) -> Map<String, Value> {
    run.extension::<Start>().0.get_or_init(|| state.snapshot()).clone()
}
