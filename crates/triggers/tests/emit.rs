//! From an agent's tool call, over bus and broker, to another agent's trigger.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use common::next_offer;
use flyball_core_agent::{Effect, ManualClock, Run, RunId, StepId, ToolCall, ToolReply, Toolbox, TriggerEvent};
use flyball_triggers::{
    BusEvent, Cursor, EmitTools, Error, EventBus, EventConfig, EventTrigger, InProcessBroker, InProcessBus, Message,
    MessageBroker, MessageConfig, MessageTrigger, Offer, Receipt, Refusal, Sink, Trigger,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

mod common;

struct House {
    bus: Arc<InProcessBus>,
    broker: Arc<InProcessBroker>,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> Self {
        Self {
            bus: Arc::new(InProcessBus::new()),
            broker: Arc::new(InProcessBroker::new()),
            clock: Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)),
        }
    }

    fn tools(&self) -> EmitTools {
        EmitTools::new(Some(self.bus.clone()), Some(self.broker.clone()))
    }

    fn event_trigger(&self, config: EventConfig) -> EventTrigger {
        EventTrigger::new(config, self.bus.clone(), self.clock.clone()).unwrap()
    }

    fn message_trigger(&self, topic: &str) -> MessageTrigger {
        MessageTrigger::new(MessageConfig::new(topic), self.broker.clone(), self.clock.clone()).unwrap()
    }
}

/// Runs `trigger` into a process that takes all it is offered.
async fn run(mut trigger: impl Trigger + 'static) -> mpsc::UnboundedReceiver<TriggerEvent> {
    trigger.open(&Cursor::new()).await.unwrap();
    let (sink, mut offers) = Sink::channel(8);
    tokio::spawn(Box::new(trigger).run(sink));
    let (taken, events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Offer { event, answer, .. }) = next_offer(&mut offers).await {
            let _ = answer.send(Ok(Receipt { event_id: event.event_id.clone(), duplicate: false }));
            let _ = taken.send(event);
        }
    });
    events
}

fn call(name: &str, args: Value, hops: u32) -> ToolCall {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    let run = Run::caused(RunId("run-1".to_owned()), "monitor", hops, tokio_util::sync::CancellationToken::new());
    ToolCall { run, step: StepId::call(2, 0), name: name.to_owned(), args, spec: None, notes: Map::new() }
}

async fn next(events: &mut mpsc::UnboundedReceiver<TriggerEvent>) -> TriggerEvent {
    tokio::time::timeout(Duration::from_secs(20), events.recv()).await.expect("it fires").unwrap()
}

#[tokio::test]
async fn an_emitted_event_wakes_who_listens_with_its_cause() {
    let house = House::new();
    let mut events = run(house.event_trigger(EventConfig::new("alert.critical"))).await;
    let emitted = call("emit_event", json!({"event_type": "alert.critical", "data": {"file": "a.csv"}}), 0);
    let reply = house.tools().call(&emitted).await.unwrap();
    assert_eq!(reply, ToolReply::ok("event 'alert.critical': taken by 1"));

    let event = next(&mut events).await;
    let payload = json!({
        "event_type": "alert.critical", "event_id": "run-1/t2.c0", "source": "monitor", "data": {"file": "a.csv"},
    });
    assert_eq!(event.payload, payload);
    assert_eq!(event.trigger_type, "event");
    assert_eq!(event.dedup_key.as_deref(), Some("run-1/t2.c0"));
    let cause = event.cause.unwrap();
    assert_eq!((cause.process.as_str(), cause.run.as_str(), cause.hops), ("monitor", "run-1", 1));
}

