//! Whatever is written can be read.

#![cfg(test)]

use chrono::DateTime;
use flyball_core_agent::{Change, Directive, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent, WantedCall};
use flyball_journal::{Decision, Entry, LifecycleState, Log, MemoryStorage, ProcessFold};
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
    let cursor = Map::from_iter([("last".to_owned(), json!("2026-01-01T00:00:00Z"))]);
    let begin = |run: &RunId, event: &TriggerEvent| Entry::InvocationStart {
        run: run.clone(),
        event_id: event.event_id.clone(),
        attempt: 1,
        again: None,
    };
    let entries = [
        Entry::StateTransition { from_state: LifecycleState::Created, to_state: LifecycleState::Starting, reason: "r".into() },
        Entry::TriggerEvent { event: done.clone(), cursor: cursor.clone() },
        Entry::accepted(open.clone()),
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

/// One entry of every kind, with something in every field.
fn every_kind() -> Vec<Entry> {
    let (run, step, at) = (RunId("r".into()), StepId::call(0, 1), DateTime::UNIX_EPOCH);
    let event_id = "e".to_owned();
    let change = Change { key: "k".into(), value: json!([1, {"a": null}]), source: "agent".into(), at };
    let args = Map::from_iter([("a".to_owned(), json!({"b": 1.5}))]);
    let call = WantedCall { id: "c".into(), name: "t".into(), args: json!({}) };
    let reply = Reply { text: "x".into(), calls: vec![call], ..Reply::default() };
    let directive = Directive::Pause { why: "w".into(), until: Some(at) };
    let outcome = Outcome { reply: "x".into(), turns: 2, usage: Default::default(), directive };
    let settled = |decision| Entry::Settled {
        run: run.clone(),
        event_id: event_id.clone(),
        step: step.clone(),
        decision,
        note: "n".into(),
    };
    let result = ToolReply { text: "x".into(), is_error: true, changes: vec![change.clone()] };
    vec![
        Entry::StateTransition { from_state: LifecycleState::Created, to_state: LifecycleState::Starting, reason: "r".into() },
        Entry::TriggerEvent { event: TriggerEvent::new("t", "cron", at, json!({"n": [1, "x"]})), cursor: args.clone() },
        Entry::TriggerMoved { trigger_id: "t".into(), cursor: args.clone(), skipped: 3, why: "w".into() },
        Entry::InvocationStart { run: run.clone(), event_id: event_id.clone(), attempt: 1, again: None },
        Entry::ModelReply { run: run.clone(), step: StepId::turn(0), reply },
        Entry::ToolCall {
            run: run.clone(),
            step: step.clone(),
            attempt: 2,
            tool: "t".into(),
            args: args.clone(),
            effect: Effect::Irreversible,
            notes: args.clone(),
        },
        Entry::ToolResult {
            run: run.clone(),
            step: step.clone(),
            reply: result,
            refused: true,
            settled_by: Some("reconcile".into()),
        },
        Entry::InvocationHeld { run: run.clone(), why: "w".into() },
        settled(Decision::Happened { result: "done".into() }),
        settled(Decision::DidNotHappen),
        settled(Decision::Retry),
        settled(Decision::Abort),
        Entry::InvocationResult { run: run.clone(), event_id: event_id.clone(), outcome, changes: vec![change.clone()] },
        Entry::Error { run: run.clone(), event_id: event_id.clone(), error: "e".into(), last: false, retry_at: Some(at) },
        Entry::Expired { event_id: event_id.clone(), why: "w".into() },
        Entry::Redelivered { event_id: event_id.clone(), note: "n".into() },
        Entry::Dismissed { event_id: event_id.clone(), note: "n".into() },
        Entry::TailLost { why: "w".into(), events: vec![event_id] },
        Entry::ContextUpdate { changes: vec![change] },
        Entry::Note { layer: "l".into(), run: Some(run.clone()), body: json!({"kind": "x", "seq": 3, "hash": "y"}) },
        Entry::Checkpoint { fold: Box::new(full_fold()), layers: args },
        Entry::Recovered { entries_replayed: 3, interrupted: vec![run], pending_events: 1 },
    ]
}

#[tokio::test]
async fn every_kind_of_entry_comes_back_from_the_log_as_it_was() {
    let storage = MemoryStorage::default();
    let open = || Log::open_storage(std::sync::Arc::new(storage.clone()), 1 << 16).expect("the log opens");
    let entries = every_kind();
    let (log, _) = open();
    log.process("p").append(entries.clone()).await.expect("appended");
    log.close();
    let (_, recovery) = open();
    assert!(recovery.damaged.is_empty() && recovery.torn.is_none(), "{recovery:?}");
    let back: Vec<Entry> = recovery.processes["p"].iter().map(|record| record.entry.clone()).collect();
    // Recovery begins at the checkpoint; what stands before it is read one by one.
    assert_eq!(back, entries[entries.len() - 2..]);
    for entry in entries {
        let text = serde_json::to_string(&entry).expect("written");
        let read: Entry = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read, entry);
    }
}

#[tokio::test]
async fn entries_before_a_checkpoint_are_read_from_the_log_too() {
    let storage = MemoryStorage::default();
    let open = || Log::open_storage(std::sync::Arc::new(storage.clone()), 1 << 16).expect("the log opens");
    let entries: Vec<Entry> = every_kind().into_iter().filter(|entry| !matches!(entry, Entry::Checkpoint { .. })).collect();
    let (log, _) = open();
    log.process("p").append(entries.clone()).await.expect("appended");
    log.close();
    let back: Vec<Entry> = open().1.processes["p"].iter().map(|record| record.entry.clone()).collect();
    assert_eq!(back, entries);
}
