//! What became of an event, where somebody asks by its id.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use flyball_core_agent::RunId;
use flyball_journal::{Entry, Record};
use serde::Serialize;

use super::letter::about;
use crate::cli::past::short;
use crate::cli::times::instant;

/// An event as one process has it.
#[derive(Debug, PartialEq, Serialize)]
pub struct Taken {
    process: String,
    /// The record that took it in, if it is still there.
    seq: Option<u64>,
    at: Option<DateTime<Utc>>,
    /// The newest run that handles it.
    pub run: Option<RunId>,
    /// It waited for longer than it may: what was recorded.
    expired: Option<String>,
}

/// The event with this id in each process that took it in. `records` are those that
/// [`History::of_event`](flyball_journal::History::of_event) has of it, and maybe others.
pub fn taken(event_id: &str, records: &[Record]) -> Vec<Taken> {
    let mut by_process: BTreeMap<&str, Taken> = BTreeMap::new();
    for record in records.iter().filter(|record| about(&record.entry) == Some(event_id)) {
        let process = record.process.clone();
        let nothing = Taken { process, seq: None, at: None, run: None, expired: None };
        let taken = by_process.entry(&record.process).or_insert(nothing);
        match &record.entry {
            Entry::TriggerEvent { .. } => (taken.seq, taken.at) = (Some(record.seq), Some(record.at)),
            Entry::InvocationStart { run, .. } => taken.run = Some(run.clone()),
            Entry::Expired { why, .. } => taken.expired = Some(why.clone()),
            _ => {}
        }
    }
    by_process.into_values().collect()
}

impl Taken {
    /// It, for people.
    pub fn line(&self) -> String {
        let then = match (&self.expired, &self.run) {
            (Some(why), _) => format!("it is given up: {}", short(why)),
            (None, Some(run)) => format!("run {run} handles it"),
            (None, None) => "it waits: no run has begun for it".to_owned(),
        };
        let at = self.at.map(|at| format!(" at {}", instant(at))).unwrap_or_default();
        let seq = self.seq.map(|seq| format!("#{seq} ")).unwrap_or_default();
        format!("{seq}{} took it in{at}; {then}", self.process)
    }
}