#[tokio::test]
async fn a_published_message_tells_its_own_topic_and_not_the_pattern() {
    let house = House::new();
    let mut events = run(house.message_trigger("pipeline.alerts.*")).await;
    let said = call("publish_message", json!({"topic": "pipeline.alerts.late", "content": "two hours"}), 4);
    let reply = house.tools().call(&said).await.unwrap();
    assert_eq!(reply, ToolReply::ok("message on 'pipeline.alerts.late': taken by 1"));
    let event = next(&mut events).await;
    let payload = json!({
        "topic": "pipeline.alerts.late", "message_id": "run-1/t2.c0", "sender": "monitor", "content": "two hours",
    });
    assert_eq!(event.payload, payload);
    assert_eq!(event.cause.unwrap().hops, 5);
}

#[tokio::test]
async fn the_same_call_made_again_carries_the_same_key() {
    let house = House::new();
    let mut events = run(house.event_trigger(EventConfig::new(">"))).await;
    for _ in 0..2 {
        let again = call("emit_event", json!({"event_type": "a"}), 0);
        house.tools().call(&again).await.unwrap();
    }
    assert_eq!(next(&mut events).await.dedup_key, next(&mut events).await.dedup_key);
}

#[tokio::test]
async fn agents_cannot_cause_each_other_for_ever() {
    let house = House::new();
    let mut events = run(house.event_trigger(EventConfig::new(">"))).await;
    let deep = call("emit_event", json!({"event_type": "a"}), 16);
    let reply = house.tools().call(&deep).await.unwrap();
    assert!(reply.is_error && reply.text.contains("16 agents in a row"), "{}", reply.text);
    assert!(!house.tools().with_max_hops(17).call(&deep).await.unwrap().is_error);
    assert_eq!(next(&mut events).await.cause.unwrap().hops, 17);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn a_wrong_call_is_answered_with_what_is_wrong() {
    let house = House::new();
    let cases = [
        ("emit_event", json!({}), "'event_type' is missing"),
        ("emit_event", json!({"event_type": 1}), "'event_type' must be a text"),
        ("emit_event", json!({"event_type": "a", "payload": 1}), "no argument 'payload'"),
        ("emit_event", json!({"event_type": "a.*"}), "holds a wildcard"),
        ("publish_message", json!({"topic": "a"}), "'content' is missing"),
        ("publish_message", json!({"topic": "a", "content": "x".repeat(300_000)}), "262144 are allowed"),
    ];
    for (tool, args, why) in cases {
        let reply = house.tools().call(&call(tool, args, 0)).await.unwrap();
        assert!(reply.is_error && reply.text.contains(why), "{}", reply.text);
    }
    let reply = house.tools().call(&call("emit_event", json!({"event_type": "a"}), 0)).await.unwrap();
    assert_eq!(reply, ToolReply::ok("event 'a': sent, but nobody listens"));
}

#[tokio::test]
async fn there_is_a_tool_only_for_what_there_is() {
    let names = async |tools: EmitTools| {
        let specs = tools.list().await.unwrap();
        assert!(specs.iter().all(|spec| spec.effect == Some(Effect::Idempotent)));
        specs.into_iter().map(|spec| spec.name.clone()).collect::<Vec<_>>()
    };
    let house = House::new();
    assert_eq!(names(house.tools()).await, ["emit_event", "publish_message"]);
    assert_eq!(names(EmitTools::new(Some(house.bus.clone()), None)).await, ["emit_event"]);
    let without_bus = EmitTools::new(None, Some(house.broker.clone()));
    assert!(without_bus.call(&call("emit_event", json!({"event_type": "a"}), 0)).await.is_err());
    assert_eq!(names(without_bus).await, ["publish_message"]);
}

#[tokio::test]
async fn who_refuses_is_asked_again_under_the_same_id() {
    let house = House::new();
    let mut trigger = house.event_trigger(EventConfig::new("a"));
    trigger.open(&Cursor::new()).await.unwrap();
    let (sink, mut offers) = Sink::channel(1);
    tokio::spawn(Box::new(trigger).run(sink));
    let tools = house.tools();
    let emitting = tokio::spawn(async move { tools.call(&call("emit_event", json!({"event_type": "a"}), 0)).await });
    let Offer { event, answer, .. } = next_offer(&mut offers).await.unwrap();
    answer.send(Err(Refusal::Full { waiting: 7 })).unwrap();
    let again = next_offer(&mut offers).await.unwrap();
    assert_eq!(again.event.dedup_key, event.dedup_key);
    again.answer.send(Ok(Receipt { event_id: "first".to_owned(), duplicate: true })).unwrap();
    assert_eq!(emitting.await.unwrap().unwrap(), ToolReply::ok("event 'a': taken by 1"));
}

#[tokio::test]
async fn an_event_between_open_and_run_waits_and_more_than_a_hundred_are_refused() {
    let house = House::new();
    let mut trigger = house.event_trigger(EventConfig::new("a"));
    trigger.open(&Cursor::new()).await.unwrap();
    let mut emitting = Vec::new();
    for _ in 0..101 {
        let bus = house.bus.clone();
        emitting.push(tokio::spawn(async move { bus.emit(BusEvent::new("a", "test", json!({}))).await.unwrap() }));
        tokio::task::yield_now().await;
    }
    let last = emitting.pop().unwrap().await.unwrap();
    assert!(last.taken == 0 && last.failures[0].to_string().contains("100 events wait"), "{last:?}");

    let (sink, mut offers) = Sink::channel(8);
    tokio::spawn(Box::new(trigger).run(sink));
    for _ in 0..100 {
        let Offer { event, answer, .. } = next_offer(&mut offers).await.unwrap();
        answer.send(Ok(Receipt { event_id: event.event_id, duplicate: false })).unwrap();
    }
    for emitted in emitting {
        assert_eq!(emitted.await.unwrap().taken, 1);
    }
}

#[tokio::test]
async fn only_the_wanted_source_is_heard() {
    let house = House::new();
    let config = EventConfig { event_source: Some("monitor".to_owned()), ..EventConfig::new("a") };
    let mut events = run(house.event_trigger(config)).await;
    assert_eq!(house.bus.emit(BusEvent::new("a", "stranger", json!(1))).await.unwrap().taken, 0);
    assert_eq!(house.bus.emit(BusEvent::new("a", "monitor", json!(2))).await.unwrap().taken, 1);
    assert_eq!(next(&mut events).await.payload["data"], 2);
}

#[tokio::test]
async fn a_stopped_trigger_listens_no_more_and_tells_who_waited() {
    let house = House::new();
    let mut trigger = house.message_trigger("a");
    trigger.open(&Cursor::new()).await.unwrap();
    let waiting = tokio::spawn({
        let broker = house.broker.clone();
        async move { broker.publish(Message::new("a", "test", json!(1))).await.unwrap() }
    });
    tokio::task::yield_now().await;
    drop(trigger);
    let delivery = waiting.await.unwrap();
    assert!(delivery.taken == 0 && delivery.failures[0].to_string().contains("the trigger has ended"), "{delivery:?}");
    assert_eq!(house.broker.publish(Message::new("a", "test", json!(2))).await.unwrap().failures, []);
}

#[test]
fn a_wrong_pattern_is_refused_at_once() {
    let house = House::new();
    let error = EventTrigger::new(EventConfig::new("a.>.b"), house.bus, house.clock).err().unwrap();
    assert!(matches!(&error, Error::Config(why) if why.starts_with("event_type: ")), "{error}");
}

#[tokio::test]
async fn what_is_nested_too_deep_for_who_listens_is_an_error_to_who_emits() {
    let house = House::new();
    let mut events = run(house.event_trigger(EventConfig::new("alert.critical"))).await;
    let nested = |levels| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let emit = |levels| call("emit_event", json!({"event_type": "alert.critical", "data": nested(levels)}), 0);
    let refused = house.tools().call(&emit(64)).await.unwrap();
    assert!(refused.is_error && refused.text.contains("nested"), "{refused:?}");
    assert!(!house.tools().call(&emit(63)).await.unwrap().is_error);
    assert_eq!(next(&mut events).await.payload["data"], nested(63));
}
