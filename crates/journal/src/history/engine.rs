//! What a process would come back as, worked out without starting it.

use std::path::Path;

use flyball_core_agent::{Change, RunId, short_hash};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Entry, Error, LifecycleState, ProcessFold, Record};

/// Reconstructs processes from a journal. It changes nothing and calls nobody.
#[derive(Debug, Clone)]
pub struct ReplayEngine {
    records: Vec<Record>,
}

/// A process as its journal has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recovered {
    /// Its name.
    pub process: String,
    /// Its id.
    pub process_id: String,
    /// The agent's state: each key's last write.
    pub context_state: Map<String, Value>,
    /// Where it was in its life.
    pub lifecycle_state: LifecycleState,
    /// Why it was there.
    pub reason: String,
    /// How many records say so.
    pub entries_replayed: u64,
    /// The last record's kind.
    pub last_entry_type: String,
    /// Runs that began and have no end.
    pub open_runs: Vec<RunId>,
    /// Events that were taken in and have no end.
    pub pending_events: usize,
    /// Runs that came to an end.
    pub invocation_count: u64,
    /// Runs in a row that failed for good.
    pub consecutive_failures: u32,
}

/// The id of the process `name`, the same for as long as it is called so.
pub fn process_id(name: &str) -> String {
    format!("proc-{}", short_hash(name.as_bytes()))
}

impl ReplayEngine {
    /// An engine over `records`, of any number of processes, in the order of their journal.
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// An engine over the log in `dir`, which a runtime may own meanwhile. What is damaged is left
    /// out; [`audit`](crate::audit) tells of it. Blocks while it reads.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Ok(Self::new(crate::read(dir)?))
    }

    /// The name that the journal has for a process's name or id.
    pub fn name_of(&self, name_or_id: &str) -> Option<&str> {
        let mut names = self.records.iter().map(|record| record.process.as_str());
        names.find(|name| *name == name_or_id || process_id(name) == name_or_id)
    }

    /// A process's records.
    pub fn records(&self, name_or_id: &str) -> Vec<&Record> {
        let name = self.name_of(name_or_id);
        self.records.iter().filter(|record| Some(record.process.as_str()) == name).collect()
    }

    /// The process with this name or id, if the journal knows it.
    pub fn recover(&self, name_or_id: &str) -> Option<Recovered> {
        let name = self.name_of(name_or_id)?;
        let records = self.records(name);
        let fold = ProcessFold::of(records.iter().copied());
        Some(Recovered {
            process: name.to_owned(),
            process_id: process_id(name),
            context_state: fold.context_state(),
            lifecycle_state: fold.state,
            reason: fold.reason.clone(),
            entries_replayed: fold.entries,
            last_entry_type: records.last()?.entry.kind().to_owned(),
            open_runs: fold.open_runs.into_keys().collect(),
            pending_events: fold.open_events.len(),
            invocation_count: fold.invocation_count,
            consecutive_failures: fold.consecutive_failures,
        })
    }

    /// Every write of `key` in the state of a process, oldest first, as far back as the journal goes.
    pub fn state_history(&self, name_or_id: &str, key: &str) -> Vec<Change> {
        let mut history: Vec<Change> = Vec::new();
        for record in self.records(name_or_id) {
            match &record.entry {
                Entry::InvocationResult { changes, .. } | Entry::ContextUpdate { changes } => {
                    history.extend(changes.iter().filter(|change| change.key == key).cloned());
                }
                // All that is known of what was before the first record that is left.
                Entry::Checkpoint { fold, .. } if history.is_empty() => {
                    history.extend(fold.state_history.get(key).into_iter().flatten().cloned());
                }
                _ => {}
            }
        }
        history
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::{Journal, MemoryJournal};

    fn write(value: u32) -> Entry {
        let at = DateTime::UNIX_EPOCH;
        Entry::ContextUpdate { changes: vec![Change { key: "k".into(), value: json!(value), source: "test".into(), at }] }
    }

    fn records() -> Vec<Record> {
        let journal = MemoryJournal::new("guard");
        let (from_state, to_state) = (LifecycleState::Created, LifecycleState::Starting);
        let moved = Entry::StateTransition { from_state, to_state, reason: "asked".into() };
        for entry in [moved, write(1), write(2)] {
            journal.push(entry).expect("pushed");
        }
        journal.records()
    }

    #[test]
    fn a_process_is_recovered_by_its_name_and_by_its_id() {
        let engine = ReplayEngine::new(records());
        let by_name = engine.recover("guard").expect("it is there");
        assert_eq!(engine.recover(&process_id("guard")), Some(by_name.clone()));
        assert_eq!((by_name.lifecycle_state, by_name.entries_replayed), (LifecycleState::Starting, 3));
        assert_eq!((&by_name.context_state["k"], by_name.last_entry_type.as_str()), (&json!(2), "context_update"));
        assert_eq!(engine.recover("nobody"), None);
    }

    #[test]
    fn a_keys_history_has_every_write_once_with_or_without_checkpoints() {
        let mut records = records();
        let fold = Box::new(ProcessFold::of(&records));
        let entry = Entry::Checkpoint { fold, layers: Map::new() };
        records.push(Record { seq: 4, n: 4, entry, ..records[0].clone() });
        let values = |records: &[Record]| {
            let history = ReplayEngine::new(records.to_vec()).state_history("guard", "k");
            history.into_iter().map(|change| change.value).collect::<Vec<_>>()
        };
        assert_eq!(values(&records), [1, 2]);
        assert_eq!(values(&records[3..]), [1, 2]);
    }
}
