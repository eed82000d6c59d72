//! A bus and a broker for agents of one program.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::FutureExt;
use futures::stream::{self, StreamExt};

use super::{BusEvent, Delivery, EventBus, Handled, Handler, Message, MessageBroker, NotTaken, Subscription};
use crate::{Error, Pattern, check_topic};

/// An [`EventBus`] within the program. It keeps nothing: an event is safe once a handler took it.
///
/// An event reaches at most 16 handlers at a time, in the order in which they subscribed; the others
/// wait. Two events reach a handler in order if the second is emitted after the first `emit` returned.
#[derive(Default)]
pub struct InProcessBus {
    hub: Hub<BusEvent>,
}

/// A [`MessageBroker`] within the program, with the behaviour of [`InProcessBus`].
#[derive(Default)]
pub struct InProcessBroker {
    hub: Hub<Message>,
}

/// Handlers that one event is handed to at the same time; each may be an fsync.
const MAX_HANDLERS_AT_ONCE: usize = 16;

/// A program with more has lost count of them.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// A handler that takes longer must not hold up the emitter, which is an agent in the middle of a run.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

impl InProcessBus {
    /// A bus without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits at most `deadline` for each handler, in place of 30 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.hub.deadline = deadline;
        self
    }
}

impl InProcessBroker {
    /// A broker without listeners.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits at most `deadline` for each handler, in place of 30 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.hub.deadline = deadline;
        self
    }
}

#[async_trait]
impl EventBus for InProcessBus {
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<BusEvent>>) -> Result<Subscription, Error> {
        self.hub.subscribe(pattern, handler)
    }

    async fn emit(&self, event: BusEvent) -> Result<Delivery, Error> {
        check_topic(&event.event_type)?;
        Ok(self.hub.deliver(&event.event_type, &event).await)
    }
}

#[async_trait]
impl MessageBroker for InProcessBroker {
    async fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<Message>>) -> Result<Subscription, Error> {
        self.hub.subscribe(pattern, handler)
    }

    async fn publish(&self, message: Message) -> Result<Delivery, Error> {
        check_topic(&message.topic)?;
        Ok(self.hub.deliver(&message.topic, &message).await)
    }
}

struct Hub<T> {
    listeners: Arc<Mutex<Listeners<T>>>,
    deadline: Duration,
}

struct Listeners<T> {
    next: u64,
    by_number: BTreeMap<u64, (Pattern, Arc<dyn Handler<T>>)>,
}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        let listeners = Listeners { next: 0, by_number: BTreeMap::new() };
        Self { listeners: Arc::new(Mutex::new(listeners)), deadline: DEFAULT_DEADLINE }
    }
}

impl<T: Clone + Send + 'static> Hub<T> {
    fn subscribe(&self, pattern: &Pattern, handler: Arc<dyn Handler<T>>) -> Result<Subscription, Error> {
        let mut listeners = lock(&self.listeners);
        if listeners.by_number.len() >= MAX_SUBSCRIPTIONS {
            return Err(Error::Unavailable(format!("there are {MAX_SUBSCRIPTIONS} subscriptions already")));
        }
        let number = listeners.next;
        listeners.next += 1;
        listeners.by_number.insert(number, (pattern.clone(), handler));
        let place = Arc::downgrade(&self.listeners);
        Ok(Subscription::new(move || {
            // The handler is dropped after the lock: it may hold what needs the hub to end.
            let left = place.upgrade().and_then(|listeners| lock(&listeners).by_number.remove(&number));
            drop(left);
        }))
    }

    async fn deliver(&self, topic: &str, item: &T) -> Delivery {
        let answers: Vec<_> = self.handlers(topic).into_iter().map(|handler| self.hand_over(handler, item.clone())).collect();
        let mut delivery = Delivery::default();
        let mut answers = stream::iter(answers).buffered(MAX_HANDLERS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(Handled::Taken) => delivery.taken += 1,
                Ok(Handled::Ignored) => {}
                Err(failure) => delivery.failures.push(failure),
            }
        }
        delivery
    }

    fn handlers(&self, topic: &str) -> Vec<Arc<dyn Handler<T>>> {
        let listeners = lock(&self.listeners);
        let matching = listeners.by_number.values().filter(|(pattern, _)| pattern.matches(topic));
        matching.map(|(_, handler)| Arc::clone(handler)).collect()
    }

    /// A handler that panics or never answers is one that did not take it, and harms no other.
    async fn hand_over(&self, handler: Arc<dyn Handler<T>>, item: T) -> Result<Handled, NotTaken> {
        let handling = AssertUnwindSafe(handler.handle(item)).catch_unwind();
        match tokio::time::timeout(self.deadline, handling).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(NotTaken("the handler panicked".to_owned())),
            Err(_) => Err(NotTaken(format!("no answer within {} s; it may have been taken", self.deadline.as_secs_f64()))),
        }
    }
}

fn lock<T>(listeners: &Mutex<Listeners<T>>) -> MutexGuard<'_, Listeners<T>> {
    listeners.lock().expect("no holder of the listeners panics")
}
