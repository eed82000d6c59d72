//! Calls of which nobody knows whether they happened, and what an operator may say of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Effect, RunId, StepId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::tape::LeftCall;
use crate::{Entry, OpenRun, Record};

/// A call whose intent is recorded and whose result is not, in a run that waits because of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Doubt {
    /// Names the call: run and step.
    pub id: String,
    /// The process.
    pub process: String,
    /// The run that is held.
    pub run: RunId,
    /// The call's step.
    pub step: StepId,
    /// The tool.
    pub tool: String,
    /// With what it was called; names of secrets stand in place of secrets.
    pub args: Map<String, Value>,
    /// What calling it does.
    pub effect: Effect,
    /// How often it left.
    pub attempt: u32,
    /// The event that the run handles.
    pub event_id: String,
    /// Why the run is held.
    pub why: String,
    /// The record of the intent.
    pub seq: u64,
    /// When the call left.
    pub since: DateTime<Utc>,
}

/// What became of a call in doubt, by the word of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// It happened. The run goes on with this result.
    Happened {
        /// What the tool would have said.
        result: String,
    },
    /// It did not happen. The run makes the call.
    DidNotHappen,
    /// Nobody knows, and making it once more does no harm. The run makes the call.
    Retry,
    /// The run shall not go on. Its event is done with.
    Abort,
}

/// The calls in doubt after all of `records`, oldest first. `records` may be of many processes.
pub fn doubts(records: &[Record]) -> Vec<Doubt> {
    doubts_unless(records, None)
}

/// The same where nobody is running the processes: also the calls that were on their way when whoever ran them
/// was cut off. The next start holds their runs, unless it can ask what became of them.
pub fn doubts_left(records: &[Record]) -> Vec<Doubt> {
    doubts_unless(records, Some("it was on its way when the runtime was cut off: nobody knows whether it happened"))
}

/// `cut_off` says what is in doubt about the calls of runs that are not held.
fn doubts_unless(records: &[Record], cut_off: Option<&str>) -> Vec<Doubt> {
    let mut runs: BTreeMap<RunId, Held> = BTreeMap::new();
    for record in records {
        let of = || Held { process: &record.process, ..Held::default() };
        match &record.entry {
            Entry::InvocationStart { run, event_id, .. } => {
                let held = runs.entry(run.clone()).or_insert_with(of);
                event_id.clone_into(&mut held.event_id);
                held.why = None;
            }
            Entry::ToolCall { run, step, attempt, tool, args, effect, .. } => {
                let (tool, args) = (tool.clone(), args.clone());
                let left = LeftCall { seq: record.seq, at: record.at, tool, args };
                let call = Call { attempt: *attempt, effect: *effect, left };
                runs.entry(run.clone()).or_insert_with(of).open.insert(step.clone(), call);
            }
            // Whatever else is in doubt, nobody waits for it any more.
            entry if entry.ends_run() => drop(entry.run().and_then(|run| runs.remove(run))),
            Entry::ToolResult { run, step, .. } | Entry::Settled { run, step, .. } => {
                runs.entry(run.clone()).or_insert_with(of).open.remove(step);
            }
            Entry::InvocationHeld { run, why } => runs.entry(run.clone()).or_insert_with(of).why = Some(why),
            // The records before it may be gone, all or some of them.
            Entry::Checkpoint { fold, .. } => {
                runs.retain(|_, held| held.process != record.process);
                runs.extend(fold.open_runs.iter().map(|(run, open)| (run.clone(), Held::of(&record.process, open))));
            }
            _ => {}
        }
    }
    let mut doubts: Vec<Doubt> = runs.into_iter().flat_map(|(run, held)| held.doubts(&run, cut_off)).collect();
    doubts.sort_by_key(|doubt| doubt.seq);
    doubts
}

/// What is known of a run so far.
#[derive(Default)]
struct Held<'a> {
    process: &'a str,
    event_id: String,
    why: Option<&'a str>,
    open: BTreeMap<StepId, Call>,
}

/// A call without a result.
struct Call {
    attempt: u32,
    effect: Effect,
    left: LeftCall,
}

impl<'a> Held<'a> {
    /// A run as a checkpoint has it.
    fn of(process: &'a str, open: &'a OpenRun) -> Self {
        let call = |(step, attempt, left)| (step, Call { attempt, effect: Effect::Irreversible, left });
        let calls = open.tape.left().into_iter().map(call).collect();
        Self { process, event_id: open.event_id.clone(), why: open.held.as_deref(), open: calls }
    }

    fn doubts(self, run: &RunId, cut_off: Option<&str>) -> Vec<Doubt> {
        let Some(why) = self.why.or(cut_off) else { return Vec::new() };
        // What only reads, or may be made again, is made again when the run goes on.
        let doubtful = self.open.into_iter().filter(|(_, call)| call.effect == Effect::Irreversible);
        doubtful.map(|(step, call)| call.doubt(self.process, run, step, &self.event_id, why)).collect()
    }
}

impl Call {
    fn doubt(self, process: &str, run: &RunId, step: StepId, event_id: &str, why: &str) -> Doubt {
        let LeftCall { seq, at, tool, args } = self.left;
        Doubt {
            id: format!("{run}/{step}"),
            process: process.to_owned(),
            run: run.clone(),
            step,
            tool,
            args,
            effect: self.effect,
            attempt: self.attempt,
            event_id: event_id.to_owned(),
            why: why.to_owned(),
            seq,
            since: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use flyball_core_agent::TriggerEvent;
    use serde_json::json;

    use super::*;
    use crate::ProcessFold;

    /// A run that was held, and held again after a restart; then there is a checkpoint.
    fn records() -> Vec<Record> {
        let run = RunId("r".into());
        let event = TriggerEvent { event_id: "e".into(), ..TriggerEvent::new("t", "manual", DateTime::UNIX_EPOCH, json!({})) };
        let begun = |attempt| Entry::InvocationStart { run: run.clone(), event_id: "e".into(), attempt, again: None };
        let call = Entry::ToolCall {
            run: run.clone(),
            step: StepId::call(0, 0),
            attempt: 1,
            tool: "pay".into(),
            args: Map::new(),
            effect: Effect::Irreversible,
            notes: Map::new(),
        };
        let held = || Entry::InvocationHeld { run: run.clone(), why: "it is in doubt".into() };
        let mut entries = vec![Entry::accepted(event), begun(1), call, held(), begun(2), held()];
        let record = |(seq, entry)| Record { seq, process: "p".into(), n: seq, epoch: 1, at: DateTime::UNIX_EPOCH, entry };
        let before: Vec<Record> = (1..).zip(entries.clone()).map(record).collect();
        entries.push(Entry::Checkpoint { fold: Box::new(ProcessFold::of(&before)), layers: Map::new() });
        (1..).zip(entries).map(record).collect()
    }

    #[test]
    fn a_call_in_doubt_is_known_from_the_checkpoint_wherever_what_is_kept_begins() {
        let all = records();
        let whole = doubts(&all);
        assert_eq!((whole.len(), whole[0].event_id.as_str(), whole[0].tool.as_str()), (1, "e", "pay"));
        for from in 0..all.len() {
            assert_eq!(doubts(&all[from..]), whole, "from record {}", from + 1);
        }
    }
}
