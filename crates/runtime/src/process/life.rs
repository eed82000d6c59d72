//! Everything a process is between one start and its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flyball_context::{Context, Exchange};
use flyball_core_agent::{Agent, Clock, Layer, RunId};
use flyball_journal::{Entry, Journal, LifecycleState, ProcessFold};
use flyball_triggers::{Offer, Sink, Trigger};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::inbox::Inbox;
use super::run::RunEnd;
use super::supervise::transition;
use crate::{Built, Cleanup, Past, ProcessSpec, ProcessStatus, StartCause, TriggerStatus};

/// How a life ends.
pub(super) enum End {
    /// As it was told.
    Stopped,
    /// It could not go on.
    Failed { why: String, had_success: bool },
    /// `max_lifetime` is over.
    TooOld,
    /// It never came up.
    NotStarted,
}

/// Why no new run begins.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    pub why: String,
    pub until: Option<DateTime<Utc>>,
    /// The next event ends it.
    pub idle: bool,
}

/// One life.
pub(super) struct Life {
    pub spec: Arc<ProcessSpec>,
    pub log_clock: Arc<dyn Clock>,
    pub journal: Arc<dyn Journal>,
    pub gate: watch::Receiver<bool>,
    pub fold: ProcessFold,
    pub inbox: Inbox,
    pub keys_on_the_way: BTreeSet<(String, String)>,
    pub offers: mpsc::Receiver<Offer>,
    pub runs: JoinSet<RunEnd>,
    /// The runs in `runs`, by the events they handle.
    pub busy: BTreeSet<String>,
    /// Runs that were held since the start; they wait for an answer and are not tried before it.
    pub waiting: BTreeSet<RunId>,
    pub cancel: CancellationToken,
    pub pause: Option<Pause>,
    pub triggers: JoinSet<(usize, String)>,
    pub last_work: DateTime<Utc>,
    pub had_success: bool,
    /// How many records there were at the last checkpoint.
    pub checkpoint_at: u64,
    /// Layers' deadlines up to here have been seen to.
    pub due_done: DateTime<Utc>,
    pub parts: Option<Parts>,
    trigger_status: Vec<TriggerStatus>,
    sink: Option<Sink>,
    started_at: DateTime<Utc>,
    last_heartbeat: DateTime<Utc>,
    restarts: u32,
    shown: watch::Sender<ProcessStatus>,
    on_stop: Option<Cleanup>,
}

/// What the blueprint made and runs need.
#[derive(Clone)]
pub(super) struct Parts {
    pub agent: Arc<dyn Agent>,
    pub context: Arc<Context>,
    pub layers: Vec<Arc<dyn Layer>>,
}

/// Offers that wait for the loop; a trigger with more waits itself.
const MAX_OFFERS: usize = 256;

/// Why an idle process is suspended.
pub(super) const IDLE: &str = "idle; the next event wakes it";

/// A pause outlives a crash and an automatic restart. Whoever asks for a start ends it.
fn still_paused(past: &Past) -> Option<Pause> {
    let pause = past.fold.pause.as_ref().filter(|pause| past.cause != StartCause::Asked && pause.why != IDLE)?;
    Some(Pause { why: pause.why.clone(), until: pause.until, idle: false })
}

/// Records between two checkpoints, at the least; more where a checkpoint is large, so that
/// checkpoints stay a small part of the journal.
const CHECKPOINT_EVERY: u64 = 2_000;

/// Servers that do not end in this time are left to the system.
const CLEANUP_TIME: Duration = Duration::from_secs(10);

