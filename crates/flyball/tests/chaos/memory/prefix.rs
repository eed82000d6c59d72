//! What processes were, after each of their records: whatever is recovered must be one of these.

use std::collections::BTreeMap;

use flyball::core_agent::short_hash;
use flyball::journal::{Entry, ProcessFold, Record};

use super::PROCESSES;

/// The states of each process, in their order, and its records.
pub struct Prefixes {
    by_process: BTreeMap<&'static str, Vec<String>>,
    written: BTreeMap<u64, Record>,
}

impl Prefixes {
    /// Of all that was ever `written`, before and after checkpoints.
    pub fn of(written: Vec<Record>) -> Self {
        let states = |name: &'static str| {
            let records = written.iter().filter(|record| record.process == name);
            let mut fold = ProcessFold::default();
            let mut states = vec![state(&fold)];
            for record in records {
                fold.apply(record.seq, record.at, &record.entry);
                states.push(state(&fold));
            }
            (name, states)
        };
        let by_process = PROCESSES.into_iter().map(states).collect();
        Self { by_process, written: written.into_iter().map(|record| (record.seq, record)).collect() }
    }

    /// How many records of `process` are not there any more in these; the error is that one of them was never
    /// written so, or that they come to something that the process never was.
    pub fn missing(&self, process: &str, records: &[Record]) -> Result<usize, String> {
        // What recovery itself writes down of a torn end has the place of what was lost.
        let mut told = records.iter().filter(|record| !matches!(record.entry, Entry::TailLost { .. }));
        if let Some(other) = told.find(|record| self.written.get(&record.seq) != Some(record)) {
            return Err(format!("{process} is told a record that was never written (P10): {other:?}"));
        }
        let states = &self.by_process[process];
        let found = state(&ProcessFold::of(records));
        // From the end: a state may have been there twice, and the later one is what is hoped for.
        let place = states.iter().rposition(|known| *known == found);
        let place = place.ok_or_else(|| format!("{process} is in a state in which it never was ({} records)", records.len()))?;
        Ok(states.len() - 1 - place)
    }
}

/// A fold's state as one word. Where its records begin, and which runs are in doubt, is left out: that
/// is allowed to be another after damage.
pub fn state(fold: &ProcessFold) -> String {
    let mut state = serde_json::to_value(fold).expect("a fold is plain data");
    for changes_with_recovery in ["entries", "checkpoint_at", "doubtful", "doubtful_since"] {
        state[changes_with_recovery] = serde_json::Value::Null;
    }
    short_hash(state.to_string().as_bytes())
}
