//! Where a trigger's events go, and the answer it gets.

use flyball_core_agent::TriggerEvent;
use tokio::sync::{mpsc, oneshot};

/// Takes a trigger's events into a process. Clones feed the same process.
#[derive(Debug, Clone)]
pub struct Sink {
    offers: mpsc::Sender<Offer>,
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
}

impl Sink {
    /// A sink and the end from which a process takes the offers. `capacity` offers wait at most;
    /// further ones wait at their trigger.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Offer>) {
        let (offers, taken) = mpsc::channel(capacity);
        (Self { offers }, taken)
    }

    /// Offers `event`, and returns once it is durable or refused.
    ///
    /// Dropping the future leaves open whether the event was taken; offer it again under the same
    /// dedup key to be sure.
    pub async fn offer(&self, event: TriggerEvent) -> Result<Receipt, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.offers.send(Offer { event, answer }).await.map_err(|_| Refusal::Closed)?;
        answered.await.map_err(|_| Refusal::Closed)?
    }

    /// Returns when the process takes no more offers, for good.
    pub async fn closed(&self) {
        self.offers.closed().await;
    }
}
