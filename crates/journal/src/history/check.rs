//! Whether a process's records agree with each other.

use std::collections::{BTreeMap, HashMap};

use flyball_core_agent::{Reply, RunId, StepId};
use serde::Serialize;
use serde_json::Value;

use crate::{Decision, Entry, LifecycleState, ProcessFold, Record};

/// A record that does not agree with those before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// The record.
    pub seq: u64,
    /// The run that it is about, if it is about one.
    pub run: Option<RunId>,
    /// What does not fit.
    pub what: String,
}

/// Holds the records of one process against each other, oldest first: every step belongs to a run
/// that had begun and not ended, every result to an intent, every call to a turn that wanted it,
/// every move of the lifecycle to the one before; and every checkpoint must say what the records
/// before it come to when they are folded from the start. In the end, what recovery comes to from the
/// newest checkpoint must be what all records come to.
///
/// Where the oldest records are no longer there, it begins at the first checkpoint.
pub fn check<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Contradiction> {
    let mut checker = Checker::default();
    let mut since_checkpoint = Vec::new();
    for record in records {
        checker.apply(record);
        if matches!(record.entry, Entry::Checkpoint { .. }) {
            since_checkpoint.clear();
        }
        since_checkpoint.push(record);
    }
    checker.finish(&since_checkpoint);
    checker.found
}

#[derive(Default)]
struct Checker {
    found: Vec<Contradiction>,
    /// The fold of everything so far, by its own arithmetic and not by what checkpoints say.
    fold: ProcessFold,
    state: Option<LifecycleState>,
    runs: HashMap<RunId, Seen>,
    /// Older records were given up: what refers to them cannot be checked.
    partial: bool,
    begun: bool,
}

#[derive(Default)]
struct Seen {
    attempt: u32,
    ended: bool,
    turns: HashMap<StepId, Reply>,
    intents: BTreeMap<StepId, u32>,
    results: BTreeMap<StepId, u64>,
}

impl Checker {
    fn apply(&mut self, record: &Record) {
        if !std::mem::replace(&mut self.begun, true) {
            self.partial = record.n > 1;
        }
        if let Entry::Checkpoint { fold, .. } = &record.entry {
            return self.checkpoint(record, fold);
        }
        if let Entry::StateTransition { from_state, to_state, .. } = &record.entry {
            if self.state.is_some_and(|state| state != *from_state) {
                self.report(record, format!("it leaves {from_state}, where the process was not"));
            }
            if let Err(error) = from_state.next(*to_state) {
                self.report(record, error.to_string());
            }
            self.state = Some(*to_state);
        }
        if let Some(what) = self.run(record) {
            self.report(record, what);
        }
        self.fold.apply(record.seq, record.at, &record.entry);
    }

    /// What does not fit in a record of a run.
    fn run(&mut self, record: &Record) -> Option<String> {
        let run = record.entry.run()?;
        if let Entry::InvocationStart { event_id, attempt, .. } = &record.entry {
            return self.begin(run, event_id, *attempt);
        }
        // A layer may note something of a run before it begins and after it ended.
        if matches!(record.entry, Entry::Note { .. }) {
            return None;
        }
        let Some(seen) = self.runs.get_mut(run) else {
            return (!self.partial).then(|| format!("{} of a run that never began", record.entry));
        };
        if seen.ended {
            return Some(format!("{} of a run that had ended", record.entry));
        }
        seen.step(record)
    }

    fn begin(&mut self, run: &RunId, event_id: &str, attempt: u32) -> Option<String> {
        let known = self.fold.open_events.values().any(|event| event.event_id == event_id);
        let seen = self.runs.entry(run.clone()).or_default();
        let before = std::mem::replace(&mut seen.attempt, attempt);
        match () {
            () if seen.ended => Some("a run that had ended begins again".into()),
            () if attempt <= before => Some(format!("attempt {attempt} of a run comes after attempt {before}")),
            () if !known && !self.partial => Some(format!("a run begins for event {event_id}, which is not waiting")),
            () => None,
        }
    }

    fn checkpoint(&mut self, record: &Record, fold: &ProcessFold) {
        if self.partial && self.fold.entries == 0 {
            self.fold.apply(record.seq, record.at, &record.entry);
            self.state = Some(fold.state);
            return;
        }
        if !self.partial {
            let differing = differences(&self.fold, fold);
            if !differing.is_empty() {
                self.report(record, format!("the checkpoint differs from the records before it in {}", differing.join(", ")));
            }
        }
    }

    fn finish(&mut self, since_checkpoint: &[&Record]) {
        let Some(last) = since_checkpoint.last() else { return };
        let differing = differences(&self.fold, &ProcessFold::of(since_checkpoint.iter().copied()));
        if !differing.is_empty() && !self.partial {
            self.report(
                last,
                format!("recovery from the newest checkpoint differs from all records in {}", differing.join(", ")),
            );
        }
    }

    fn report(&mut self, record: &Record, what: String) {
        self.found.push(Contradiction { seq: record.seq, run: record.entry.run().cloned(), what });
    }
}

