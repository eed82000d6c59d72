//! What a process is, as the fold of its records. Recovery and live operation use this one function.

mod events;
mod runs;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use flyball_core_agent::{Change, Directive, RunId, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::dedup::{Dedup, MAX_DEDUP_KEYS, Recalled};
use crate::tape::LeftCall;
use crate::{Entry, IDLE, Journal, LifecycleState, Record, TOO_OLD};

pub use events::{DeadLetter, EventCounts, MAX_DEAD_LETTERS, TriggerFold};
pub use runs::OpenRun;
use window::Weigh;
pub use window::Window;

/// The state of one process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessFold {
    /// Where it is in its life.
    pub state: LifecycleState,
    /// Why it is there.
    pub reason: String,
    /// Runs that came to an end, whether well or not.
    pub invocation_count: u64,
    /// Runs in a row that failed for good, since the process was last started anew.
    pub consecutive_failures: u32,
    /// Why no new run may begin, and until when, if that is so.
    pub pause: Option<Pause>,
    /// Events that were taken in and have no end yet, by the number of the record that took them in.
    #[serde(with = "pairs")]
    pub open_events: BTreeMap<u64, TriggerEvent>,
    /// Runs that began and have no end yet.
    pub open_runs: BTreeMap<RunId, OpenRun>,
    /// What became of all events so far.
    pub events: EventCounts,
    /// Events whose runs failed for good, oldest first, until someone sees to them.
    pub dead_letters: Window<DeadLetter>,
    /// Where each trigger stands, by its id.
    pub triggers: BTreeMap<String, TriggerFold>,
    /// Open events whose runs may have lost a step with a torn end of the journal.
    pub doubtful: BTreeSet<String>,
    /// The last writes of each key of the agent's state, oldest first.
    pub state_history: BTreeMap<String, VecDeque<Change>>,
    /// The last exchanges, oldest first.
    pub exchanges: Window<Exchange>,
    /// How many records were folded.
    pub entries: u64,
    checkpoint_at: u64,
    dedup: Dedup,
    /// How often an open event was taken from the dead letters.
    redeliveries: BTreeMap<String, u32>,
    /// Of doubtful events: the record that says so, and the first turn after it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    doubtful_since: BTreeMap<String, (u64, Option<u32>)>,
}

/// A process starts no new run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// For the operator.
    pub why: String,
    /// When it ends by itself.
    pub until: Option<DateTime<Utc>>,
}

impl Pause {
    /// Whether a pause that ends by itself at `end` lasts when another one is wanted `until` then: one that must be
    /// ended by somebody outlasts every one that ends by itself.
    pub fn lasts(end: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> bool {
        until.is_some_and(|until| end.is_none_or(|end| end >= until))
    }
}

/// An event and what the agent said to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// So many bytes of exchanges are kept. A model reads far less than that of its past.
const MAX_EXCHANGE_BYTES: usize = 16 << 20;

/// Writes that are kept of each key.
pub const MAX_HISTORY: usize = 100;

impl ProcessFold {
    /// The state after all of `records`.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        Self::remembering(MAX_DEDUP_KEYS, records)
    }

