//! The triggers of a process while they run, and what is shown of them.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball_journal::ProcessFold;
use flyball_triggers::{FilterCounts, Overlap, Sink, Trigger};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;

use super::reception::Reception;
use crate::TriggerStatus;

/// The triggers of one life. Dropping it stops them.
#[derive(Default)]
pub(super) struct Listeners {
    /// Those that are not open yet, and their places.
    waiting: Vec<(usize, Box<dyn Trigger>)>,
    /// Those that stop with a life: their places, and why they ended.
    tasks: JoinSet<(usize, String)>,
    /// Those that go on between two lives.
    lingering: JoinSet<(usize, String)>,
    listening: Listening,
}

/// What is shown of triggers.
#[derive(Clone, Default)]
pub(crate) struct Listening {
    each: Arc<[OneTrigger]>,
    /// What changes while they run, by their places.
    now: Vec<Moving>,
}

struct OneTrigger {
    id: String,
    kind: &'static str,
    label: String,
    remark: Option<String>,
    overlap: Overlap,
    armed: Option<watch::Receiver<Option<DateTime<Utc>>>>,
    filter: Option<watch::Receiver<FilterCounts>>,
}

#[derive(Clone, Default)]
struct Moving {
    fired: u64,
    skipped: u64,
    last_skipped: String,
    error: Option<String>,
}

impl Listeners {
    /// Lets those of `triggers` run that listen to other agents; the others wait for [`open_rest`](Self::open_rest).
    /// The error names the first that cannot be opened.
    pub async fn open(triggers: Vec<Box<dyn Trigger>>, fold: &ProcessFold, sink: &Sink) -> Result<Self, String> {
        let mut listeners = Self::default();
        let each: Vec<OneTrigger> = triggers.iter().map(|trigger| OneTrigger::of(&**trigger)).collect();
        listeners.listening = Listening { now: vec![Moving::default(); each.len()], each: each.into() };
        let (lingering, waiting) = triggers.into_iter().enumerate().partition(|(_, trigger)| trigger.lingers());
        listeners.waiting = waiting;
        open_and_run(lingering, fold, sink, &mut listeners.lingering).await?;
        Ok(listeners)
    }

    /// Lets those run that have waited until everything they may wake is there.
    pub async fn open_rest(&mut self, fold: &ProcessFold, sink: &Sink) -> Result<(), String> {
        open_and_run(std::mem::take(&mut self.waiting), fold, sink, &mut self.tasks).await
    }

    /// The next one that ended. Pending while none does. Cancel-safe.
    pub async fn next_ended(&mut self) -> Result<(usize, String), JoinError> {
        tokio::select! {
            Some(ended) = self.tasks.join_next() => ended,
            Some(ended) = self.lingering.join_next() => ended,
            else => std::future::pending().await,
        }
    }

    /// A trigger cannot go on; the process does, and shows why.
    pub fn ended(&mut self, ended: Result<(usize, String), JoinError>) {
        match ended {
            Ok((index, error)) => {
                let id = self.listening.each.get(index).map_or("", |trigger| trigger.id.as_str());
                tracing::error!(trigger = id, %error, "a trigger ended");
                if let Some(now) = self.listening.now.get_mut(index) {
                    now.error = Some(error);
                }
            }
            Err(error) => tracing::error!(%error, "a trigger's task ended badly"),
        }
    }

    /// Stops those that do not go on between two lives; all of them, unless `linger`.
    pub async fn stop(&mut self, linger: bool) {
        self.waiting.clear();
        self.tasks.shutdown().await;
        if !linger {
            self.lingering.shutdown().await;
        }
    }

    /// Whether events of this trigger are handled one after the other.
    pub fn is_serial(&self, trigger_id: &str) -> bool {
        let known = self.listening.each.iter().find(|trigger| trigger.id == trigger_id);
        known.is_some_and(|trigger| trigger.overlap != Overlap::Parallel)
    }

    /// What is shown of them.
    pub fn listening(&mut self, reception: &Reception) -> Listening {
        for (trigger, now) in self.listening.each.iter().zip(&mut self.listening.now) {
            now.fired = reception.fired(&trigger.id);
            if let Some(known) = reception.fold.triggers.get(&trigger.id).filter(|known| known.skipped != now.skipped) {
                now.skipped = known.skipped;
                now.last_skipped.clone_from(&known.last_skip);
            }
        }
        self.listening.clone()
    }
}

/// Opens them, each where it stood, and only then lets any of them run. They say their places when they end.
async fn open_and_run(
    triggers: Vec<(usize, Box<dyn Trigger>)>,
    fold: &ProcessFold,
    sink: &Sink,
    tasks: &mut JoinSet<(usize, String)>,
) -> Result<(), String> {
    let mut open = Vec::new();
    for (index, mut trigger) in triggers {
        let cursor = fold.triggers.get(trigger.id()).map(|known| known.cursor.clone()).unwrap_or_default();
        trigger.open(&cursor).await.map_err(|error| format!("{} {}: {error}", trigger.kind(), trigger.label()))?;
        open.push((index, trigger));
    }
    for (index, trigger) in open {
        let sink = sink.clone();
        tasks.spawn(async move { (index, trigger.run(sink).await.to_string()) }.in_current_span());
    }
    Ok(())
}

impl OneTrigger {
    fn of(trigger: &dyn Trigger) -> Self {
        Self {
            id: trigger.id().to_owned(),
            kind: trigger.kind(),
            label: trigger.label(),
            remark: trigger.remark(),
            overlap: trigger.overlap(),
            armed: trigger.armed(),
            filter: trigger.filter_counts(),
        }
    }
}

impl Listening {
    /// Each trigger, as it is now.
    pub fn status(&self) -> Vec<TriggerStatus> {
        self.each.iter().zip(&self.now).map(|(trigger, moving)| trigger.status(moving)).collect()
    }
}

impl OneTrigger {
    fn status(&self, moving: &Moving) -> TriggerStatus {
        let filter = self.filter.as_ref().map(|counts| counts.borrow().clone()).unwrap_or_default();
        // Once the sender is gone, so is the timer.
        let armed = self.armed.as_ref().filter(|armed| armed.has_changed().is_ok());
        TriggerStatus {
            id: self.id.clone(),
            kind: self.kind.to_owned(),
            label: self.label.clone(),
            fired: moving.fired,
            filtered: filter.rejected + filter.failed,
            last_filtered: filter.last,
            skipped: moving.skipped,
            last_skipped: (moving.skipped > 0).then(|| moving.last_skipped.clone()),
            next: armed.and_then(|armed| *armed.borrow()),
            remark: self.remark.clone(),
            error: moving.error.clone(),
        }
    }
}
