//! What the in-process bus promises beyond the laws of every bus.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::Arc;
use std::time::Duration;

use flyball_triggers::{BusEvent, EventBus, Handled, InProcessBus, NotTaken, Pattern};
use serde_json::json;

fn pattern() -> Pattern {
    Pattern::parse("a").unwrap()
}

#[tokio::test]
async fn a_handler_that_panics_is_a_failure_and_harms_no_other() {
    let bus = InProcessBus::new();
    let panicking = |_: BusEvent| async { if true { panic!("a bug") } else { Ok::<_, NotTaken>(Handled::Taken) } };
    let _first = bus.subscribe(&pattern(), Arc::new(panicking)).await.unwrap();
    let healthy = |_: BusEvent| async { Ok(Handled::Taken) };
    let _second = bus.subscribe(&pattern(), Arc::new(healthy)).await.unwrap();
    let delivery = bus.emit(BusEvent::new("a", "test", json!(1))).await.unwrap();
    assert_eq!((delivery.taken, delivery.failures.len()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_never_answers_is_given_up_at_the_deadline() {
    let bus = InProcessBus::new().with_deadline(Duration::from_millis(20));
    let hanging = |_: BusEvent| std::future::pending::<Result<Handled, NotTaken>>();
    let _subscription = bus.subscribe(&pattern(), Arc::new(hanging)).await.unwrap();
    let delivery = bus.emit(BusEvent::new("a", "test", json!(1))).await.unwrap();
    assert!(delivery.failures[0].to_string().contains("within 0.02 s"), "{delivery:?}");
}

#[tokio::test]
async fn a_hundred_handlers_are_all_reached_though_not_all_at_once() {
    let bus = InProcessBus::new();
    let mut subscriptions = Vec::new();
    for _ in 0..100 {
        let handler = |_: BusEvent| async {
            tokio::task::yield_now().await;
            Ok(Handled::Taken)
        };
        subscriptions.push(bus.subscribe(&pattern(), Arc::new(handler)).await.unwrap());
    }
    assert_eq!(bus.emit(BusEvent::new("a", "test", json!(1))).await.unwrap().taken, 100);
}
