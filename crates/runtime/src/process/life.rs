//! Everything a process is between one start and its end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flyball_context::{Context, Exchange};
use flyball_core_agent::{Agent, Clock, Layer, RunId};
use flyball_journal::{Entry, LifecycleState, append_patiently};
use flyball_triggers::Trigger;
use serde_json::{Map, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Surroundings;
use super::checkpoint::Pace;
use super::commands::{Answer, Stop};
use super::ends::Ends;
use super::listeners::Listeners;
use super::pausing::{Pause, still_paused};
use super::reception::Reception;
use super::run::RunEnd;
use super::shown::{Shown, said};
use super::supervise::{Resting, transition};
use crate::{Built, Cleanup, Past, ProcessSpec, ProcessStatus, StartCause};

/// How a life ends.
pub(super) enum End {
    /// As it was told. `listen` says that what other agents say is still taken in; `answer` goes to
    /// whoever told it, if someone did.
    Stopped { listen: bool, answer: Option<Answer<()>> },
    /// It could not go on.
    Failed { why: String, had_success: bool },
    /// `max_lifetime` is over.
    TooOld,
    /// It never came up. `answer` goes to whoever asked for the start, if someone did.
    NotStarted { why: String, answer: Option<Answer<()>> },
}

/// Why a life never came up.
pub(super) enum Unstarted {
    Failed(String),
    /// It was told to stop meanwhile.
    Stopped(Stop),
}

/// Why a process stops that was told to.
pub(super) const ASKED_TO_STOP: &str = "asked to stop";

/// One life.
pub(super) struct Life {
    pub spec: Arc<ProcessSpec>,
    pub clock: Arc<dyn Clock>,
    pub gate: watch::Receiver<bool>,
    pub reception: Reception,
    pub listeners: Listeners,
    /// Those of the life before, until the ones of this life listen.
    before: Option<Listeners>,
    /// `None` for what a run left to be done after its end.
    pub runs: JoinSet<Option<RunEnd>>,
    pub ends: Ends,
    /// The runs in `runs`, by the events they handle.
    pub busy: BTreeSet<String>,
    /// Runs that were held since the start; they wait for an answer and are not tried before it.
    pub waiting: BTreeSet<RunId>,
    /// Runs that were begun since the start though a step of theirs may be lost; once begun, they lose no more.
    pub doubted: BTreeSet<RunId>,
    pub cancel: CancellationToken,
    /// Tells them that they are cut off now.
    pub cut: CancellationToken,
    pub pause: Option<Pause>,
    pub last_work: DateTime<Utc>,
    pub had_success: bool,
    pub pace: Pace,
    /// Layers' deadlines up to here have been seen to.
    pub due_done: DateTime<Utc>,
    pub parts: Option<Parts>,
    started_at: DateTime<Utc>,
    last_heartbeat: DateTime<Utc>,
    restarts: u32,
    shown: watch::Sender<Shown>,
    on_stop: Option<Cleanup>,
}

/// What the blueprint made and runs need.
#[derive(Clone)]
pub(super) struct Parts {
    pub agent: Arc<dyn Agent>,
    pub context: Arc<Context>,
    pub layers: Arc<[Arc<dyn Layer>]>,
}

/// So long a start waits for room on a full disk.
const ROOM_TIME: Duration = Duration::from_secs(20);

/// Servers that do not end in this time are left to the system.
const CLEANUP_TIME: Duration = Duration::from_secs(10);

impl Life {
    pub fn new(
        spec: Arc<ProcessSpec>,
        surroundings: Surroundings,
        past: &Past,
        resting: Resting,
        shown: watch::Sender<Shown>,
        restarts: u32,
    ) -> Self {
        let now = surroundings.clock.now();
        Self {
            spec,
            clock: surroundings.clock,
            gate: surroundings.gate,
            pace: Pace::new(&resting.reception.fold),
            reception: resting.reception,
            listeners: Listeners::default(),
            before: resting.listeners,
            runs: JoinSet::new(),
            ends: Ends::default(),
            busy: BTreeSet::new(),
            waiting: BTreeSet::new(),
            doubted: BTreeSet::new(),
            cancel: CancellationToken::new(),
            cut: CancellationToken::new(),
            pause: still_paused(past),
            last_work: now,
            had_success: false,
            due_done: DateTime::<Utc>::MIN_UTC,
            parts: None,
            started_at: now,
            last_heartbeat: now,
            restarts,
            shown,
            on_stop: None,
        }
    }

    /// The clock's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Hears what others say from here on. What else wakes it may be brought about by what is not built yet.
    pub async fn listen(&mut self, triggers: Vec<Box<dyn Trigger>>) -> Result<(), String> {
        self.listeners = Listeners::open(triggers, &self.reception.fold, &self.reception.sink).await?;
        // What both have heard is known by its key.
        drop(self.before.take());
        Ok(())
    }

    /// How many runs are on, or have an end that was not seen to.
    pub fn under_way(&self) -> usize {
        self.runs.len() + self.ends.len()
    }

    /// Moves to `to`, unless the process is there already.
    pub fn move_to(&mut self, to: LifecycleState, reason: &str) -> Result<(), String> {
        let from = self.reception.fold.state;
        if from == to {
            return Ok(());
        }
        from.next(to).map_err(|error| error.to_string())?;
        self.reception.push(transition(from, to, reason))?;
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
        let entries_replayed = past.fold.entries;
        self.reception.push(Entry::Recovered { entries_replayed, interrupted, pending_events: pending })
    }

    /// Gives the context its past, opens the other triggers, and is up.
    pub async fn take_parts(&mut self, built: Built) -> Result<(), String> {
        self.on_stop = built.on_stop;
        for change in self.reception.fold.state_history.values().flatten() {
            built.context.state().apply(change);
        }
        for past in &self.reception.fold.exchanges {
            let user = past.event.prompt(&flyball_core_agent::short_hash(past.run.0.as_bytes()));
            let exchange = Exchange { id: past.run.0.clone(), user, reply: past.reply.clone() };
            built.context.finish(exchange, &[]).await;
        }
        self.listeners.open_rest(&self.reception.fold, &self.reception.sink).await?;
        self.parts = Some(Parts { agent: built.agent, context: built.context, layers: built.layers.into() });
        match self.pause.clone() {
            Some(pause) => self.move_to(LifecycleState::Suspended, &pause.why)?,
            None => self.move_to(LifecycleState::Awaiting, "up, waiting for a trigger")?,
        }
        // Whoever is told that the process is up must find it so in the journal. That the disk is full for a
        // moment is no reason not to come up: what others say is heard by now, and would be lost.
        let appended = append_patiently(&*self.reception.journal, Vec::new(), &self.cancel);
        let appended = tokio::select! {
            biased;
            appended = appended => appended,
            () = tokio::time::sleep(ROOM_TIME) => self.reception.journal.append(Vec::new()).await,
        };
        appended.map(drop).map_err(|error| error.to_string())
    }

    /// Says that the loop is well.
    pub fn heartbeat(&mut self) {
        self.last_heartbeat = self.now();
    }

    /// How long this life has lasted.
    pub fn age(&self) -> chrono::TimeDelta {
        self.now() - self.started_at
    }

    /// It did not come up: records why. What others say is still heard, if it was.
    pub async fn not_up(&mut self, unstarted: &Unstarted) {
        self.listeners.stop(true).await;
        let recorded = match unstarted {
            Unstarted::Failed(why) => self.end(LifecycleState::Failed, why).await,
            Unstarted::Stopped(_) => {
                let _ = self.move_to(LifecycleState::Stopping, ASKED_TO_STOP);
                self.end(LifecycleState::Stopped, ASKED_TO_STOP).await
            }
        };
        if let Err(error) = recorded {
            tracing::error!(%error, "that the process is not up could not be recorded");
        }
    }

    /// Records the last state durably, lets the parts go, and shows it.
    pub async fn end(&mut self, state: LifecycleState, reason: &str) -> Result<(), String> {
        self.parts = None;
        if let Some(on_stop) = self.on_stop.take()
            && tokio::time::timeout(CLEANUP_TIME, on_stop).await.is_err()
        {
            tracing::warn!("letting the process's parts go took too long and was given up");
        }
        let moved = self.move_to(state, reason);
        let durable = self.reception.journal.append(Vec::new()).await.map_err(|error| error.to_string());
        if moved.is_err() || durable.is_err() {
            // The journal is gone; at least whoever looks is told.
            self.reception.fold.state = state;
            self.reception.fold.reason = reason.to_owned();
        }
        self.publish();
        moved.and(durable.map(drop))
    }

    /// What is left when it has ended.
    pub fn rest(self) -> Resting {
        let listeners = self.before.or(Some(self.listeners));
        Resting { reception: self.reception, listeners }
    }

    /// Shows what the process is doing.
    pub fn publish(&mut self) {
        let listening = self.listeners.listening(&self.reception);
        let base = self.status();
        let layers: Arc<[Arc<dyn Layer>]> =
            self.parts.as_ref().map_or_else(|| Arc::new([]) as _, |parts| Arc::clone(&parts.layers));
        self.shown.send_modify(|shown| {
            if layers.is_empty() && !shown.layers.is_empty() {
                // What a life's layers said last is still worth showing when it is over.
                shown.layers_said = said(&shown.layers);
            }
            let layers_said = std::mem::take(&mut shown.layers_said);
            *shown = Shown { base, layers, layers_said, listening };
        });
    }

    fn status(&self) -> ProcessStatus {
        let fold = &self.reception.fold;
        let alive = fold.state.is_alive();
        let held = fold.open_runs.iter().filter_map(|(run, open)| Some((run.0.clone(), json!(open.held.as_ref()?))));
        ProcessStatus {
            name: self.spec.name.clone(),
            process_id: self.spec.process_id(),
            state: fold.state,
            reason: fold.reason.clone(),
            invocation_count: fold.invocation_count,
            consecutive_failures: fold.consecutive_failures,
            restart_count: self.restarts,
            given_up: false,
            // Whether there is another life is not known in this one.
            over: false,
            started_at: alive.then_some(self.started_at),
            uptime_seconds: 0.0,
            last_heartbeat: Some(self.last_heartbeat),
            pending_events: fold.open_events.len().saturating_sub(self.busy.len()),
            events: fold.events,
            open_events: fold.open_events.len(),
            disk_full: self.reception.journal.is_full(),
            active_runs: self.under_way(),
            held_runs: held.collect(),
            triggers: Vec::new(),
            layers: Map::new(),
        }
    }
}
