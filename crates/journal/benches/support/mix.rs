//! What a process writes down, as benches need it: the six entries of a run that checks a pipeline.
#![allow(dead_code, reason = "each bench uses a part of it")]

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{Change, Effect, Outcome, RunId, StepId, ToolReply, TriggerEvent};
use flyball_journal::Entry;
use serde_json::{Value, json};

/// Entries of one run.
pub const ENTRIES_OF_A_RUN: usize = 6;

/// So many pipelines are checked in turn, and so many keys the state has.
const PIPELINES: u64 = 50;

/// One that is some 300 bytes long as a line of the log.
pub fn record_of_300_bytes() -> Entry {
    Entry::ToolResult {
        run: RunId("01999999-6f5b-7c39-8f8e-000000000000".into()),
        step: StepId::call(0, 0),
        reply: ToolReply::ok(r#"{"pipeline": "p-17", "status": "healthy", "lag_s": 3}"#),
        refused: false,
        settled_by: None,
    }
}

/// The entry number `index` of a process whose runs follow each other by `every` seconds from `start` on.
pub fn entry(index: u64, start: DateTime<Utc>, every: u64) -> Entry {
    let run_number = index / ENTRIES_OF_A_RUN as u64;
    let run = RunId(format!("01999999-6f5b-7c39-8f8e-{run_number:012}"));
    let event_id = format!("0b9f6c1e-6f5b-4c39-8f8e-{run_number:012}");
    let at = start + TimeDelta::seconds((run_number * every) as i64);
    let pipeline = format!("p-{}", run_number % PIPELINES);
    match index % ENTRIES_OF_A_RUN as u64 {
        0 => Entry::accepted(event(event_id, at)),
        1 => Entry::InvocationStart { run, event_id, attempt: 1, again: None },
        2 => Entry::ToolCall {
            run,
            step: StepId::call(0, 0),
            attempt: 1,
            tool: "check_pipeline".into(),
            args: object(json!({"pipeline": pipeline})),
            effect: Effect::Read,
            notes: serde_json::Map::new(),
        },
        3 => {
            let text = json!({"pipeline": pipeline, "status": "healthy", "lag_s": 3}).to_string();
            let (step, reply) = (StepId::call(0, 0), ToolReply::ok(text));
            Entry::ToolResult { run, step, reply, refused: false, settled_by: None }
        }
        4 => {
            let key = format!("checks_{}", run_number % PIPELINES);
            Entry::ContextUpdate { changes: vec![Change { key, value: json!(run_number), source: "agent".into(), at }] }
        }
        _ => {
            let reply = "All pipelines are healthy; nothing to report.".into();
            Entry::InvocationResult { run, event_id, outcome: Outcome { reply, ..Outcome::default() }, changes: Vec::new() }
        }
    }
}

fn event(event_id: String, at: DateTime<Utc>) -> TriggerEvent {
    let payload = json!({"scheduled_time": "2026-11-23T09:10:00+00:00", "cron_expression": "*/5 * * * *"});
    TriggerEvent { event_id, ..TriggerEvent::new("cron-0", "cron", at, payload) }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}
