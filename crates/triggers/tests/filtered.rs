//! What becomes of an event that a filter does not want: at the sink, and at each trigger.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flyball_core_agent::{ManualClock, TriggerEvent};
use flyball_triggers::{
    BusEvent, CronConfig, CronTrigger, Cursor, Delivery, EventBus, EventConfig, EventTrigger, Filter, FilterCounts, Filtered,
    InProcessBroker, InProcessBus, Message, MessageBroker, MessageConfig, MessageTrigger, Offer, Receipt, Refusal, Sink, Trigger,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use common::next_offer;

mod common;

fn filter(text: &str) -> Filter {
    Filter::parse(text).unwrap()
}

fn event(payload: Value) -> TriggerEvent {
    TriggerEvent::new("t1", "test", DateTime::UNIX_EPOCH, payload)
}

/// A process that takes what it is offered, and what it took.
fn process() -> (Sink, mpsc::UnboundedReceiver<TriggerEvent>) {
    answering(|event| Ok(Receipt { event_id: event.event_id.clone(), duplicate: false }))
}

fn answering(
    verdict: impl Fn(&TriggerEvent) -> Result<Receipt, Refusal> + Send + 'static,
) -> (Sink, mpsc::UnboundedReceiver<TriggerEvent>) {
    let (sink, mut offers) = Sink::channel(8);
    let (seen, events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Offer { event, answer, .. }) = next_offer(&mut offers).await {
            let _ = answer.send(verdict(&event));
            let _ = seen.send(event);
        }
    });
    (sink, events)
}

/// Opens and runs `trigger` with a filter, and gives what its process takes.
async fn run(trigger: impl Trigger + 'static, text: &str) -> mpsc::UnboundedReceiver<TriggerEvent> {
    let (id, kind) = (trigger.id().to_owned(), trigger.kind());
    let mut filtered = Filtered::new(Box::new(trigger), filter(text));
    assert_eq!((filtered.id(), filtered.kind()), (id.as_str(), kind));
    filtered.open(&Cursor::new()).await.unwrap();
    let (sink, events) = process();
    tokio::spawn(Box::new(filtered).run(sink));
    events
}

async fn next(events: &mut mpsc::UnboundedReceiver<TriggerEvent>) -> TriggerEvent {
    tokio::time::timeout(Duration::from_secs(30), events.recv()).await.expect("it fires").expect("it runs")
}

#[tokio::test]
async fn a_sink_asks_its_filter_before_the_process_and_counts() {
    let (sink, mut events) = process();
    let filter = Arc::new(filter("payload.lag > 3"));
    let counts = filter.counts();
    let sink = sink.filtered(filter);
    let refused = |why: &str| Err(Refusal::Filtered { why: why.to_owned() });
    assert!(sink.offer(event(json!({"lag": 5}))).await.is_ok());
    assert_eq!(sink.offer(event(json!({"lag": 3}))).await, refused("filter_expression is false"));
    let cannot_tell = "filter_expression failed: there is no key 'lag'; `has` asks whether there is";
    assert_eq!(sink.offer(event(json!({}))).await, refused(cannot_tell));
    let last = Some(format!("1970-01-01T00:00:00Z: {cannot_tell}"));
    assert_eq!(*counts.borrow(), FilterCounts { passed: 1, rejected: 1, failed: 1, last });
    assert_eq!(next(&mut events).await.payload, json!({"lag": 5}));
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn every_filter_of_a_sink_must_want_the_event() {
    let (sink, mut events) = process();
    let both = sink.filtered(Arc::new(filter("lag > 3"))).filtered(Arc::new(filter("lag < 9")));
    for (lag, wanted) in [(3, false), (9, false), (5, true)] {
        assert_eq!(both.offer(event(json!({"lag": lag}))).await.is_ok(), wanted, "{lag}");
    }
    assert!(sink.offer(event(json!({"lag": 3}))).await.is_ok(), "the sink without them is as it was");
    assert_eq!([next(&mut events).await, next(&mut events).await].map(|event| event.payload["lag"].clone()), [5, 3]);
}

#[tokio::test]
async fn what_the_process_refuses_is_not_counted_as_passed() {
    let (sink, _events) = answering(|_| Err(Refusal::Full { waiting: 7 }));
    let filter = Arc::new(filter("true"));
    let refused = sink.filtered(Arc::clone(&filter)).offer(event(json!({}))).await;
    assert_eq!(refused, Err(Refusal::Full { waiting: 7 }));
    assert_eq!(*filter.counts().borrow(), FilterCounts::default());
}

#[tokio::test]
async fn an_emitted_event_that_is_not_wanted_is_ignored_and_no_failure() {
    let bus = Arc::new(InProcessBus::new());
    let trigger = EventTrigger::new(EventConfig::new("alert.*"), bus.clone(), Arc::new(ManualClock::new(Utc::now()))).unwrap();
    let mut events = run(trigger, "data.rows > 10 && payload.source == 'monitor'").await;
    let emit = async |rows: u32| bus.emit(BusEvent::new("alert.late", "monitor", json!({"rows": rows}))).await.unwrap();
    assert_eq!(emit(3).await, Delivery::default());
    assert_eq!(emit(30).await, Delivery { taken: 1, failures: Vec::new() });
    assert_eq!(next(&mut events).await.payload["data"]["rows"], 30);
}

#[tokio::test]
async fn a_message_that_is_not_wanted_is_ignored_and_no_failure() {
    let broker = Arc::new(InProcessBroker::new());
    let clock = Arc::new(ManualClock::new(Utc::now()));
    let trigger = MessageTrigger::new(MessageConfig::new("analysis.>"), broker.clone(), clock).unwrap();
    let mut events = run(trigger, "content.contains('late') && topic.startsWith('analysis.')").await;
    let publish = async |said: &str| broker.publish(Message::new("analysis.done", "analyst", json!(said))).await.unwrap();
    assert_eq!(publish("all is well").await, Delivery::default());
    assert_eq!(publish("it is late").await, Delivery { taken: 1, failures: Vec::new() });
    assert_eq!(next(&mut events).await.payload["content"], "it is late");
}

#[tokio::test]
async fn cron_goes_on_to_the_next_instant() {
    let clock = ManualClock::new("2026-03-02T08:58:00Z".parse().unwrap());
    let trigger = CronTrigger::new(CronConfig::new("*/5 * * * *"), Arc::new(clock.clone())).unwrap();
    let filter = filter("scheduled_time.contains(':10:')");
    let mut counts = filter.counts();
    let mut filtered = Filtered::new(Box::new(trigger), filter);
    filtered.open(&Cursor::new()).await.unwrap();
    let (sink, mut events) = process();
    tokio::spawn(Box::new(filtered).run(sink));
    for rejected in 1..=2 {
        clock.advance(Duration::from_secs(5 * 60));
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, counts.wait_for(|counts| counts.rejected == rejected)).await.expect("in time").unwrap();
    }
    clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(next(&mut events).await.payload["scheduled_time"], "2026-03-02T09:10:00+00:00");
}
