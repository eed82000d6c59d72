//! Taking events in: dedup, limits, and no yes before the event is durable.

use std::future::Future;
use std::pin::Pin;

use flyball_core_agent::TriggerEvent;
use flyball_journal::{Entry, Error};
use flyball_triggers::{Offer, Receipt, Refusal};
use futures::StreamExt;
use futures::stream::FuturesOrdered;

use super::life::Life;

/// Events that may wait to be handled. More are refused before they are taken.
const MAX_PENDING: usize = 1_000;

/// Events on their way to the disk, answered in the order in which they came.
#[derive(Default)]
pub(super) struct Inbox {
    on_the_way: FuturesOrdered<Pin<Box<dyn Future<Output = Arrival> + Send>>>,
}

/// An offer, and what became of its record. `None` for one that was not recorded, because the same
/// event was on its way already.
pub(super) struct Arrival {
    offer: Offer,
    recorded: Option<Result<u64, Error>>,
}

impl Inbox {
    /// The next event whose record is done with. Pending for ever while none is on its way.
    pub async fn next(&mut self) -> Arrival {
        match self.on_the_way.next().await {
            Some(arrival) => arrival,
            None => std::future::pending().await,
        }
    }

    /// No event is on its way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.on_the_way.len()
    }
}

impl Life {
    /// Sends an offered event on its way to the disk, or answers it at once.
    pub fn take_offer(&mut self, offer: Offer) {
        let event = &offer.event;
        if let Some(first) = self.fold.seen(&event.trigger_id, event.key()) {
            let receipt = Receipt { event_id: first.to_owned(), duplicate: true };
            return answer(offer, Ok(receipt));
        }
        let waiting = self.fold.open_events.len() + self.inbox.len();
        if waiting >= MAX_PENDING {
            return answer(offer, Err(Refusal::Full { waiting }));
        }
        let journal = std::sync::Arc::clone(&self.journal);
        let entry = Entry::TriggerEvent { event: event.clone() };
        let known = self.inbox_has(event);
        self.inbox.on_the_way.push_back(Box::pin(async move {
            let recorded = if known { None } else { Some(journal.append(vec![entry]).await) };
            Arrival { offer, recorded }
        }));
    }

    /// Answers an event whose record is done with.
    pub fn arrived(&mut self, arrival: Arrival) {
        let Arrival { offer, recorded } = arrival;
        let event = &offer.event;
        if recorded.is_some() {
            // Not for a second arrival: by then the key may be that of a third, which is on its way.
            self.forget_key(event);
        }
        let result = match recorded {
            Some(Ok(seq)) => {
                let entry = Entry::TriggerEvent { event: event.clone() };
                self.fold.apply(seq, self.now(), &entry);
                self.count_fired(&event.trigger_id.clone());
                Ok(Receipt { event_id: event.event_id.clone(), duplicate: false })
            }
            Some(Err(error)) => Err(Refusal::NotDurable(error.to_string())),
            None => match self.fold.seen(&event.trigger_id, event.key()) {
                Some(first) => Ok(Receipt { event_id: first.to_owned(), duplicate: true }),
                None => Err(Refusal::NotDurable("the same event, offered a moment before, could not be recorded".into())),
            },
        };
        answer(offer, result);
    }

    fn inbox_has(&mut self, event: &TriggerEvent) -> bool {
        !self.keys_on_the_way.insert((event.trigger_id.clone(), event.key().to_owned()))
    }

    fn forget_key(&mut self, event: &TriggerEvent) {
        self.keys_on_the_way.remove(&(event.trigger_id.clone(), event.key().to_owned()));
    }
}

fn answer(offer: Offer, result: Result<Receipt, Refusal>) {
    // A trigger that stopped waiting offers the event again, and finds it a duplicate.
    let _ = offer.answer.send(result);
}
