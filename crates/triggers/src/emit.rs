//! The tools with which an agent reaches other agents.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{CallError, Cause, Effect, Failure, ToolCall, ToolReply, ToolSpec, Toolbox};
use serde_json::{Map, Value, json};

use crate::{BusEvent, Delivery, Error, EventBus, Message, MessageBroker};

/// `emit_event` and `publish_message`, for an agent to call.
///
/// Both are [`Effect::Idempotent`]: the event's or message's id is the call's idempotency key, so
/// that a call made again after a crash is a duplicate to those who took it the first time. The
/// source or sender is the process's name; the cause is the run, one hop further than what woke it.
/// A run that is too many hops deep is refused, so that agents cannot wake each other for ever.
pub struct EmitTools {
    bus: Option<Arc<dyn EventBus>>,
    broker: Option<Arc<dyn MessageBroker>>,
    max_hops: u32,
    specs: Vec<Arc<ToolSpec>>,
}

/// How many agents may cause each other in a row where nothing is said.
pub const DEFAULT_MAX_HOPS: u32 = 16;

const EMIT: &str = "emit_event";
const PUBLISH: &str = "publish_message";

/// What an agent sends lands in other agents' prompts and journals.
const MAX_BYTES: usize = 256 * 1024;

/// Pauses before the second and the third try. Trying again is harmless, since the id stays.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

impl EmitTools {
    /// Tools for what there is: no bus, no `emit_event`; no broker, no `publish_message`.
    pub fn new(bus: Option<Arc<dyn EventBus>>, broker: Option<Arc<dyn MessageBroker>>) -> Self {
        let emit = bus.as_ref().map(|_| emit_spec());
        let publish = broker.as_ref().map(|_| publish_spec());
        let specs = emit.into_iter().chain(publish).map(Arc::new).collect();
        Self { bus, broker, max_hops: DEFAULT_MAX_HOPS, specs }
    }

    /// Allows chains of `max_hops` agents, in place of 16.
    #[must_use]
    pub fn with_max_hops(mut self, max_hops: u32) -> Self {
        self.max_hops = max_hops;
        self
    }

    fn cause(&self, call: &ToolCall) -> Result<Cause, String> {
        let hops = call.run.hops().saturating_add(1);
        if hops > self.max_hops {
            return Err(format!(
                "not sent: {} agents in a row have caused each other up to here, and {} is the limit. \
                 Agents that wake each other in a circle are stopped in this way",
                call.run.hops(),
                self.max_hops,
            ));
        }
        Ok(Cause { process: call.run.process().to_owned(), run: call.run.id().to_string(), hops })
    }

    fn event(&self, call: &ToolCall) -> Result<BusEvent, String> {
        let [event_type, data] = arguments(&call.args, ["event_type", "data"])?;
        Ok(BusEvent {
            event_id: call.idempotency_key(),
            event_type: text(event_type, "event_type")?,
            source: call.run.process().to_owned(),
            data: data.unwrap_or_else(|| json!({})),
            cause: Some(self.cause(call)?),
        })
    }

    fn message(&self, call: &ToolCall) -> Result<Message, String> {
        let [topic, content] = arguments(&call.args, ["topic", "content"])?;
        Ok(Message {
            message_id: call.idempotency_key(),
            topic: text(topic, "topic")?,
            sender: call.run.process().to_owned(),
            content: content.ok_or("not sent: 'content' is missing")?,
            cause: Some(self.cause(call)?),
        })
    }
}

#[async_trait]
impl Toolbox for EmitTools {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(self.specs.clone())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        match (call.name.as_str(), &self.bus, &self.broker) {
            (EMIT, Some(bus), _) => match self.event(call) {
                Ok(event) => {
                    let what = format!("event '{}'", event.event_type);
                    report(&what, patiently(|| bus.emit(event.clone())).await)
                }
                Err(why) => Ok(ToolReply::error(why)),
            },
            (PUBLISH, _, Some(broker)) => match self.message(call) {
                Ok(message) => {
                    let what = format!("message on '{}'", message.topic);
                    report(&what, patiently(|| broker.publish(message.clone())).await)
                }
                Err(why) => Ok(ToolReply::error(why)),
            },
            _ => Err(Failure::unsent(format!("no tool is named '{}'", call.name)).into()),
        }
    }
}

/// Sends until everyone who listens took it, or three times.
async fn patiently<Sending>(send: impl Fn() -> Sending) -> Result<Delivery, Error>
where
    Sending: Future<Output = Result<Delivery, Error>>,
{
    for pause in PAUSES {
        match send().await {
            Ok(delivery) if !delivery.failures.is_empty() => {}
            Err(Error::Unavailable(_)) => {}
            settled => return settled,
        }
        tokio::time::sleep(pause).await;
    }
    send().await
}

fn report(what: &str, sent: Result<Delivery, Error>) -> Result<ToolReply, CallError> {
    match sent {
        Ok(Delivery { taken, failures }) if !failures.is_empty() => {
            let why: Vec<String> = failures.iter().map(ToString::to_string).collect();
            Ok(ToolReply::error(format!("{what}: taken by {taken}, not taken by {}: {}", failures.len(), why.join("; "))))
        }
        Ok(Delivery { taken: 0, .. }) => Ok(ToolReply::ok(format!("{what}: sent, but nobody listens"))),
        Ok(Delivery { taken, .. }) => Ok(ToolReply::ok(format!("{what}: taken by {taken}"))),
        Err(Error::Config(why)) => Ok(ToolReply::error(format!("not sent: {why}"))),
        // A bus beyond this program may have got it before the line went dead.
        Err(Error::Unavailable(why)) => Err(Failure::unknown(format!("{what}: {why}")).into()),
    }
}

/// The two values of a call. An argument that the tool does not know is a mistake of the model,
/// which would else believe that it was sent.
fn arguments(args: &Map<String, Value>, names: [&str; 2]) -> Result<[Option<Value>; 2], String> {
    if let Some(unknown) = args.keys().find(|key| !names.contains(&key.as_str())) {
        return Err(format!("not sent: there is no argument '{unknown}'; there are '{}' and '{}'", names[0], names[1]));
    }
    let bytes = serde_json::to_string(args).map_or(0, |text| text.len());
    if bytes > MAX_BYTES {
        return Err(format!("not sent: the arguments have {bytes} bytes; {MAX_BYTES} are allowed. Send a reference instead"));
    }
    Ok(names.map(|name| args.get(name).cloned()))
}

fn text(value: Option<Value>, name: &str) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("not sent: '{name}' must be a text")),
        None => Err(format!("not sent: '{name}' is missing")),
    }
}

fn emit_spec() -> ToolSpec {
    let parameters = json!({
        "type": "object",
        "properties": {
            "event_type": {"type": "string", "description": "What happened: names joined by dots, such as alert.critical"},
            "data": {"type": "object", "description": "What others need to know of it"},
        },
        "required": ["event_type"],
        "additionalProperties": false,
    });
    spec(EMIT, "Tells every agent that listens to this type of event that it happened.", parameters)
}

fn publish_spec() -> ToolSpec {
    let parameters = json!({
        "type": "object",
        "properties": {
            "topic": {"type": "string", "description": "Where to say it: names joined by dots, such as analysis.complete"},
            "content": {"type": ["object", "string"], "description": "What to say"},
        },
        "required": ["topic", "content"],
        "additionalProperties": false,
    });
    spec(PUBLISH, "Sends a message to every agent that listens to this topic.", parameters)
}

fn spec(name: &str, description: &str, parameters: Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters,
        effect: Some(Effect::Idempotent),
        reconcile: None,
    }
}
