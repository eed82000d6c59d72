//! Where a trigger's events go, and the answer it gets.

use std::sync::Arc;

use flyball_core_agent::{TriggerEvent, nesting};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tracing::Span;

use crate::{Filter, Overlap};

/// Where a trigger stands: what it must find again when it is opened the next time. The process keeps
/// it, and what a trigger hands on is merged into it key by key; `null` takes a key away.
pub type Cursor = Map<String, Value>;

/// Takes a trigger's events into a process. Clones feed the same process.
#[derive(Debug, Clone)]
pub struct Sink {
    offers: mpsc::Sender<News>,
    /// All must want an event.
    filters: Vec<Arc<Filter>>,
    /// Whose it is, for the log: whoever offers may be anywhere.
    span: Span,
}

/// What a trigger has to say.
#[derive(Debug)]
pub enum News {
    /// Something happened.
    Offer(Offer),
    /// It stands elsewhere, though nothing happened that is an event.
    Moved(Moved),
}

/// A trigger stands elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Which one.
    pub trigger_id: String,
    /// What changed of where it stands.
    pub cursor: Cursor,
    /// How much it let pass.
    pub skipped: u64,
    /// Why it let that pass.
    pub why: String,
}

/// An event that waits for its yes or no.
#[derive(Debug)]
pub struct Offer {
    /// The event.
    pub event: TriggerEvent,
    /// Where the trigger stands once the event is taken. It is kept together with the event, or not at all.
    pub cursor: Cursor,
    /// What becomes of it if an earlier event of the trigger is not handled yet.
    pub overlap: Overlap,
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
    /// The event's payload is nested too deep to be kept. To offer it again is pointless.
    #[error("the event's payload cannot be kept: {}", flyball_core_agent::nesting::refusal())]
    TooDeep,
    /// There is no room on the disk for the event. Offer it again later.
    #[error("the disk is full: no event is accepted until there is room")]
    NoRoom,
    /// An earlier event of the trigger is not handled yet, and the trigger lets this one pass then.
    #[error("an earlier event of the trigger is not handled yet")]
    Overlaps,
    /// The trigger's filter does not want the event. To offer it again is pointless.
    #[error("{why}")]
    Filtered {
        /// That it does not match, or why that could not be told.
        why: String,
    },
}

impl Sink {
    /// A sink and the end from which a process takes the offers. `capacity` offers wait at most;
    /// further ones wait at their trigger. What is logged of an offer bears the span in which this is called.
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<News>) {
        let (offers, taken) = mpsc::channel(capacity);
        (Self { offers, filters: Vec::new(), span: Span::current() }, taken)
    }

    /// A sink to the same process which offers it only what `filter` wants, and what the filters of
    /// this one want. The others are answered with [`Refusal::Filtered`].
    #[must_use]
    pub fn filtered(&self, filter: Arc<Filter>) -> Self {
        let mut filtered = self.clone();
        filtered.filters.push(filter);
        filtered
    }

    /// The span of what is logged of its offers.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Offers `event`, and returns once it is durable or refused.
    ///
    /// Dropping the future leaves open whether the event was taken; offer it again under the same
    /// dedup key to be sure.
    pub async fn offer(&self, event: TriggerEvent) -> Result<Receipt, Refusal> {
        self.offer_at(event, Cursor::new(), Overlap::Parallel).await
    }

    /// As [`offer`](Self::offer), with where the trigger stands once the event is taken, or let pass by
    /// a filter or because of `overlap`.
    pub async fn offer_at(&self, event: TriggerEvent, cursor: Cursor, overlap: Overlap) -> Result<Receipt, Refusal> {
        // Before anything walks through it.
        if !nesting::fits(&event.payload) {
            return Err(Refusal::TooDeep);
        }
        for filter in &self.filters {
            if let Err(refusal) = self.span.in_scope(|| filter.admit(&event)) {
                if !cursor.is_empty() {
                    self.moved(Moved { trigger_id: event.trigger_id, cursor, skipped: 0, why: String::new() }).await?;
                }
                return Err(refusal);
            }
        }
        let (answer, answered) = oneshot::channel();
        self.offers.send(News::Offer(Offer { event, cursor, overlap, answer })).await.map_err(|_| Refusal::Closed)?;
        let receipt = answered.await.map_err(|_| Refusal::Closed)??;
        self.filters.iter().for_each(|filter| filter.taken());
        Ok(receipt)
    }

    /// Tells where the trigger stands, where that changed without an event. It is kept soon, and not
    /// waited for.
    pub async fn moved(&self, moved: Moved) -> Result<(), Refusal> {
        self.offers.send(News::Moved(moved)).await.map_err(|_| Refusal::Closed)
    }

    /// Returns when the process takes no more offers, for good.
    pub async fn closed(&self) {
        self.offers.closed().await;
    }
}
