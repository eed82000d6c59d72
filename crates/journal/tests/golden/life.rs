//! Lives of two processes with everything in them that can be written down.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{
    Cause, Change, Directive, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent, Usage, WantedCall,
};
use flyball_journal::{Decision, Entry, LifecycleState, Log, ProcessFold, Retention};
use serde_json::{Map, Value, json};

/// Small, so that there are several.
pub const SEGMENT_BYTES: u64 = 8 * 1024;

/// Writes both lives into `log`, and drops its oldest segments, so that one process is carried on.
pub async fn write(log: &Arc<Log>, retention: Retention) {
    let (analyst, monitor) = (log.process("analyst"), log.process("monitor"));
    for entry in quiet_life() {
        analyst.append(vec![entry]).await.expect("appended");
    }
    // Enough that what the analyst wrote is in the oldest segments.
    for number in 0..160 {
        monitor.append(vec![note(json!({"number": number, "text": "nothing much happens here"}))]).await.expect("appended");
    }
    checkpoint(log, "monitor").await;
    let done = log.compact(&retention, Utc::now()).expect("compacted");
    assert!(!done.dropped.is_empty() && done.carried.iter().any(|process| process == "analyst"), "{done:?}");
    for entry in full_life() {
        monitor.append(vec![entry]).await.expect("appended");
    }
    checkpoint(log, "monitor").await;
    for entry in after() {
        monitor.append(vec![entry]).await.expect("appended");
    }
}

async fn checkpoint(log: &Arc<Log>, process: &str) {
    let fold = Box::new(ProcessFold::of(&log.records(process).expect("read")));
    let layers = object(json!({"budget": {"day": "2026-05-04", "spent": 2.5}}));
    log.process(process).append(vec![Entry::Checkpoint { fold, layers }]).await.expect("appended");
}

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_577) + TimeDelta::seconds(seconds)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn event(id: &str, kind: &str, payload: Value) -> TriggerEvent {
    let key = Some(format!("key-{id}"));
    TriggerEvent { event_id: id.into(), dedup_key: key, ..TriggerEvent::new(&format!("{kind}-1"), kind, instant(0), payload) }
}

fn moved(from_state: LifecycleState, to_state: LifecycleState, reason: &str) -> Entry {
    Entry::StateTransition { from_state, to_state, reason: reason.into() }
}

fn begin(run: &str, event_id: &str, attempt: u32) -> Entry {
    Entry::InvocationStart { run: RunId(run.into()), event_id: event_id.into(), attempt, again: None }
}

fn call(run: &str, step: &StepId, attempt: u32, tool: &str, effect: Effect) -> Entry {
    let args = object(json!({"file": "größe.csv", "key": "secret://admin", "rows": [1, 2.5, null, true]}));
    let notes = object(json!({"budget": {"cost": 2.5, "irreversible": effect == Effect::Irreversible}}));
    Entry::ToolCall { run: RunId(run.into()), step: step.clone(), attempt, tool: tool.into(), args, effect, notes }
}

/// The model's first turn, in which it wants these.
fn wants(run: &str, tools: &[&str]) -> Entry {
    let call = |name: &&str| WantedCall { id: format!("id-{name}"), name: (*name).into(), args: json!({"file": "größe.csv"}) };
    let usage = Usage { input_tokens: 100, output_tokens: 20 };
    let reply = Reply { text: "I look".into(), calls: tools.iter().map(call).collect(), usage, ..Reply::default() };
    Entry::ModelReply { run: RunId(run.into()), step: StepId::turn(0), reply }
}

fn result(run: &str, step: &StepId, reply: ToolReply) -> Entry {
    Entry::ToolResult { run: RunId(run.into()), step: step.clone(), reply, refused: false, settled_by: None }
}

fn change(key: &str, value: Value) -> Change {
    Change { key: key.into(), value, source: "agent".into(), at: instant(5) }
}

fn note(body: Value) -> Entry {
    Entry::Note { layer: "health".into(), run: None, body }
}

