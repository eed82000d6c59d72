//! What becomes of events: every one that is taken in ends in one of four ways, or waits.

use chrono::{DateTime, Utc};
use flyball_core_agent::{RunId, StepId, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ProcessFold;
use super::window::Weigh;

/// What became of all events of a process so far. `accepted` is the sum of the others and of those that
/// are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventCounts {
    /// Taken in.
    pub accepted: u64,
    /// Handled to the end.
    pub completed: u64,
    /// Failed for good, and not seen to by anyone.
    pub dead_lettered: u64,
    /// Given up by an operator.
    pub cancelled: u64,
    /// Waited longer than they may.
    pub expired: u64,
}

/// An event whose run failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The event.
    pub event: TriggerEvent,
    /// Its last run.
    pub run: RunId,
    /// Why it failed.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How often it was taken from the dead letters before. Each time it has a run of its own.
    #[serde(default, skip_serializing_if = "crate::fold::is_zero")]
    pub redeliveries: u32,
}

/// Where a trigger stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TriggerFold {
    /// What it must find again at the next start.
    pub cursor: Map<String, Value>,
    /// How much it let pass.
    pub skipped: u64,
    /// Why, the last time.
    pub last_skip: String,
}

/// Dead letters that are kept to be handled again; beyond that the oldest leave the list. They stay in
/// the journal for as long as it goes back.
pub const MAX_DEAD_LETTERS: usize = 1_000;

/// The same for the bytes of their events: as many as may wait to be handled.
const MAX_DEAD_LETTER_BYTES: usize = 64 << 20;

impl EventCounts {
    /// How many came to an end.
    pub fn ended(&self) -> u64 {
        self.completed + self.dead_lettered + self.cancelled + self.expired
    }
}

impl TriggerFold {
    pub(super) fn moved(&mut self, cursor: Map<String, Value>, skipped: u64, why: String) {
        for (key, value) in cursor {
            if value.is_null() {
                self.cursor.remove(&key);
            } else {
                self.cursor.insert(key, value);
            }
        }
        self.skipped += skipped;
        if skipped > 0 {
            self.last_skip = why;
        }
    }
}

impl Weigh for DeadLetter {
    fn weight(&self) -> usize {
        crate::weight(&self.event) + self.reason.len()
    }
}

impl ProcessFold {
    /// The open event with this id.
    pub fn open_event(&self, event_id: &str) -> Option<&TriggerEvent> {
        self.open_events.values().find(|event| event.event_id == event_id)
    }

    /// How often this open event was taken from the dead letters.
    pub fn redeliveries(&self, event_id: &str) -> u32 {
        self.redeliveries.get(event_id).copied().unwrap_or(0)
    }

    pub(super) fn trigger(&mut self, trigger_id: &str) -> &mut TriggerFold {
        self.triggers.entry(trigger_id.to_owned()).or_default()
    }

    pub(super) fn take_in(&mut self, seq: u64, event: TriggerEvent, cursor: Map<String, Value>) {
        self.events.accepted += 1;
        // The trigger's own time: the same live and in recovery, whatever clock the log has.
        self.dedup.remember(&event.trigger_id, event.key(), &event.event_id, event.timestamp, seq);
        if !cursor.is_empty() {
            self.trigger(&event.trigger_id).moved(cursor, 0, String::new());
        }
        self.open_events.insert(seq, event);
    }

    /// The event is open no more.
    pub(super) fn close_event(&mut self, event_id: &str) -> Option<TriggerEvent> {
        let seq = self.open_events.iter().find(|(_, event)| event.event_id == event_id).map(|(seq, _)| *seq)?;
        self.doubtful.remove(event_id);
        self.doubtful_since.remove(event_id);
        self.redeliveries.remove(event_id);
        self.open_events.remove(&seq)
    }

    pub(super) fn bury(&mut self, run: RunId, event_id: &str, reason: String, at: DateTime<Utc>) {
        let redeliveries = self.redeliveries(event_id);
        if let Some(event) = self.end(&run, event_id) {
            self.events.dead_lettered += 1;
            let letter = DeadLetter { event, run, reason, at, redeliveries };
            self.dead_letters.push(letter, MAX_DEAD_LETTERS, MAX_DEAD_LETTER_BYTES);
        }
    }

    pub(super) fn expire(&mut self, event_id: &str) {
        if self.close_event(event_id).is_some() {
            self.events.expired += 1;
        }
    }

    pub(super) fn redeliver(&mut self, seq: u64, event_id: &str) {
        if let Some(letter) = self.take_dead(event_id) {
            self.redeliveries.insert(event_id.to_owned(), letter.redeliveries + 1);
            self.open_events.insert(seq, letter.event);
        }
    }

    pub(super) fn dismiss(&mut self, event_id: &str) {
        if self.take_dead(event_id).is_some() {
            self.events.cancelled += 1;
        }
    }

    fn take_dead(&mut self, event_id: &str) -> Option<DeadLetter> {
        let place = self.dead_letters.iter().position(|letter| letter.event.event_id == event_id)?;
        self.events.dead_lettered -= 1;
        self.dead_letters.remove(place)
    }

    pub(super) fn doubt(&mut self, seq: u64, events: &[String]) {
        let open: Vec<String> = events.iter().filter(|id| self.open_event(id).is_some()).cloned().collect();
        self.doubtful_since.extend(open.iter().map(|event_id| (event_id.clone(), (seq, None))));
        self.doubtful.extend(open);
    }

    /// The second turn that begins after an end of the journal was lost: what was lost was of the one before, and has
    /// been made up for. Steps may be put on the tapes later than their records stand, so by the record's number.
    pub(super) fn doubt_no_more(&mut self, seq: u64, run: &RunId, step: &StepId) {
        if self.doubtful_since.is_empty() {
            return;
        }
        let (Some(open), Some(turn)) = (self.open_runs.get(run), step.turn_number()) else { return };
        let Some((_, first)) = self.doubtful_since.get_mut(&open.event_id).filter(|(lost, _)| *lost < seq) else { return };
        if turn > *first.get_or_insert(turn) {
            self.doubtful_since.remove(&open.event_id);
            self.doubtful.remove(&open.event_id);
        }
    }
}