    /// The same, and it remembers `dedup_keys` keys, and not [`MAX_DEDUP_KEYS`].
    pub fn remembering<'a>(dedup_keys: usize, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut fold = Self { dedup: Dedup::default().limited(dedup_keys), ..Self::default() };
        for record in records {
            fold.apply(record.seq, record.at, &record.entry);
        }
        fold
    }

    /// Whether `event` was taken in before, within [`DEDUP_WINDOW`](crate::DEDUP_WINDOW). Where this does not
    /// reach so far back, `journal`, which is the process's own, is asked; that may read a record.
    pub fn recall(&self, event: &TriggerEvent, journal: &dyn Journal) -> Recalled {
        self.prepare_recall(journal);
        match self.seen(event) {
            Some(first) => Recalled::As(first.to_owned()),
            None if self.dedup.is_full(event.timestamp) => journal.recall(event, self.dedup.reaches_back_to()),
            None => Recalled::Never,
        }
    }

    /// Tells `journal` where it will soon be asked, so that by then it can answer, and where it is by now.
    pub fn prepare_recall(&self, journal: &dyn Journal) {
        if self.dedup.is_half_full() {
            journal.prepare_recall();
        }
        if let Some(until) = self.dedup.full_until() {
            journal.rely_on_recall(until);
        }
    }

    /// The id under which an event with the key of `event` was taken in by its trigger, within the window before
    /// it, if that is remembered.
    pub fn seen(&self, event: &TriggerEvent) -> Option<&str> {
        self.dedup.seen(&event.trigger_id, event.key(), event.timestamp)
    }

    /// How many dedup keys are remembered.
    pub fn dedup_keys(&self) -> usize {
        self.dedup.len()
    }

    /// How many records the newest checkpoint stands for; 0 without one.
    pub fn checkpoint_at(&self) -> u64 {
        self.checkpoint_at
    }

    /// The agent's state: each key's last write. What a manifest says of a state's start is not in it.
    pub fn context_state(&self) -> Map<String, Value> {
        let last = |(key, writes): (&String, &VecDeque<Change>)| Some((key.clone(), writes.back()?.value.clone()));
        self.state_history.iter().filter_map(last).collect()
    }

    /// The same, and it remembers no more than `dedup_keys` keys.
    pub fn limited(mut self, dedup_keys: usize) -> Self {
        self.dedup = self.dedup.limited(dedup_keys);
        self
    }

    /// Moves on by one record.
    pub fn apply(&mut self, seq: u64, at: DateTime<Utc>, entry: &Entry) {
        self.take(seq, at, entry.clone());
    }

    /// Moves on by one record that nobody else needs.
    pub fn take(&mut self, seq: u64, at: DateTime<Utc>, entry: Entry) {
        self.entries += 1;
        match entry {
            Entry::StateTransition { from_state, to_state, reason } => {
                // One that is started anew may fail as often as at first; a crash gives no such pardon.
                if from_state.is_over() {
                    self.consecutive_failures = 0;
                }
                self.move_to(to_state, reason);
            }
            Entry::TriggerEvent { event, cursor } => self.take_in(seq, event, cursor),
            Entry::TriggerMoved { trigger_id, cursor, skipped, why } => self.trigger(&trigger_id).moved(cursor, skipped, why),
            Entry::Expired { event_id, .. } => self.expire(&event_id),
            Entry::Redelivered { event_id, .. } => self.redeliver(seq, &event_id),
            Entry::Dismissed { event_id, .. } => self.dismiss(&event_id),
            Entry::TailLost { events, .. } => self.doubt(seq, &events),
            Entry::InvocationStart { run, event_id, attempt, .. } => self.begin(run, event_id, attempt),
            Entry::ModelReply { run, step, reply } => {
                self.tape(&run, |tape| tape.set_reply(&step, &reply));
                self.doubt_no_more(seq, &run, &step);
            }
            Entry::ToolCall { run, step, attempt, tool, args, effect, .. } => {
                self.tape(&run, |tape| tape.set_intent(&step, attempt, effect, LeftCall { seq, at, tool, args }));
            }
            Entry::ToolResult { run, step, reply, .. } => self.tape(&run, |tape| tape.set_result(&step, &reply)),
            Entry::InvocationHeld { run, why } => self.hold(&run, &why),
            Entry::Settled { run, event_id, step, decision, .. } => self.settle(&run, &event_id, &step, &decision),
            Entry::InvocationResult { run, event_id, outcome, changes } => {
                self.write(changes);
                if let Some(event) = self.end(&run, &event_id) {
                    self.events.completed += 1;
                    self.remember(Exchange { event, run, reply: outcome.reply, at });
                }
                self.invocation_count += 1;
                self.consecutive_failures = 0;
                if let Directive::Pause { why, until } = outcome.directive
                    && !self.pause.as_ref().is_some_and(|pause| Pause::lasts(pause.until, until))
                {
                    self.pause = Some(Pause { why, until });
                }
            }
            Entry::Error { run, event_id, error, last: true, .. } => {
                self.bury(run, &event_id, error, at);
                self.invocation_count += 1;
                self.consecutive_failures += 1;
            }
            Entry::Error { run, retry_at, last: false, .. } => self.fail(&run, retry_at),
            Entry::ContextUpdate { changes } => self.write(changes),
            Entry::Checkpoint { fold, .. } => {
                let entries = self.entries.max(fold.entries + 1);
                let limit = self.dedup.limit();
                *self = Self { entries, checkpoint_at: entries, ..*fold };
                self.dedup = std::mem::take(&mut self.dedup).limited(limit);
                // The record stays as it is: what comes now is not put on its tapes.
                self.open_runs.values_mut().for_each(|open| open.tape = open.tape.copy());
            }
            Entry::Note { .. } | Entry::Carried { .. } | Entry::Recovered { .. } => {}
        }
    }

    fn move_to(&mut self, to: LifecycleState, reason: String) {
        self.state = to;
        let idle = self.pause.as_ref().is_some_and(|pause| pause.why == IDLE);
        match to {
            // An event woke it.
            LifecycleState::Running if idle => self.pause = None,
            LifecycleState::Suspended if self.pause.is_none() => {
                self.pause = Some(Pause { why: reason.clone(), until: None });
            }
            // One that is started anew because of its age was not told that its pause is over.
            LifecycleState::Stopped if reason == TOO_OLD => {}
            // A process that was told to stop, or waits for work, is paused no more.
            LifecycleState::Awaiting | LifecycleState::Stopped => self.pause = None,
            _ => {}
        }
        self.reason = reason;
        if to.is_over() || to == LifecycleState::Stopping {
            self.excuse_runs();
        }
    }

    fn write(&mut self, changes: Vec<Change>) {
        for change in changes {
            let writes = match self.state_history.get_mut(&change.key) {
                Some(writes) => writes,
                None => self.state_history.entry(change.key.clone()).or_default(),
            };
            writes.push_back(change);
            if writes.len() > MAX_HISTORY {
                writes.pop_front();
            }
        }
    }

    fn remember(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange, MAX_EXCHANGES, MAX_EXCHANGE_BYTES);
    }
}

