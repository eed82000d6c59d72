//! Taking events in: dedup, limits, and no yes before the event is durable. It outlives the lives of
//! its process, so that between two of them nothing is lost.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball_core_agent::{TriggerEvent, nesting};
use flyball_journal::{Appended, Decision, Entry, Error, Journal, ProcessFold, Recalled, weight};
use flyball_triggers::{Cursor, Moved, News, Offer, Overlap, Receipt, Refusal, Sink};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use tokio::sync::mpsc;

use crate::{ControlError, Settlement};

/// So many bytes of payload may wait: what waits lies in memory, and in each checkpoint.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// News that waits for the loop; a trigger with more waits itself.
const MAX_NEWS: usize = 256;

/// Where a process's events arrive.
pub(super) struct Reception {
    pub journal: Arc<dyn Journal>,
    /// What the process is, by all of its records.
    pub fold: ProcessFold,
    /// Events that may wait to be handled. More are refused before they are taken.
    max_pending: usize,
    /// Where triggers bring what they have.
    pub sink: Sink,
    news: mpsc::Receiver<News>,
    /// Events on their way to the disk, answered in the order in which they came.
    on_the_way: FuturesOrdered<Pin<Box<dyn Future<Output = Arrival> + Send>>>,
    keys_on_the_way: BTreeSet<(String, String)>,
    /// What the open events weigh, by their ids.
    weights: HashMap<String, usize>,
    pending_bytes: usize,
    /// Events that each trigger brought.
    fired: HashMap<String, u64>,
    /// For a moment nothing new is heard.
    held_back: bool,
}

/// An offer, and what became of its record. `None` for one that was not recorded, because the same
/// event was on its way already.
pub(super) struct Arrival {
    offer: Offer,
    recorded: Option<Result<Appended, Error>>,
}

/// What there is to see to.
pub(super) enum Heard {
    News(News),
    Arrived(Arrival),
}

impl Reception {
    pub fn new(journal: Arc<dyn Journal>, fold: ProcessFold, max_pending: usize) -> Self {
        fold.prepare_recall(&*journal);
        let (sink, news) = Sink::channel(MAX_NEWS);
        let weights: HashMap<String, usize> =
            fold.open_events.values().map(|event| (event.event_id.clone(), weight(event))).collect();
        let pending_bytes = weights.values().sum();
        Self {
            journal,
            fold,
            max_pending,
            sink,
            news,
            on_the_way: FuturesOrdered::new(),
            keys_on_the_way: BTreeSet::new(),
            weights,
            pending_bytes,
            fired: HashMap::new(),
            held_back: false,
        }
    }

    /// What there is next. Cancel-safe. Pending while there is nothing.
    pub async fn next(&mut self) -> Heard {
        tokio::select! {
            Some(arrival) = self.on_the_way.next() => Heard::Arrived(arrival),
            Some(news) = self.news.recv(), if !self.held_back || self.on_the_way.is_empty() => Heard::News(news),
            // It holds a sink of its own, so there can always come something.
            else => std::future::pending().await,
        }
    }

    /// Sees to something while events are taken in.
    pub fn take(&mut self, heard: Heard) {
        match heard {
            Heard::News(News::Offer(offer)) => self.offered(offer),
            Heard::News(News::Moved(moved)) => self.moved(moved),
            Heard::Arrived(arrival) => self.arrived(arrival),
        }
    }

    /// Sees to something while no more events are taken in: what is on its way goes on.
    pub fn refuse(&mut self, heard: Heard) {
        match heard {
            // Who stopped waiting needs no answer.
            Heard::News(News::Offer(offer)) => answer(offer, Err(Refusal::Closed)),
            Heard::News(News::Moved(moved)) => self.moved(moved),
            Heard::Arrived(arrival) => self.arrived(arrival),
        }
    }

