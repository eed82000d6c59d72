#![cfg(test)]
//! Agents that the journal knows and no manifest names: what they leave undone is told at the start.

mod binary;

use binary::{LONG, Live, Scene};
use chrono::Utc;
use flyball_core_agent::{RunId, TriggerEvent};
use flyball_journal::{Entry, Log};
use serde_json::{Value, json};

fn event(id: &str) -> TriggerEvent {
    TriggerEvent { event_id: id.into(), ..TriggerEvent::new("t1", "manual", Utc::now(), json!({})) }
}

/// Of the run of this event, which is held.
fn held(run: &str, event_id: &str) -> [Entry; 2] {
    let run = RunId(run.into());
    let begun = Entry::InvocationStart { run: run.clone(), event_id: event_id.into(), attempt: 1, again: None };
    [begun, Entry::InvocationHeld { run, why: "call t0.c0 of wipe is in doubt".into() }]
}

/// A journal in which three agents have something to do, and the manifest of one of them.
fn scene() -> Scene {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: scripted:script.yaml\ntriggers: [{type: event, event_type: go}]\n");
    scene.write("script.yaml", "rules:\n  - say: \"all is well\"\n");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (log, _) = Log::open(&scene.data().join("journal")).expect("the log opens");
        let accepted = |ids: &[&str]| ids.iter().map(|id| Entry::accepted(event(id))).collect::<Vec<_>>();
        log.process("a").append(accepted(&["e1"])).await.expect("appended");
        log.process("b").append(accepted(&["e2", "e3"])).await.expect("appended");
        let mut entries = accepted(&["e4", "e5"]);
        entries.extend(held("run-c", "e4"));
        log.process("c").append(entries).await.expect("appended");
        log.close();
    });
    scene
}

const LINES: [&str; 2] = [
    "! the journal has b, with 2 events waiting, and no manifest here has that name",
    "! the journal has c, with 1 event waiting and 1 run held, and no manifest here has that name",
];

#[test]
fn what_agents_without_a_manifest_leave_undone_is_told_at_the_start() {
    let scene = scene();
    let mut live = Live::start(&mut scene.run());
    for line in LINES {
        assert_eq!(live.says("! the journal has"), line);
    }
    live.says("a            + all is well");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert_eq!(ended.stdout.matches("the journal has").count(), 2, "{}", ended.stdout);
}

#[test]
fn to_programs_it_is_told_before_the_first_record() {
    let scene = scene();
    let mut live = Live::start(scene.run().args(["-o", "json"]));
    live.says("all is well");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    let first: Value = serde_json::from_str(ended.stdout.lines().next().expect("a line")).expect("it is JSON");
    let why = "no manifest here has that name";
    let left_over = json!([
        {"name": "b", "waiting": 2, "held": 0, "why": why},
        {"name": "c", "waiting": 1, "held": 1, "why": why},
    ]);
    assert_eq!(first["left_over"], left_over);
    let (agents, records) = (&first["agents"], first["journals"][0]["records"].as_u64());
    assert_eq!((agents, &first["until"]), (&json!(["a"]), &json!("signal")));
    assert!(records.is_some_and(|count| count > 0) && first["api"].as_str().is_some_and(|url| url.starts_with("http://127.")));
}
