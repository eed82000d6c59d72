//! What a process is, as the fold of its records. Recovery and live operation use this one function.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use flyball_core_agent::{Change, RunId, TriggerEvent};

use crate::tape::Tape;
use crate::{Entry, LifecycleState, Record};

/// The state of one process.
#[derive(Debug, Clone, Default)]
pub struct ProcessFold {
    /// Where it is in its life.
    pub state: LifecycleState,
    /// Why it is there.
    pub reason: String,
    /// Runs that came to an end, whether well or not.
    pub invocation_count: u64,
    /// Runs in a row that failed for good.
    pub consecutive_failures: u32,
    /// Events that were taken in and have no end yet, by the number of the record that took them in.
    pub open_events: BTreeMap<u64, TriggerEvent>,
    /// Runs that began and have no end yet.
    pub open_runs: BTreeMap<RunId, OpenRun>,
    /// Every write to the agent's state, in order.
    pub changes: Vec<Change>,
    /// The last exchanges, oldest first.
    pub exchanges: VecDeque<Exchange>,
    /// How many records were folded.
    pub entries: u64,
    seen: HashMap<(String, String), String>,
    seen_order: VecDeque<(String, String)>,
}

/// A run without an end.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// The event it handles.
    pub event_id: String,
    /// How often it was begun.
    pub attempt: u32,
    /// What it waits for, if it is held.
    pub held: Option<String>,
    /// Its steps so far.
    pub tape: Tape,
}

/// An event and what the agent said to it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The event.
    pub event: TriggerEvent,
    /// The run that handled it.
    pub run: RunId,
    /// The agent's final words.
    pub reply: String,
    /// When it ended.
    pub at: DateTime<Utc>,
}

/// Exchanges that are kept; a conversation buffer cannot be longer.
pub const MAX_EXCHANGES: usize = 1_000;

/// Dedup keys that are kept per process. The oldest go first; a source that repeats itself does so
/// within hours, and this many events lie between.
pub const MAX_DEDUP_KEYS: usize = 100_000;

impl ProcessFold {
    /// The state after all of `records`.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut fold = Self::default();
        for record in records {
            fold.apply(record.seq, record.at, &record.entry);
        }
        fold
    }

    /// The id under which an event with this key was taken in by this trigger, if one was.
    pub fn seen(&self, trigger_id: &str, key: &str) -> Option<&str> {
        self.seen.get(&(trigger_id.to_owned(), key.to_owned())).map(String::as_str)
    }

    /// Moves on by one record.
    pub fn apply(&mut self, seq: u64, at: DateTime<Utc>, entry: &Entry) {
        self.entries += 1;
        match entry {
            Entry::StateTransition { to_state, reason, .. } => {
                self.state = *to_state;
                self.reason.clone_from(reason);
            }
            Entry::TriggerEvent { event } => self.take_in(seq, event),
            Entry::InvocationStart { run, event_id, attempt } => self.begin(run, event_id, *attempt),
            Entry::ModelReply { run, step, reply } => self.tape(run, |tape| tape.set_reply(step, reply)),
            Entry::ToolCall { run, step, attempt, .. } => self.tape(run, |tape| tape.set_intent(step, *attempt)),
            Entry::ToolResult { run, step, reply, .. } => self.tape(run, |tape| tape.set_result(step, reply)),
            Entry::InvocationHeld { run, why } => {
                if let Some(open) = self.open_runs.get_mut(run) {
                    open.held = Some(why.clone());
                }
            }
            Entry::InvocationResult { run, event_id, outcome, changes } => {
                self.changes.extend(changes.iter().cloned());
                if let Some(event) = self.end(run, event_id) {
                    self.remember(Exchange { event, run: run.clone(), reply: outcome.reply.clone(), at });
                }
                self.invocation_count += 1;
                self.consecutive_failures = 0;
            }
            Entry::Error { run, event_id, last, .. } => {
                if *last {
                    self.end(run, event_id);
                    self.invocation_count += 1;
                    self.consecutive_failures += 1;
                }
            }
            Entry::ContextUpdate { changes } => self.changes.extend(changes.iter().cloned()),
            Entry::Note { .. } | Entry::Recovered { .. } => {}
        }
    }

    fn take_in(&mut self, seq: u64, event: &TriggerEvent) {
        self.open_events.insert(seq, event.clone());
        let key = (event.trigger_id.clone(), event.key().to_owned());
        if self.seen.insert(key.clone(), event.event_id.clone()).is_none() {
            self.seen_order.push_back(key);
        }
        if self.seen_order.len() > MAX_DEDUP_KEYS
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    fn begin(&mut self, run: &RunId, event_id: &str, attempt: u32) {
        let open = self.open_runs.entry(run.clone()).or_insert_with(|| OpenRun {
            event_id: event_id.to_owned(),
            attempt,
            held: None,
            tape: Tape::default(),
        });
        open.attempt = attempt;
        open.held = None;
    }

    fn tape(&mut self, run: &RunId, record: impl FnOnce(&Tape)) {
        if let Some(open) = self.open_runs.get(run) {
            record(&open.tape);
        }
    }

    fn end(&mut self, run: &RunId, event_id: &str) -> Option<TriggerEvent> {
        self.open_runs.remove(run);
        let seq = self.open_events.iter().find(|(_, event)| event.event_id == event_id).map(|(seq, _)| *seq)?;
        self.open_events.remove(&seq)
    }

    fn remember(&mut self, exchange: Exchange) {
        self.exchanges.push_back(exchange);
        if self.exchanges.len() > MAX_EXCHANGES {
            self.exchanges.pop_front();
        }
    }
}