impl Seen {
    fn step(&mut self, record: &Record) -> Option<String> {
        match &record.entry {
            Entry::ModelReply { step, reply, .. } => {
                let again = self.turns.insert(step.clone(), reply.clone()).is_some();
                again.then(|| format!("step {step} was answered before"))
            }
            Entry::ToolCall { step, attempt, tool, .. } => {
                let before = self.intents.insert(step.clone(), *attempt).unwrap_or(0);
                if *attempt <= before {
                    return Some(format!("attempt {attempt} of {step} comes after attempt {before}"));
                }
                if self.results.contains_key(step) {
                    return Some(format!("{step} is called though its result is known"));
                }
                self.unwanted(step, tool)
            }
            Entry::ToolResult { step, refused, .. } => {
                if self.results.insert(step.clone(), record.seq).is_some() {
                    return Some(format!("{step} has a result already"));
                }
                (!refused && !self.intents.contains_key(step)).then(|| format!("{step} has a result and no intent"))
            }
            Entry::Settled { step, decision: Decision::Happened { .. }, .. } => {
                self.results.insert(step.clone(), record.seq);
                None
            }
            Entry::InvocationResult { .. }
            | Entry::Error { last: true, .. }
            | Entry::Settled { decision: Decision::Abort, .. } => {
                self.ended = true;
                None
            }
            _ => None,
        }
    }

    /// Why no turn wanted this call, if none did.
    fn unwanted(&self, step: &StepId, tool: &str) -> Option<String> {
        let (turn, index) = step.0.split_once(".c")?;
        let Some(reply) = self.turns.get(&StepId(turn.to_owned())) else {
            return Some(format!("{step} is called and {turn} was never answered"));
        };
        let wanted = index.parse().ok().and_then(|index: usize| reply.calls.get(index));
        wanted.is_none_or(|wanted| wanted.name != tool).then(|| format!("{step} calls {tool}, which {turn} did not want"))
    }
}

/// The fields in which two folds differ. How many records there were, checkpoints included, is not
/// part of what they come to.
fn differences(folded: &ProcessFold, said: &ProcessFold) -> Vec<String> {
    let (Ok(Value::Object(folded)), Ok(Value::Object(said))) = (serde_json::to_value(folded), serde_json::to_value(said)) else {
        return vec!["a field that cannot be written".into()];
    };
    let counts = ["entries", "checkpoint_at"];
    let differing = folded.iter().filter(|(key, value)| !counts.contains(&key.as_str()) && said.get(*key) != Some(value));
    differing.map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sample;

    fn of(process: &str) -> Vec<Record> {
        sample::records().into_iter().filter(|record| record.process == process).collect()
    }

    fn complaints(records: &[Record]) -> Vec<String> {
        check(records).into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn records_that_agree_are_not_complained_of() {
        for process in ["monitor", "analyst"] {
            assert_eq!(complaints(&of(process)), Vec::<String>::new());
        }
    }

    #[test]
    fn whatever_is_left_out_is_missed_by_what_builds_upon_it() {
        let sound = of("monitor");
        type Dropped = fn(&Entry) -> bool;
        let cases: [(Dropped, &str); 4] = [
            (|entry| matches!(entry, Entry::TriggerEvent { .. }), "not waiting"),
            (|entry| matches!(entry, Entry::InvocationStart { .. }), "never began"),
            (|entry| matches!(entry, Entry::ModelReply { .. }), "never answered"),
            (|entry| matches!(entry, Entry::ToolCall { .. }), "no intent"),
        ];
        for (dropped, complaint) in cases {
            let mut records: Vec<Record> = sound.iter().filter(|record| !dropped(&record.entry)).cloned().collect();
            // As if nothing older had been given up.
            records[0].n = 1;
            let found = complaints(&records);
            assert!(found.iter().any(|what| what.contains(complaint)), "{complaint}: {found:?}");
        }
    }

    #[test]
    fn a_record_that_is_there_twice_is_one_too_many() {
        let sound = of("monitor");
        for at in 1..sound.len() {
            let mut records = sound.clone();
            records.insert(at, sound[at].clone());
            assert!(!complaints(&records).is_empty(), "{}", sound[at].entry);
        }
    }

    #[test]
    fn a_checkpoint_must_say_what_the_records_before_it_come_to() {
        let mut records = of("monitor");
        let mut fold = ProcessFold::of(&records);
        let layers = serde_json::Map::new();
        let checkpoint = |fold: &ProcessFold| Entry::Checkpoint { fold: Box::new(fold.clone()), layers: layers.clone() };
        records.push(Record { entry: checkpoint(&fold), ..records[0].clone() });
        assert_eq!(complaints(&records), Vec::<String>::new());
        fold.invocation_count += 1;
        records.push(Record { entry: checkpoint(&fold), ..records[0].clone() });
        let found = complaints(&records);
        assert_eq!(found[0], "the checkpoint differs from the records before it in invocation_count");
        assert_eq!(found[1], "recovery from the newest checkpoint differs from all records in invocation_count");
    }
}