impl Weigh for Exchange {
    fn weight(&self) -> usize {
        crate::weight(&self.event) + self.reply.len()
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A map with numbers for keys as a list of pairs: inside a tagged enum JSON's string keys do not
/// turn into numbers again.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer, V: Serialize>(map: &BTreeMap<u64, V>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, D: Deserializer<'de>, V: Deserialize<'de>>(deserializer: D) -> Result<BTreeMap<u64, V>, D::Error> {
        Ok(Vec::<(u64, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use flyball_core_agent::{Reply, StepId};

    use super::*;

    #[test]
    fn folding_on_from_a_checkpoint_leaves_its_record_as_it_was() {
        let run = RunId("r".into());
        let mut fold = ProcessFold::default();
        fold.apply(
            1,
            DateTime::UNIX_EPOCH,
            &Entry::InvocationStart { run: run.clone(), event_id: "e".into(), attempt: 1, again: None },
        );
        let checkpoint = Entry::Checkpoint { fold: Box::new(fold), layers: Map::new() };
        let before = serde_json::to_string(&checkpoint).expect("written");
        let says = Entry::ModelReply { run, step: StepId::turn(0), reply: Reply::say("hello") };
        for _ in 0..2 {
            let mut fold = ProcessFold::default();
            fold.apply(2, DateTime::UNIX_EPOCH, &checkpoint);
            fold.apply(3, DateTime::UNIX_EPOCH, &says);
            assert_eq!(serde_json::to_string(&checkpoint).expect("written"), before);
        }
    }

    #[test]
    fn what_a_torn_end_cost_is_in_doubt_until_a_later_turn_begins() {
        let (run, at) = (RunId("r".into()), DateTime::UNIX_EPOCH);
        let event = TriggerEvent { event_id: "e".into(), ..TriggerEvent::new("t", "manual", at, Value::Null) };
        let begun = Entry::InvocationStart { run: run.clone(), event_id: "e".into(), attempt: 1, again: None };
        let says = |turn| Entry::ModelReply { run: run.clone(), step: StepId::turn(turn), reply: Reply::say("go on") };
        let lost = Entry::TailLost { why: "torn".into(), events: vec!["e".into()] };
        let mut fold = ProcessFold::default();
        let entries = [Entry::accepted(event), begun, says(0), lost, says(1), says(2)];
        let doubtful = (1..).zip(&entries).map(|(seq, entry)| {
            fold.apply(seq, at, entry);
            fold.doubtful.len()
        });
        assert_eq!(doubtful.collect::<Vec<_>>(), [0, 0, 0, 1, 1, 0]);
    }
}