fn failed(run: &str, event_id: &str, retry_at: Option<DateTime<Utc>>) -> Entry {
    let error = "the model said \"no\"".to_owned();
    Entry::Error { run: RunId(run.into()), event_id: event_id.into(), error, last: retry_at.is_none(), retry_at }
}

fn settled(run: &str, event_id: &str, step: &StepId, decision: Decision) -> Entry {
    Entry::Settled {
        run: RunId(run.into()),
        event_id: event_id.into(),
        step: step.clone(),
        decision,
        note: "looked at it".into(),
    }
}

fn ended(run: &str, event_id: &str, directive: Directive, changes: Vec<Change>) -> Entry {
    let usage = Usage { input_tokens: 120, output_tokens: 30 };
    let outcome = Outcome { reply: "all of it is done".into(), turns: 2, usage, directive };
    Entry::InvocationResult { run: RunId(run.into()), event_id: event_id.into(), outcome, changes }
}

/// A process that is up, handled one event, and has one that waits.
fn quiet_life() -> Vec<Entry> {
    use LifecycleState::{Awaiting, Created, Starting};
    vec![
        moved(Created, Starting, "started"),
        moved(Starting, Awaiting, "up"),
        Entry::accepted(event("a1", "message", json!({"topic": "work", "content": {"file": "a.csv"}}))),
        begin("run-a1", "a1", 1),
        ended("run-a1", "a1", Directive::Continue, vec![change("files", json!(1))]),
        Entry::accepted(event("a2", "message", json!({"topic": "work", "content": "text"}))),
    ]
}

/// Everything else.
fn full_life() -> Vec<Entry> {
    use LifecycleState::{Awaiting, Created, Running, Starting, Suspended};
    let (read, write, wipe) = (StepId::call(0, 0), StepId::call(0, 1), StepId::call(0, 2));
    let run = || RunId("run-1".into());
    let caused = Cause { process: "analyst".into(), run: "run-a1".into(), hops: 2 };
    let metadata = object(json!({"headers": {"x-github-event": "push"}, "signature_verified": true}));
    let first = TriggerEvent { metadata, trusted: true, cause: Some(caused), ..event("e1", "webhook", json!({"lag": 5})) };
    let cursor = object(json!({"last": "2026-05-04T00:05:00Z", "gone": null}));
    let mut life = vec![
        moved(Created, Starting, "started"),
        Entry::TriggerMoved { trigger_id: "cron-1".into(), cursor: cursor.clone(), skipped: 0, why: String::new() },
        Entry::TriggerMoved { trigger_id: "cron-1".into(), cursor: cursor.clone(), skipped: 3, why: "too late".into() },
        moved(Starting, Awaiting, "up"),
        Entry::TriggerEvent { event: first, cursor },
        begin("run-1", "e1", 1),
        moved(Awaiting, Running, "a run is on"),
        wants("run-1", &["look", "load", "wipe"]),
        call("run-1", &read, 1, "look", Effect::Read),
        call("run-1", &write, 1, "load", Effect::Idempotent),
        call("run-1", &write, 2, "load", Effect::Idempotent),
        call("run-1", &wipe, 1, "wipe", Effect::Irreversible),
        result("run-1", &read, ToolReply { changes: vec![change("seen", json!(["größe.csv"]))], ..ToolReply::ok("5 rows") }),
        result("run-1", &write, ToolReply::error("the database\nis \"locked\"")),
        Entry::InvocationHeld { run: run(), why: "call t0.c2 of wipe is in doubt".into() },
        settled("run-1", "e1", &wipe, Decision::Happened { result: "gone".into() }),
        begin("run-1", "e1", 2),
        Entry::ModelReply { run: run(), step: StepId::turn(1), reply: Reply::say("all of it is done") },
        Entry::Note { layer: "mission".into(), run: Some(run()), body: json!({"verdict": "achieved", "confidence": 0.75}) },
        ended(
            "run-1",
            "e1",
            Directive::Pause { why: "the day is over".into(), until: Some(instant(86_400)) },
            vec![change("seen", json!({"größe.csv": null}))],
        ),
        moved(Running, Suspended, "the day is over"),
    ];
    life.extend(failures());
    life.extend(decisions());
    life.push(Entry::ContextUpdate { changes: vec![change("alerts", json!(2))] });
    life.push(note(json!({"kind": "anomaly", "tool": "look"})));
    life
}