impl Life {
    pub fn new(
        spec: Arc<ProcessSpec>,
        surroundings: Surroundings,
        past: &Past,
        shown: watch::Sender<ProcessStatus>,
        restarts: u32,
    ) -> Self {
        let (sink, offers) = Sink::channel(MAX_OFFERS);
        let now = surroundings.clock.now();
        Self {
            spec,
            log_clock: surroundings.clock,
            journal: Arc::clone(&past.journal),
            gate: surroundings.gate,
            fold: past.fold.clone(),
            inbox: Inbox::default(),
            keys_on_the_way: BTreeSet::new(),
            offers,
            runs: JoinSet::new(),
            busy: BTreeSet::new(),
            waiting: BTreeSet::new(),
            cancel: CancellationToken::new(),
            pause: still_paused(past),
            triggers: JoinSet::new(),
            last_work: now,
            had_success: false,
            checkpoint_at: past.fold.checkpoint_at(),
            due_done: DateTime::<Utc>::MIN_UTC,
            parts: None,
            trigger_status: Vec::new(),
            sink: Some(sink),
            started_at: now,
            last_heartbeat: now,
            restarts,
            shown,
            on_stop: None,
        }
    }

    /// The clock's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.log_clock.now()
    }

    /// Records an entry without waiting, and lets it move the state.
    pub fn push(&mut self, entry: Entry) -> Result<(), String> {
        self.journal.push(entry.clone()).map_err(|error| error.to_string())?;
        self.fold.apply(0, self.now(), &entry);
        Ok(())
    }

    /// Between two runs, and when enough has happened since the last one: writes down what all of it
    /// comes to, so that the next start need not read it.
    pub fn checkpoint_if_due(&mut self) -> Result<(), String> {
        // A held run's totals live in its records; they are read until it has an end.
        // An event on its way may have its record before the checkpoint's, and is not in the fold yet.
        let quiet = self.runs.is_empty() && self.fold.open_runs.is_empty() && self.inbox.is_empty();
        let since = self.fold.entries.saturating_sub(self.checkpoint_at);
        if !quiet || since < CHECKPOINT_EVERY.max(self.fold.dedup_keys() as u64) {
            return Ok(());
        }
        let layers = self.parts.iter().flat_map(|parts| &parts.layers);
        let layers = layers.filter_map(|layer| Some((layer.name().to_owned(), layer.snapshot()?))).collect();
        self.push(Entry::Checkpoint { fold: Box::new(self.fold.clone()), layers })?;
        self.checkpoint_at = self.fold.entries;
        Ok(())
    }

    /// Moves to `to`, unless the process is there already.
    pub fn move_to(&mut self, to: LifecycleState, reason: &str) -> Result<(), String> {
        let from = self.fold.state;
        if from == to {
            return Ok(());
        }
        from.next(to).map_err(|error| error.to_string())?;
        self.push(transition(from, to, reason))?;
        self.publish();
        Ok(())
    }

    /// Says in the journal what a start found of an earlier life.
    pub fn note_recovery(&mut self, past: &Past) -> Result<(), String> {
        if past.cause != StartCause::Recovery && past.fold.open_runs.is_empty() && past.fold.open_events.is_empty() {
            return Ok(());
        }
        let interrupted: Vec<RunId> = past.fold.open_runs.keys().cloned().collect();
        let pending = past.fold.open_events.len().saturating_sub(interrupted.len()) as u64;
        self.push(Entry::Recovered { entries_replayed: past.fold.entries, interrupted, pending_events: pending })
    }

    /// Gives the context its past, opens the triggers, and is up.
    pub async fn take_parts(&mut self, built: Built) -> Result<(), String> {
        self.on_stop = built.on_stop;
        for change in self.fold.state_history.values().flatten() {
            built.context.state().apply(change);
        }
        for past in &self.fold.exchanges {
            let user = past.event.prompt(&flyball_core_agent::short_hash(past.run.0.as_bytes()));
            let exchange = Exchange { id: past.run.0.clone(), user, reply: past.reply.clone() };
            built.context.finish(exchange, &[]).await;
        }
        self.open_triggers(built.triggers).await?;
        self.parts = Some(Parts { agent: built.agent, context: built.context, layers: built.layers });
        match self.pause.clone() {
            Some(pause) => self.move_to(LifecycleState::Suspended, &pause.why)?,
            None => self.move_to(LifecycleState::Awaiting, "up, waiting for a trigger")?,
        }
        // Whoever is told that the process is up must find it so in the journal.
        self.journal.append(Vec::new()).await.map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn open_triggers(&mut self, triggers: Vec<Box<dyn Trigger>>) -> Result<(), String> {
        let Some(sink) = self.sink.take() else { return Ok(()) };
        let mut open = Vec::new();
        for mut trigger in triggers {
            trigger.open().await.map_err(|error| format!("trigger {}: {error}", trigger.id()))?;
            open.push(trigger);
        }
        for (index, trigger) in open.into_iter().enumerate() {
            let status = TriggerStatus { id: trigger.id().to_owned(), kind: trigger.kind().to_owned(), fired: 0, error: None };
            self.trigger_status.push(status);
            let sink = sink.clone();
            self.triggers.spawn(async move { (index, trigger.run(sink).await.to_string()) });
        }
        Ok(())
    }

    /// Counts an event of a trigger.
    pub fn count_fired(&mut self, trigger_id: &str) {
        if let Some(status) = self.trigger_status.iter_mut().find(|status| status.id == trigger_id) {
            status.fired += 1;
        }
    }

    /// A trigger cannot go on; the process does, and shows why.
    pub fn trigger_ended(&mut self, index: usize, error: String) {
        if let Some(status) = self.trigger_status.get_mut(index) {
            tracing::error!(process = %self.spec.name, trigger = %status.id, %error, "a trigger ended");
            status.error = Some(error);
        }
    }

    /// Says that the loop is well.
    pub fn heartbeat(&mut self) {
        self.last_heartbeat = self.now();
    }

    /// How long this life has lasted.
    pub fn age(&self) -> chrono::TimeDelta {
        self.now() - self.started_at
    }

    /// It did not come up: records why.
    pub async fn failed_to_start(&mut self, why: String) -> String {
        let _ = self.end(LifecycleState::Failed, &why).await;
        why
    }

    /// Records the last state durably, lets the parts go, and shows it.
    pub async fn end(&mut self, state: LifecycleState, reason: &str) -> Result<(), String> {
        self.parts = None;
        if let Some(on_stop) = self.on_stop.take()
            && tokio::time::timeout(CLEANUP_TIME, on_stop).await.is_err()
        {
            tracing::warn!(process = %self.spec.name, "letting the process's parts go took too long and was given up");
        }
        let moved = self.move_to(state, reason);
        let durable = self.journal.append(Vec::new()).await.map_err(|error| error.to_string());
        if moved.is_err() || durable.is_err() {
            // The journal is gone; at least whoever looks is told.
            self.fold.state = state;
            self.fold.reason = reason.to_owned();
        }
        self.publish();
        moved.and(durable.map(drop))
    }

    /// Shows what the process is doing.
    pub fn publish(&self) {
        let alive = self.fold.state.is_alive();
        let held = self.fold.open_runs.iter().filter_map(|(run, open)| Some((run.0.clone(), json!(open.held.as_ref()?))));
        let layers = self.parts.iter().flat_map(|parts| &parts.layers);
        let layers: Map<String, Value> = layers.filter_map(|layer| Some((layer.name().to_owned(), layer.status()?))).collect();
        let status = ProcessStatus {
            name: self.spec.name.clone(),
            process_id: self.spec.process_id(),
            state: self.fold.state,
            reason: self.fold.reason.clone(),
            invocation_count: self.fold.invocation_count,
            consecutive_failures: self.fold.consecutive_failures,
            restart_count: self.restarts,
            given_up: false,
            started_at: alive.then_some(self.started_at),
            uptime_seconds: if alive { self.age().as_seconds_f64().max(0.0) } else { 0.0 },
            last_heartbeat: Some(self.last_heartbeat),
            pending_events: self.fold.open_events.len() - self.busy.len().min(self.fold.open_events.len()),
            active_runs: self.runs.len(),
            held_runs: held.collect(),
            triggers: self.trigger_status.clone(),
            // What a life's layers said last is still worth showing when it is over.
            layers: if self.parts.is_some() { layers } else { self.shown.borrow().layers.clone() },
        };
        self.shown.send_replace(status);
    }
}
