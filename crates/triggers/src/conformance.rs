//! The laws of [`EventBus`] and [`MessageBroker`]. Whoever implements one runs them in a test:
//!
//! ```
//! # async fn test() {
//! use std::sync::Arc;
//! use flyball_triggers::{InProcessBus, conformance};
//!
//! conformance::event_bus(|| Arc::new(InProcessBus::new())).await;
//! # }
//! ```
//!
//! A law that does not hold panics and says which one. They need a Tokio runtime, and wait at most
//! 30 s for what must come. What must not come is looked for once a later event has come.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;

use crate::{BusEvent, Delivery, Error, EventBus, Handled, Handler, Message, MessageBroker, NotTaken, Pattern, Subscription};

/// Checks every law on buses that `make` makes, each with no listener and apart from the others.
pub async fn event_bus(make: impl Fn() -> Arc<dyn EventBus>) {
    laws(|| BusChannel(make())).await;
}

/// Checks every law on brokers that `make` makes, each with no listener and apart from the others.
pub async fn message_broker(make: impl Fn() -> Arc<dyn MessageBroker>) {
    laws(|| BrokerChannel(make())).await;
}

const PATIENCE: Duration = Duration::from_secs(30);

async fn laws<C: Channel>(make: impl Fn() -> C) {
    what_is_sent_reaches_every_listener_whole_and_is_counted(make()).await;
    wildcards_stand_for_one_segment_or_the_rest(make()).await;
    a_failing_listener_is_reported_and_stops_no_other(make()).await;
    one_that_ignores_it_is_neither_counted_nor_a_failure(make()).await;
    sending_returns_after_the_listener_took_it(make()).await;
    listeners_are_handed_it_side_by_side(make()).await;
    a_dropped_subscription_hears_nothing_more(make()).await;
    a_listener_may_send_in_its_turn(make()).await;
    a_topic_with_a_wildcard_is_refused(make()).await;
}

/// What a bus and a broker have in common.
#[async_trait]
trait Channel: Clone + Send + Sync + 'static {
    type Item: Item;

    async fn listen(&self, pattern: &Pattern, handler: Arc<dyn Handler<Self::Item>>) -> Result<Subscription, Error>;
    async fn send(&self, item: Self::Item) -> Result<Delivery, Error>;
}

trait Item: Clone + PartialEq + std::fmt::Debug + Send + 'static {
    fn on(topic: &str) -> Self;
    fn topic(&self) -> &str;
}

#[derive(Clone)]
struct BusChannel(Arc<dyn EventBus>);

#[derive(Clone)]
struct BrokerChannel(Arc<dyn MessageBroker>);

#[async_trait]
impl Channel for BusChannel {
    type Item = BusEvent;

    async fn listen(&self, pattern: &Pattern, handler: Arc<dyn Handler<BusEvent>>) -> Result<Subscription, Error> {
        self.0.subscribe(pattern, handler).await
    }

    async fn send(&self, item: BusEvent) -> Result<Delivery, Error> {
        self.0.emit(item).await
    }
}

#[async_trait]
impl Channel for BrokerChannel {
    type Item = Message;

    async fn listen(&self, pattern: &Pattern, handler: Arc<dyn Handler<Message>>) -> Result<Subscription, Error> {
        self.0.subscribe(pattern, handler).await
    }

    async fn send(&self, item: Message) -> Result<Delivery, Error> {
        self.0.publish(item).await
    }
}

impl Item for BusEvent {
    fn on(topic: &str) -> Self {
        Self { cause: Some(cause()), ..Self::new(topic, "conformance", json!({"a": [1, null, "ü"]})) }
    }

    fn topic(&self) -> &str {
        &self.event_type
    }
}

impl Item for Message {
    fn on(topic: &str) -> Self {
        Self { cause: Some(cause()), ..Self::new(topic, "conformance", json!({"a": [1, null, "ü"]})) }
    }

    fn topic(&self) -> &str {
        &self.topic
    }
}

fn cause() -> flyball_core_agent::Cause {
    flyball_core_agent::Cause { process: "conformance".to_owned(), run: "r1".to_owned(), hops: 3 }
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("the law's pattern is one")
}

/// Listens to `text` and passes on what comes.
async fn ear<C: Channel>(channel: &C, text: &str) -> (mpsc::UnboundedReceiver<C::Item>, Subscription) {
    let (heard, ear) = mpsc::unbounded_channel();
    let handler = move |item: C::Item| {
        // The law may have stopped listening.
        let _ = heard.send(item);
        async { Ok(Handled::Taken) }
    };
    (ear, listen(channel, text, handler).await)
}

async fn listen<C: Channel>(channel: &C, text: &str, handler: impl Handler<C::Item> + 'static) -> Subscription {
    channel.listen(&pattern(text), Arc::new(handler)).await.expect("it can be subscribed to")
}

async fn send<C: Channel>(channel: &C, item: C::Item) -> Delivery {
    let sent = tokio::time::timeout(PATIENCE, channel.send(item)).await.expect("sending ends");
    sent.expect("it can be sent")
}