/// Dead letters, retries, and events that waited too long.
fn failures() -> Vec<Entry> {
    vec![
        Entry::accepted(event("e2", "event", json!({"event_type": "alert", "data": null}))),
        begin("run-2", "e2", 1),
        failed("run-2", "e2", Some(instant(60))),
        begin("run-2", "e2", 2),
        failed("run-2", "e2", None),
        Entry::Redelivered { event_id: "e2".into(), note: "the model is back".into() },
        begin("run-2b", "e2", 1),
        failed("run-2b", "e2", None),
        Entry::Dismissed { event_id: "e2".into(), note: "never mind".into() },
        Entry::accepted(event("e3", "cron", json!({"scheduled_time": "2026-05-04T00:10:00Z"}))),
        Entry::Expired { event_id: "e3".into(), why: "it waited for 90 s, and 60 are allowed (max_age)".into() },
        Entry::accepted(event("e4", "file_watch", json!({"path": "/in/a.csv"}))),
        begin("run-4", "e4", 1),
        failed("run-4", "e4", None),
    ]
}

/// Every word of an operator, and calls whose results came otherwise.
fn decisions() -> Vec<Entry> {
    let mut entries = Vec::new();
    let said = [("e5", Decision::DidNotHappen), ("e6", Decision::Retry), ("e7", Decision::Abort)];
    for (number, (event_id, decision)) in said.into_iter().enumerate() {
        let run = format!("run-{}", number + 5);
        let step = StepId::call(0, 0);
        entries.extend([
            Entry::accepted(event(event_id, "webhook", json!("a text"))),
            begin(&run, event_id, 1),
            wants(&run, &["wipe", "wipe"]),
            call(&run, &step, 1, "wipe", Effect::Irreversible),
            Entry::InvocationHeld { run: RunId(run.clone()), why: "in doubt".into() },
            settled(&run, event_id, &step, decision.clone()),
        ]);
        if decision == Decision::DidNotHappen {
            let (by, reply) = (Some("reconcile".to_owned()), ToolReply::ok("done"));
            let refusal = ToolReply::error("'wipe' was not called: the budget's limit");
            let refused =
                |step| Entry::ToolResult { run: RunId(run.clone()), step, reply: refusal, refused: true, settled_by: None };
            entries.extend([
                begin(&run, event_id, 2),
                Entry::ToolResult { run: RunId(run.clone()), step, reply, refused: false, settled_by: by },
                refused(StepId::call(0, 1)),
                ended(&run, event_id, Directive::Stop { why: "the budget is spent".into() }, Vec::new()),
            ]);
        }
    }
    entries
}

/// What comes after a checkpoint: a start after a crash, with a run that is held.
fn after() -> Vec<Entry> {
    use LifecycleState::{Failed, Starting, Stopped, Stopping, Suspended};
    let step = StepId::call(0, 0);
    vec![
        moved(Suspended, Starting, "goes on after it was cut off"),
        Entry::Recovered { entries_replayed: 60, interrupted: vec![RunId("run-6".into())], pending_events: 1 },
        Entry::accepted(event("e8", "webhook", json!({"n": 8}))),
        Entry::TailLost { why: "112 byte(s) were cut".into(), events: vec!["e8".into()] },
        begin("run-8", "e8", 1),
        wants("run-8", &["wipe"]),
        call("run-8", &step, 1, "wipe", Effect::Irreversible),
        Entry::InvocationHeld { run: RunId("run-8".into()), why: "call t0.c0 of wipe is in doubt".into() },
        moved(Starting, Failed, "3 runs in a row failed"),
        moved(Failed, Starting, "started"),
        moved(Starting, Stopping, "asked to stop"),
        moved(Stopping, Stopped, "asked to stop"),
    ]
}
