//! Records that the tests of this folder look at.

use chrono::DateTime;
use flyball_core_agent::{Cause, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent, WantedCall};
use serde_json::{Map, Value, json};

use crate::{Entry, Record};

fn event(id: &str, kind: &str) -> TriggerEvent {
    let event = TriggerEvent::new("t", kind, DateTime::UNIX_EPOCH, json!({}));
    TriggerEvent { event_id: id.into(), ..event }
}

fn call(run: &RunId, attempt: u32) -> Entry {
    let notes: Map<String, Value> = Map::from_iter([("budget".to_owned(), json!({"cost": 2.5}))]);
    let (step, effect) = (StepId::call(0, 0), Effect::Idempotent);
    Entry::ToolCall { run: run.clone(), step, attempt, tool: "emit_event".into(), args: Map::new(), effect, notes }
}

/// A run that was cut off after an intent, went on, and caused another one, which is held.
pub fn records() -> Vec<Record> {
    let (a, b) = (RunId("run-a".into()), RunId("run-b".into()));
    let wants =
        Reply { calls: vec![WantedCall { id: "x".into(), name: "emit_event".into(), args: json!({}) }], ..Reply::default() };
    let mut emitted = event("e2", "event");
    emitted.cause = Some(Cause { process: "monitor".into(), run: a.0.clone(), hops: 1 });
    let begin = |run: &RunId, event_id: &str, attempt| Entry::InvocationStart {
        run: run.clone(),
        event_id: event_id.into(),
        attempt,
        again: None,
    };
    let says = |step, reply| Entry::ModelReply { run: a.clone(), step: StepId::turn(step), reply };
    let outcome = Outcome { reply: "raised".into(), turns: 2, ..Outcome::default() };
    let (step, reply) = (StepId::call(0, 0), ToolReply::ok("taken"));
    let entries = [
        ("monitor", Entry::accepted(event("e1", "cron"))),
        ("monitor", begin(&a, "e1", 1)),
        ("monitor", says(0, wants)),
        ("monitor", call(&a, 1)),
        ("monitor", begin(&a, "e1", 2)),
        ("monitor", call(&a, 2)),
        ("analyst", Entry::accepted(emitted)),
        ("monitor", Entry::ToolResult { run: a.clone(), step, reply, refused: false, settled_by: None }),
        ("monitor", says(1, Reply::say("raised"))),
        ("monitor", Entry::InvocationResult { run: a.clone(), event_id: "e1".into(), outcome, changes: Vec::new() }),
        ("analyst", begin(&b, "e2", 1)),
        ("analyst", Entry::InvocationHeld { run: b, why: "in doubt".into() }),
    ];
    let mut numbers = std::collections::HashMap::new();
    let record = |(seq, (process, entry)): (u64, (&str, Entry))| {
        let n = numbers.entry(process.to_owned()).and_modify(|n| *n += 1).or_insert(1);
        Record { seq, process: process.into(), n: *n, epoch: 1, at: DateTime::UNIX_EPOCH, entry }
    };
    (1..).zip(entries).map(record).collect()
}
