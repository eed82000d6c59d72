//! What an operator made of a run's event when the run had failed for good, and whether a run is of his making.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use flyball_core_agent::RunId;
use flyball_journal::history::RunSummary;
use flyball_journal::{Entry, Record};
use serde::Serialize;

use crate::cli::past::short;

/// An operator's part in a run.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Letter {
    /// The run is there because he had its event handled once more, after this run had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<Word>,
    /// What he made of its event after it had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_to: Option<Word>,
}

/// What an operator said of a dead letter.
#[derive(Debug, PartialEq, Serialize)]
struct Word {
    /// The record.
    seq: u64,
    at: DateTime<Utc>,
    /// Once more, and not given up.
    again: bool,
    note: String,
    /// The run before it, or the one that came of it, where there is one.
    run: Option<RunId>,
}

impl Letter {
    /// Of `run`. `records` are those that [`History::of_event`](flyball_journal::History::of_event) has of its event.
    pub fn of(run: &RunSummary, records: &[Record]) -> Self {
        let of_event = |record: &&Record| record.process == run.process && about(&record.entry) == Some(&run.event_id);
        let records = || records.iter().filter(of_event);
        let mut seen = BTreeSet::new();
        let begun: Vec<(u64, &RunId)> = records()
            .filter_map(|record| match &record.entry {
                Entry::InvocationStart { run: begun, .. } => Some((record.seq, begun)),
                _ => None,
            })
            .filter(|(_, begun)| seen.insert(*begun))
            .collect();
        let own = begun.iter().position(|(_, begun)| **begun == run.run);
        let before = own.and_then(|own| begun.get(own.checked_sub(1)?)).copied();
        let after = own.and_then(|own| begun.get(own + 1)).copied();
        let said = |from: u64, to: u64, run: Option<&RunId>| {
            let between = records().filter(|record| record.seq > from && record.seq < to);
            between.filter_map(|record| word(record, run)).next_back()
        };
        Self {
            retry_of: before.and_then(|(seq, before)| said(seq, run.seq, Some(before))),
            seen_to: said(run.seq, after.map_or(u64::MAX, |(seq, _)| seq), after.map(|(_, run)| run)),
        }
    }

    /// Why the run is there.
    pub fn because(&self) -> Option<String> {
        let Word { seq, note, run, .. } = self.retry_of.as_ref()?;
        let failed = run.as_ref().map(|run| format!(" after run {run} had failed")).unwrap_or_default();
        Some(format!("  #{seq} an operator has the event handled once more{failed}{}", noted(note)))
    }

    /// What came of its failing.
    pub fn then(&self) -> Option<String> {
        let Word { seq, again, note, run, .. } = self.seen_to.as_ref()?;
        let note = noted(note);
        Some(match (again, run) {
            (false, _) => format!("  #{seq} an operator gives the event up{note}"),
            (true, Some(run)) => format!("  #{seq} an operator has the event handled once more, in run {run}{note}"),
            (true, None) => format!("  #{seq} an operator has the event handled once more, and no run has begun yet{note}"),
        })
    }
}

fn word(record: &Record, run: Option<&RunId>) -> Option<Word> {
    let (again, note) = match &record.entry {
        Entry::Redelivered { note, .. } => (true, note),
        Entry::Dismissed { note, .. } => (false, note),
        _ => return None,
    };
    Some(Word { seq: record.seq, at: record.at, again, note: note.clone(), run: run.cloned() })
}

fn noted(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({})", short(note)) }
}

/// The event whose way a record tells of.
pub fn about(entry: &Entry) -> Option<&str> {
    match entry {
        Entry::TriggerEvent { event, .. } => Some(&event.event_id),
        Entry::InvocationStart { event_id, .. }
        | Entry::Expired { event_id, .. }
        | Entry::Redelivered { event_id, .. }
        | Entry::Dismissed { event_id, .. } => Some(event_id),
        _ => None,
    }
}