    /// Refuses all that waits.
    pub fn refuse_waiting(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.refuse(Heard::News(news));
        }
    }

    /// Nothing new is heard until what is on its way has come to the disk.
    pub fn hold_back(&mut self, held_back: bool) {
        self.held_back = held_back;
    }

    /// No event is on its way to the disk.
    pub fn is_quiet(&self) -> bool {
        self.on_the_way.is_empty()
    }

    /// How many events a trigger brought since the process is there.
    pub fn fired(&self, trigger_id: &str) -> u64 {
        self.fired.get(trigger_id).copied().unwrap_or(0)
    }

    /// Records an entry without waiting, and lets it move the state.
    pub fn push(&mut self, entry: Entry) -> Result<(), String> {
        let at = self.journal.push(entry.clone()).map_err(|error| error.to_string())?;
        self.apply(0, at, entry);
        Ok(())
    }

    /// Records an entry durably, and lets it move the state.
    pub async fn append(&mut self, entry: Entry) -> Result<(), ControlError> {
        self.append_all(vec![entry]).await
    }

    /// The same of entries of which there is none without the others.
    pub async fn append_all(&mut self, entries: Vec<Entry>) -> Result<(), ControlError> {
        let recorded = self.journal.append(entries.clone()).await;
        let Appended { seq: last, at } =
            recorded.map_err(|error| ControlError::Failed(format!("it could not be recorded: {error}")))?;
        let first = last + 1 - entries.len() as u64;
        for (seq, entry) in (first..).zip(entries) {
            self.apply(seq, at, entry);
        }
        Ok(())
    }

    /// Lets an entry that is recorded move the state, by the number and the time that its record bears: whoever
    /// reads the journal must come to the same.
    pub fn apply(&mut self, seq: u64, at: DateTime<Utc>, entry: Entry) {
        let opened = match &entry {
            Entry::TriggerEvent { event, .. } => Some(event.event_id.clone()),
            Entry::Redelivered { event_id, .. } => Some(event_id.clone()),
            Entry::InvocationResult { event_id, .. }
            | Entry::Error { event_id, last: true, .. }
            | Entry::Expired { event_id, .. }
            | Entry::Settled { event_id, decision: Decision::Abort, .. } => {
                self.pending_bytes -= self.weights.remove(event_id).unwrap_or(0);
                None
            }
            _ => None,
        };
        self.fold.take(seq, at, entry);
        if let Some(event_id) = opened {
            self.weigh(&event_id);
        }
    }

    fn weigh(&mut self, event_id: &str) {
        // The newest ones are the last.
        let open = self.fold.open_events.values().rfind(|event| event.event_id == event_id);
        let weight = open.map_or(0, weight);
        self.pending_bytes += weight;
        self.pending_bytes -= self.weights.insert(event_id.to_owned(), weight).unwrap_or(0);
    }

    /// Sends an offered event on its way to the disk, or answers it at once.
    pub fn offered(&mut self, offer: Offer) {
        let event = &offer.event;
        if !nesting::fits(&event.payload) {
            return answer(offer, Err(Refusal::TooDeep));
        }
        match self.fold.recall(event, &*self.journal) {
            Recalled::Never => {}
            Recalled::As(event_id) => return answer(offer, Ok(Receipt { event_id, duplicate: true })),
            Recalled::NotYet => {
                let why = "whether it was taken before cannot be told yet";
                return answer(offer, Err(Refusal::NotDurable(why.to_owned())));
            }
        }
        if offer.overlap == Overlap::Skip && self.has_open(&event.trigger_id) {
            return self.let_pass(offer);
        }
        let waiting = self.fold.open_events.len() + self.on_the_way.len();
        if waiting >= self.max_pending || self.pending_bytes + weight(event) > MAX_PENDING_BYTES {
            return answer(offer, Err(Refusal::Full { waiting }));
        }
        let known = !self.keys_on_the_way.insert((event.trigger_id.clone(), event.key().to_owned()));
        let journal = Arc::clone(&self.journal);
        let entry = Entry::TriggerEvent { event: event.clone(), cursor: offer.cursor.clone() };
        self.on_the_way.push_back(Box::pin(async move {
            let recorded = if known { None } else { Some(journal.append(vec![entry]).await) };
            Arrival { offer, recorded }
        }));
    }

    /// An event of this trigger is not handled yet, or is on its way to the disk. One whose run is held keeps
    /// nobody waiting.
    fn has_open(&self, trigger_id: &str) -> bool {
        let from = (trigger_id.to_owned(), String::new());
        let held = |id: &str| self.fold.open_runs.values().any(|open| open.held.is_some() && open.event_id == id);
        self.fold.open_events.values().any(|event| event.trigger_id == trigger_id && !held(&event.event_id))
            || self.keys_on_the_way.range(from..).next().is_some_and(|(first, _)| first == trigger_id)
    }

    fn let_pass(&mut self, offer: Offer) {
        let why = format!("{} came while an earlier one was not handled yet", offer.event.key());
        let (trigger_id, cursor) = (offer.event.trigger_id.clone(), offer.cursor.clone());
        self.moved(Moved { trigger_id, cursor, skipped: 1, why });
        answer(offer, Err(Refusal::Overlaps));
    }

    fn moved(&mut self, moved: Moved) {
        let Moved { trigger_id, cursor, skipped, why } = moved;
        if let Err(error) = self.push(Entry::TriggerMoved { trigger_id, cursor, skipped, why }) {
            // The journal is closed; whoever waits for it next is told, and the process ends.
            tracing::error!(%error, "where a trigger stands could not be recorded");
        }
    }

    /// Answers an event whose record is done with.
    fn arrived(&mut self, arrival: Arrival) {
        let Arrival { offer, recorded } = arrival;
        let event = &offer.event;
        if recorded.is_some() {
            // Not for a second arrival: by then the key may be that of a third, which is on its way.
            self.keys_on_the_way.remove(&(event.trigger_id.clone(), event.key().to_owned()));
        }
        let result = match recorded {
            Some(Ok(Appended { seq, at })) => {
                *self.fired.entry(event.trigger_id.clone()).or_default() += 1;
                let receipt = Receipt { event_id: event.event_id.clone(), duplicate: false };
                let entry = Entry::TriggerEvent { event: event.clone(), cursor: Cursor::clone(&offer.cursor) };
                self.apply(seq, at, entry);
                Ok(receipt)
            }
            Some(Err(Error::Full { .. })) => Err(Refusal::NoRoom),
            Some(Err(Error::TooDeep { .. })) => Err(Refusal::TooDeep),
            Some(Err(error)) => Err(Refusal::NotDurable(error.to_string())),
            None => match self.fold.seen(event) {
                Some(first) => Ok(Receipt { event_id: first.to_owned(), duplicate: true }),
                None => Err(Refusal::NotDurable("the same event, offered a moment before, could not be recorded".into())),
            },
        };
        answer(offer, result);
    }

    /// Records what an operator says of a call in doubt.
    pub async fn settle(&mut self, settlement: Settlement) -> Result<(), ControlError> {
        let Settlement { run, step, decision, note } = settlement;
        let Some(open) = self.fold.open_runs.get(&run).filter(|open| open.held.is_some()) else {
            return Err(ControlError::State(format!("no run {run} is held: see `flyball indoubt`")));
        };
        if !open.tape.in_doubt(&step) {
            return Err(ControlError::State(format!("call {step} of run {run} is not in doubt: see `flyball indoubt`")));
        }
        let event_id = open.event_id.clone();
        self.append(Entry::Settled { run, event_id, step, decision, note }).await
    }

    /// Records what an operator wants done with a dead letter.
    pub async fn see_to(&mut self, event_id: &str, again: bool, note: String) -> Result<(), ControlError> {
        if !self.fold.dead_letters.iter().any(|letter| letter.event.event_id == event_id) {
            return Err(ControlError::State(format!("no dead letter is event {event_id}: see `flyball dlq list`")));
        }
        let event_id = event_id.to_owned();
        let entry = if again { Entry::Redelivered { event_id, note } } else { Entry::Dismissed { event_id, note } };
        self.append(entry).await
    }

    /// The event, wanted from outside as if a trigger had brought it.
    pub fn inject(&mut self, event: TriggerEvent, answer: tokio::sync::oneshot::Sender<Result<Receipt, Refusal>>) {
        self.offered(Offer { event, cursor: Cursor::new(), overlap: Overlap::Parallel, answer });
    }
}

fn answer(offer: Offer, result: Result<Receipt, Refusal>) {
    // A trigger that stopped waiting offers the event again, and finds it a duplicate.
    let _ = offer.answer.send(result);
}
