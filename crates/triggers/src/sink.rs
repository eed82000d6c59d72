//! Where a trigger's events go, and the answer it gets.

use std::sync::Arc;

use flyball_core_agent::TriggerEvent;
use tokio::sync::{mpsc, oneshot};

use crate::Filter;

/// Takes a trigger's events into a process. Clones feed the same process.
#[derive(Debug, Clone)]
pub struct Sink {
    offers: mpsc::Sender<Offer>,
    /// All must want an event.
    filters: Vec<Arc<Filter>>,
}

/// An event that waits for its yes or no.
#[derive(Debug)]
pub struct Offer {
    /// The event.
    pub event: TriggerEvent,
    /// Where the answer goes. The trigger may have stopped waiting for it.
    pub answer: oneshot::Sender<Result<Receipt, Refusal>>,
}

/// The event is taken: it is durable, and will be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Under which id it was taken; that of the first arrival, if this was not it.
    pub event_id: String,
    /// It was taken before.
    pub duplicate: bool,
}

/// The event is not taken, and nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too much is waiting. Offer it again later.
    #[error("{waiting} events are waiting already")]
    Full {
        /// How many are waiting.
        waiting: usize,
    },
    /// The process is not taking events.
    #[error("the process is not taking events")]
    Closed,
    /// The event could not be made durable. Offer it again later.
    #[error("the event could not be made durable: {0}")]
    NotDurable(String),
    /// The trigger's filter does not want the event. To offer it again is pointless.
    #[error("{why}")]
    Filtered {
        /// That it does not match, or why that could not be told.
        why: String,
    },
}

impl Sink {
    /// A sink and the end from which a process takes the offers. `capacity` offers wait at most;
    /// further ones wait at their trigger.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Offer>) {
        let (offers, taken) = mpsc::channel(capacity);
        (Self { offers, filters: Vec::new() }, taken)
    }

    /// A sink to the same process which offers it only what `filter` wants, and what the filters of
    /// this one want. The others are answered with [`Refusal::Filtered`].
    #[must_use]
    pub fn filtered(&self, filter: Arc<Filter>) -> Self {
        let mut filtered = self.clone();
        filtered.filters.push(filter);
        filtered
    }

    /// Offers `event`, and returns once it is durable or refused.
    ///
    /// Dropping the future leaves open whether the event was taken; offer it again under the same
    /// dedup key to be sure.
    pub async fn offer(&self, event: TriggerEvent) -> Result<Receipt, Refusal> {
        for filter in &self.filters {
            filter.admit(&event)?;
        }
        let (answer, answered) = oneshot::channel();
        self.offers.send(Offer { event, answer }).await.map_err(|_| Refusal::Closed)?;
        let receipt = answered.await.map_err(|_| Refusal::Closed)??;
        self.filters.iter().for_each(|filter| filter.taken());
        Ok(receipt)
    }

    /// Returns when the process takes no more offers, for good.
    pub async fn closed(&self) {
        self.offers.closed().await;
    }
}