async fn next<T>(ear: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(PATIENCE, ear.recv()).await.expect("it is heard").expect("the listener is there")
}

async fn what_is_sent_reaches_every_listener_whole_and_is_counted<C: Channel>(channel: C) {
    assert_eq!(send(&channel, C::Item::on("law.a")).await, Delivery::default(), "nobody listens");
    let (mut first, _first) = ear(&channel, "law.a").await;
    let (mut second, _second) = ear(&channel, "law.a").await;
    let item = C::Item::on("law.a");
    assert_eq!(send(&channel, item.clone()).await, Delivery { taken: 2, failures: Vec::new() });
    assert_eq!(next(&mut first).await, item);
    assert_eq!(next(&mut second).await, item);
}

async fn wildcards_stand_for_one_segment_or_the_rest<C: Channel>(channel: C) {
    let (mut one, _one) = ear(&channel, "law.*.x").await;
    let (mut rest, _rest) = ear(&channel, "law.>").await;
    for topic in ["law.a.x", "law.b.c.x", "law", "law.b.x"] {
        send(&channel, C::Item::on(topic)).await;
    }
    for topic in ["law.a.x", "law.b.x"] {
        assert_eq!(next(&mut one).await.topic(), topic, "a star is one segment");
    }
    for topic in ["law.a.x", "law.b.c.x", "law.b.x"] {
        assert_eq!(next(&mut rest).await.topic(), topic, "an arrow is one or more");
    }
}

async fn a_failing_listener_is_reported_and_stops_no_other<C: Channel>(channel: C) {
    let _failing = listen(&channel, "law.a", |_| async { Err(NotTaken("no room".to_owned())) }).await;
    let (mut heard, _healthy) = ear(&channel, "law.a").await;
    let delivery = send(&channel, C::Item::on("law.a")).await;
    assert_eq!(delivery.taken, 1);
    assert_eq!(delivery.failures, [NotTaken("no room".to_owned())]);
    next(&mut heard).await;
}

async fn one_that_ignores_it_is_neither_counted_nor_a_failure<C: Channel>(channel: C) {
    let _ignoring = listen(&channel, "law.a", |_| async { Ok(Handled::Ignored) }).await;
    assert_eq!(send(&channel, C::Item::on("law.a")).await, Delivery::default());
}

async fn sending_returns_after_the_listener_took_it<C: Channel>(channel: C) {
    let (mut heard, _subscription) = ear(&channel, "law.a").await;
    send(&channel, C::Item::on("law.a")).await;
    assert!(heard.try_recv().is_ok(), "it was taken before sending returned");
}

async fn listeners_are_handed_it_side_by_side<C: Channel>(channel: C) {
    // Each waits until the other was called.
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let waiting = || {
        let both = Arc::clone(&both);
        move |_| {
            let both = Arc::clone(&both);
            async move {
                both.wait().await;
                Ok(Handled::Taken)
            }
        }
    };
    let _first = listen(&channel, "law.a", waiting()).await;
    let _second = listen(&channel, "law.a", waiting()).await;
    assert_eq!(send(&channel, C::Item::on("law.a")).await.taken, 2);
}

async fn a_dropped_subscription_hears_nothing_more<C: Channel>(channel: C) {
    let (mut heard, subscription) = ear(&channel, "law.a").await;
    send(&channel, C::Item::on("law.a")).await;
    next(&mut heard).await;
    drop(subscription);
    assert_eq!(send(&channel, C::Item::on("law.a")).await.taken, 0);
    assert!(heard.try_recv().is_err(), "nothing is heard after the end");
}

async fn a_listener_may_send_in_its_turn<C: Channel>(channel: C) {
    let (mut heard, _ear) = ear(&channel, "law.b").await;
    let again = channel.clone();
    let relay = move |_| {
        let channel = again.clone();
        async move { channel.send(C::Item::on("law.b")).await.map(|_| Handled::Taken).map_err(|error| NotTaken(error.to_string())) }
    };
    let _relay = listen(&channel, "law.a", relay).await;
    assert_eq!(send(&channel, C::Item::on("law.a")).await, Delivery { taken: 1, failures: Vec::new() });
    next(&mut heard).await;
}

async fn a_topic_with_a_wildcard_is_refused<C: Channel>(channel: C) {
    for topic in ["law.*", "law.>", "law..a", ""] {
        let sent = channel.send(C::Item::on(topic)).await;
        assert!(matches!(sent, Err(Error::Config(_))), "'{topic}' is no topic, but: {sent:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InProcessBroker, InProcessBus};

    #[tokio::test]
    async fn the_in_process_bus_keeps_the_laws() {
        event_bus(|| Arc::new(InProcessBus::new())).await;
    }

    #[tokio::test]
    async fn the_in_process_broker_keeps_the_laws() {
        message_broker(|| Arc::new(InProcessBroker::new())).await;
    }
}
