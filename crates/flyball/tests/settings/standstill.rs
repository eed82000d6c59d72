//! Someone who is called and does not answer before he is told to, so that runs stay on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flyball::triggers::{BusEvent, Handled, NotTaken, Pattern, Subscription};
use tokio::sync::Semaphore;

use crate::support::World;

/// A model whose only call, to emit `work.done`, waits for the [`Standstill`] to end.
pub const EMITS: &str = "
rules:
  - when: {step: t0}
    call: [{tool: emit_event, args: {event_type: work.done}}]
  - say: it is done
";

/// Whoever emits `work.done` waits here.
pub struct Standstill {
    may_go: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    _subscription: Subscription,
}

impl Standstill {
    /// Nobody goes on from now on.
    pub async fn of(world: &World) -> Self {
        let (may_go, waiting) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let (gate, count) = (Arc::clone(&may_go), Arc::clone(&waiting));
        let handler = move |_: BusEvent| {
            let (gate, count) = (Arc::clone(&gate), Arc::clone(&count));
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.expect("it is never closed").forget();
                count.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, NotTaken>(Handled::Taken)
            }
        };
        let pattern = Pattern::parse("work.done").expect("a pattern");
        let subscription = world.runtime.event_bus().subscribe(&pattern, Arc::new(handler)).await.expect("it is subscribed");
        Self { may_go, waiting, _subscription: subscription }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Lets everybody go on, also those who come later.
    pub fn end(&self) {
        self.may_go.add_permits(1_000);
    }
}
