//! A call that was under way when its runtime ended, and who tells of it.

use serde_json::{Value, json};

use super::SOUND;
use crate::binary::{LONG, Live, Scene, eventually};

fn scene() -> Scene {
    let scene = Scene::new();
    scene.edit("responder.agent", "restart_policy: on_failure", "drain_timeout: 0.2");
    scene.edit("responder.agent", "{ effect: irreversible, reconcile: quarantine_status }", "{ effect: irreversible }");
    scene
}

fn started(scene: &Scene, output: &str) -> Live {
    let live = Live::start(scene.run().args(["--until", "signal", "-o", output]).env("PIPELINE_INCIDENT", "off"));
    eventually(LONG, || scene.ask(&["ps"]).stdout.matches("awaiting").count().eq(&3).then_some(())).expect("all three are up");
    live
}

#[test]
fn a_call_that_a_stop_left_in_doubt_is_told_by_the_summary_by_why_and_by_ps() {
    let scene = scene();
    let mut live = started(&scene, "human");
    let held = scene.hold_pipeline();
    let order = json!({"action": "quarantine", "file": SOUND, "reason": "a test"});
    scene.ask(&["send", "analysis.complete", "--data", &order.to_string()]).with_code(0);
    live.says("> quarantine_file");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    let summary = ended.stdout.split("ended by SIGTERM").nth(1).expect("there is one");
    assert!(summary.contains("1 call is in doubt: see `flyball indoubt --data data`"), "{summary}");
    drop(held);

    let why = scene.ask(&["why", "responder"]).with_code(0).stdout;
    let line = why.lines().find(|line| line.starts_with("  in doubt ")).unwrap_or_else(|| panic!("{why}"));
    assert!(line.contains("quarantine_file") && line.contains("`flyball indoubt --data data`"), "{why}");
    assert_eq!(scene.ask_json(&["why", "responder"])["in_doubt"][0]["tool"], "quarantine_file");

    let live = started(&scene, "json");
    let ps = eventually(LONG, || Some(scene.ask(&["ps"]).stdout).filter(|ps| ps.contains("held run"))).expect("it is held");
    assert!(ps.contains("`flyball indoubt --data data`"), "{ps}");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().expect("there is one")).expect("it is JSON");
    assert_eq!(summary["calls_in_doubt"], 1, "{summary}");
}
