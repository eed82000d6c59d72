//! Whatever is written can be read.

#![cfg(test)]

use chrono::DateTime;
use flyball_core_agent::{Change, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent};
use flyball_journal::{Entry, LifecycleState, ProcessFold, Record};
use serde_json::{Map, json};

/// A fold with something in every field.
fn full_fold() -> ProcessFold {
    let at = DateTime::UNIX_EPOCH;
    let event = |key: &str| {
        let mut event = TriggerEvent::new("t", "cron", at, json!({"n": 1.5, "nested": {"a": [1, null, "x"]}}));
        event.dedup_key = Some(key.to_owned());
        event
    };
    let (done, open) = (event("done"), event("open"));
    let (first, second) = (RunId("r1".into()), RunId("r2".into()));
    let change = Change { key: "k".into(), value: json!({"deep": [1, 2.5]}), source: "agent".into(), at };
    let begin = |run: &RunId, event: &TriggerEvent| Entry::InvocationStart {
        run: run.clone(),
        event_id: event.event_id.clone(),
        attempt: 1,
    };
    let entries = [
        Entry::StateTransition { from_state: LifecycleState::Created, to_state: LifecycleState::Starting, reason: "r".into() },
        Entry::TriggerEvent { event: done.clone() },
        Entry::TriggerEvent { event: open.clone() },
        begin(&first, &done),
        Entry::InvocationResult { run: first, event_id: done.event_id, outcome: Outcome::default(), changes: vec![change] },
        begin(&second, &open),
        Entry::ModelReply { run: second.clone(), step: StepId::turn(0), reply: Reply::say("hello") },
        Entry::ToolResult { run: second, step: StepId::call(0, 0), reply: ToolReply::ok("x"), refused: false, settled_by: None },
    ];
    let mut fold = ProcessFold::default();
    for (seq, entry) in entries.iter().enumerate() {
        fold.apply(seq as u64 + 1, at, entry);
    }
    fold
}

#[test]
fn a_checkpoint_with_something_in_every_field_comes_back_as_it_was() {
    let fold = full_fold();
    let entry = Entry::Checkpoint { fold: Box::new(fold), layers: Map::new() };
    let record = Record { seq: 1, process: "p".into(), n: 1, epoch: 1, at: DateTime::UNIX_EPOCH, entry };
    let text = serde_json::to_string(&record).expect("written");
    let back: Record = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(back, record);
}
