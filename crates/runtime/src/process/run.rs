//! One run, in a task of its own: from the event to a durable end.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flyball_context::Exchange;
use flyball_core_agent::{Change, Clock, Error, Invocation, Outcome, Run, RunId, TriggerEvent};
use flyball_journal::{Appended, Entry, Journal, Tape, append_patiently};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::ends::Recording;
use super::life::Parts;
use crate::Delivery;

/// What a run is begun with.
pub(super) struct Task {
    pub run: RunId,
    pub process: String,
    pub event: TriggerEvent,
    pub tape: Tape,
    pub parts: Parts,
    pub journal: Arc<dyn Journal>,
    pub recording: Recording,
    pub clock: Arc<dyn Clock>,
    pub cancel: CancellationToken,
    /// It is cut off where it is, as by a crash; but not while its end is on its way to the disk, for then
    /// nobody here would know whether that came there.
    pub cut: CancellationToken,
    pub deadline: Option<Duration>,
    pub delivery: Delivery,
    /// How often it failed before.
    pub failures: u32,
}

/// How a run ended, with the entry that says so, which is durable by now.
pub(super) struct RunEnd {
    pub event_id: String,
    /// Nothing was recorded where the run was cancelled: it goes on at the next start.
    pub recorded: Option<(Appended, Entry)>,
    pub outcome: Option<Outcome>,
    /// What its context is told, in the order of the journal.
    pub finish: Option<(Exchange, Vec<Change>)>,
    /// The end could not be recorded.
    pub lost: Option<String>,
}

impl RunEnd {
    fn unrecorded(event_id: String, lost: Option<String>) -> Self {
        Self { event_id, recorded: None, outcome: None, finish: None, lost }
    }
}

impl Task {
    pub async fn run(self) -> RunEnd {
        let hops = self.event.cause.as_ref().map_or(0, |cause| cause.hops);
        let run = Run::caused(self.run.clone(), &self.process, hops, self.cancel.clone());
        run.set_extension(Arc::new(self.tape.clone()));
        let result = tokio::select! {
            // What panics harms its own run, which is tried again or ends like one that failed.
            result = AssertUnwindSafe(self.invoke(&run)).catch_unwind() => result.unwrap_or_else(|panic| Err(panicked(&*panic))),
            () = self.cut.cancelled() => Err(Error::Cancelled),
        };
        // Cut off while a record of it was on its way: what that says is a part of how it ended.
        self.tape.settled().await;
        self.record(&run, result).await
    }

    async fn invoke(&self, run: &Run) -> Result<Outcome, Error> {
        let context = &self.parts.context;
        let query = self.event.payload.to_string();
        let notes = context.notes(run, &query).await;
        let invocation = Invocation { run: run.clone(), event: self.event.clone(), notes, history: context.history() };
        let invoked = self.parts.agent.invoke(invocation);
        match self.deadline {
            None => invoked.await,
            Some(deadline) => tokio::time::timeout(deadline, invoked).await.unwrap_or_else(|_| {
                Err(Error::Failed(format!("the run took longer than {} s (max_invocation_time)", deadline.as_secs_f64())))
            }),
        }
    }

    async fn record(self, run: &Run, result: Result<Outcome, Error>) -> RunEnd {
        let event_id = self.event.event_id.clone();
        let changes = merged(run.changes());
        let outcome = result.as_ref().ok().cloned();
        // Ended in the middle of a call that must not be made twice: that is for someone to settle first.
        let result = match (result, self.tape.first_doubt()) {
            (Err(Error::Failed(error)), Some(step)) => Err(Error::Parked(format!("call {step} is in doubt: {error}"))),
            (result, _) => result,
        };
        let entry = match result {
            Ok(outcome) => {
                Entry::InvocationResult { run: self.run.clone(), event_id: event_id.clone(), outcome, changes: changes.clone() }
            }
            Err(Error::Parked(why)) => Entry::InvocationHeld { run: self.run.clone(), why },
            Err(Error::Failed(error)) => {
                let retry_at = self.delivery.retry_at(self.failures + 1, self.clock.now());
                let last = retry_at.is_none();
                Entry::Error { run: self.run.clone(), event_id: event_id.clone(), error, last, retry_at }
            }
            Err(Error::Cancelled) => return RunEnd::unrecorded(event_id, None),
        };
        self.recording.begin();
        let appended = match append_patiently(&*self.journal, vec![entry.clone()], &self.cancel).await {
            Ok(appended) => appended,
            Err(error) => {
                self.recording.give_up();
                // Told to stop while the disk was full: it goes on at the next start, as after a crash.
                let goes_on = matches!(error, flyball_journal::Error::Full { .. });
                return RunEnd::unrecorded(event_id, (!goes_on).then(|| error.to_string()));
            }
        };
        let finish = outcome.as_ref().map(|outcome| {
            let user = self.event.prompt(&run.fence());
            (Exchange { id: self.run.0.clone(), user, reply: outcome.reply.clone() }, changes)
        });
        RunEnd { event_id, recorded: Some((appended, entry)), outcome, finish, lost: None }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Failed(format!("the run panicked: {}", said.as_deref().unwrap_or("nobody knows why")))
}

/// A run's last write of each key, in the order of the last writes' first appearance.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    let mut order: Vec<String> = Vec::new();
    let mut last: BTreeMap<String, Change> = BTreeMap::new();
    for change in changes {
        if !last.contains_key(&change.key) {
            order.push(change.key.clone());
        }
        last.insert(change.key.clone(), change);
    }
    order.into_iter().filter_map(|key| last.remove(&key)).collect()
}
