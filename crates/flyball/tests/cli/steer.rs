//! Stopping, pausing and failing, and how each is undone.

use serde_json::json;

use super::complaint;
use crate::binary::{LONG, Live, Scene, eventually};

const AGENT: &str = r#"
name: worker
model: "scripted:script.yaml"
triggers: [{type: event, event_type: work}]
config: {max_consecutive_failures: 1}
budget: {enabled: true, max_runs_per_day: 2}
"#;

const OTHER: &str = r#"
name: bystander
model: "scripted:script.yaml"
triggers: [{type: event, event_type: other}]
"#;

const SCRIPT: &str = "rules: [{when: {event: good}, say: handled it}]";

fn up() -> (Scene, Live) {
    let scene = Scene::empty();
    scene.write("worker.agent", AGENT);
    scene.write("bystander.agent", OTHER);
    scene.write("script.yaml", SCRIPT);
    let live = Live::start(&mut scene.run());
    is(&scene, "worker", "awaiting");
    (scene, live)
}

fn is(scene: &Scene, name: &str, state: &str) {
    let there = || {
        let ps = scene.ask(&["ps", "-o", "json"]).stdout;
        let ps: serde_json::Value = serde_json::from_str(&ps).ok()?;
        (ps["processes"][name]["state"] == state).then_some(())
    };
    eventually(LONG, there).unwrap_or_else(|| panic!("{name} is never {state}: {}", scene.ask(&["ps"]).stdout));
}

#[test]
fn a_process_that_was_stopped_is_started() {
    let (scene, _live) = up();
    scene.ask(&["stop", "worker"]).with_code(0);
    let told = complaint(&scene, &["resume", "worker"], 1);
    assert!(told.contains("worker is stopped: `flyball start worker --data data` starts it"), "{told}");
    let why = scene.ask(&["why", "worker"]).with_code(0).stdout;
    assert!(why.contains("`flyball start worker --data data`"), "{why}");
    assert_eq!(scene.ask(&["start", "worker"]).with_code(0).stdout, "worker has started\n");
    is(&scene, "worker", "awaiting");
    let told = complaint(&scene, &["start", "worker"], 1);
    assert!(told.contains("worker is awaiting: there is nothing to start"), "{told}");
}

#[test]
fn a_process_that_failed_for_good_is_started() {
    let (scene, _live) = up();
    scene.ask(&["emit", "work", "--data", "\"bad\""]).with_code(0);
    is(&scene, "worker", "failed");
    assert_eq!(scene.ask_json(&["start", "worker"]), json!({"started": "worker", "paused": null}));
    is(&scene, "worker", "awaiting");
}

#[test]
fn a_pause_holds_runs_back_until_it_is_resumed() {
    let (scene, mut live) = up();
    let told = complaint(&scene, &["resume", "worker"], 1);
    assert!(told.contains("worker is not paused"), "{told}");
    let told = scene.ask(&["pause", "worker", "--why", "the disk is changed"]).with_code(0).stdout;
    assert!(told.contains("`flyball resume worker --data data`"), "{told}");
    is(&scene, "worker", "suspended");
    scene.ask(&["emit", "work", "--data", "\"good\""]).with_code(0);
    let why = scene.ask(&["why", "worker"]).with_code(0).stdout;
    assert!(why.contains("the disk is changed") && why.contains("`flyball resume worker --data data`"), "{why}");
    assert!(complaint(&scene, &["start", "worker"], 1).contains("`flyball resume worker --data data`"));
    assert_eq!(scene.ask_json(&["resume", "worker"]), json!({"resumed": "worker"}));
    live.says("handled it");
}

#[test]
fn why_tells_which_limit_paused_a_process_and_how_it_goes_on() {
    let (scene, _live) = up();
    for _ in 0..3 {
        scene.ask(&["emit", "work", "--data", "\"good\""]).with_code(0);
    }
    is(&scene, "worker", "suspended");
    let why = scene.ask(&["why", "worker"]).with_code(0).stdout;
    let line = why.lines().find(|line| line.starts_with("  budget ")).unwrap_or_else(|| panic!("{why}"));
    assert!(line.contains("max_runs_per_day: 2 of 2 used") && line.contains("a new day begins at "), "{why}");
    assert!(why.contains("`flyball resume worker --data data`"), "{why}");
    scene.ask(&["resume", "worker"]).with_code(0);
    is(&scene, "worker", "awaiting");
}

#[test]
fn a_name_that_is_nearly_right_is_recognized() {
    let (scene, _live) = up();
    for verb in ["start", "pause", "resume", "stop", "fire"] {
        let told = complaint(&scene, &[verb, "workr"], 1);
        assert!(told.contains("did you mean 'worker'?") && told.contains("bystander, worker"), "{told}");
    }
}
