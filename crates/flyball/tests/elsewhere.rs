#![cfg(test)]
//! Journals that a manifest puts beside the data directory: the commands that look back find them.

mod binary;

use binary::{LONG, Live, Scene, eventually};
use serde_json::{Value, json};

/// An agent with a journal of its own; it tells the other one of its work.
const MOVED: &str = r#"
name: moved
model: "scripted:moved.yaml"
triggers: [{type: event, event_type: work}]
journal: {path: ../elsewhere}
config: {max_consecutive_failures: 100}
"#;

const MOVED_SCRIPT: &str = r#"
rules:
  - {when: {event: good, after: emit_event}, say: told the other}
  - {when: {event: good}, call: [{tool: emit_event, args: {event_type: done}}]}
"#;

const STAYS: &str = "name: stays\nmodel: \"scripted:stays.yaml\"\ntriggers: [{type: event, event_type: done}]\n";

fn scene() -> Scene {
    let scene = Scene::empty();
    scene.write("moved.agent", MOVED);
    scene.write("moved.yaml", MOVED_SCRIPT);
    scene.write("stays.agent", STAYS);
    scene.write("stays.yaml", "rules: [{say: heard of it}]");
    scene
}

fn started(scene: &Scene) -> Live {
    let live = Live::start(&mut scene.run());
    eventually(LONG, || (scene.ask(&["ps"]).stdout.matches("awaiting").count() == 2).then_some(())).expect("both are up");
    live
}

/// Both agents had a run, one event failed for good, and nobody runs any more.
fn lived() -> Scene {
    let scene = scene();
    let mut live = started(&scene);
    scene.ask(&["emit", "work", "--data", r#"{"is": "good"}"#]).with_code(0);
    live.says("heard of it");
    scene.ask(&["emit", "work", "--data", r#"{"is": "bad"}"#]).with_code(0);
    eventually(LONG, || (letters(&scene).len() == 1).then_some(())).expect("it fails");
    scene.ask(&["stop"]).with_code(0);
    live.end(LONG).with_code(0);
    scene
}

fn letters(scene: &Scene) -> Vec<Value> {
    scene.ask_json(&["dlq", "list"]).as_array().cloned().expect("a list")
}

fn run_of(scene: &Scene, process: &str) -> String {
    let runs = scene.ask_json(&["runs"]);
    let mut runs = runs.as_array().expect("a list").iter();
    runs.find(|run| run["process"] == process).expect("it ran")["run"].as_str().expect("an id").to_owned()
}

#[test]
fn the_past_is_told_of_every_journal_that_a_manifest_named() {
    let scene = lived();
    assert!(scene.data().with_file_name("elsewhere").is_dir());
    for lines in [&["runs"][..], &["runs", "-n", "9"]] {
        let table = scene.ask(lines).with_code(0).stdout;
        assert!(table.contains(" moved ") && table.contains(" stays "), "{table}");
    }
    let told = scene.ask(&["logs"]).with_code(0).stdout;
    let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("no '{text}' in {told}"));
    assert!(place("told the other") > place("woken by event"), "{told}");
    assert!(told.contains("heard of it"), "{told}");
    // Under their date.
    assert_eq!(scene.ask(&["logs", "-n", "2"]).with_code(0).stdout.lines().count(), 3);
    assert!(scene.ask(&["why", "moved"]).with_code(0).stdout.contains("dead      1 event "));
    scene.ask(&["replay", &run_of(&scene, "moved"), "--verify"]).with_code(0);
    let told = scene.ask(&["journal", "verify"]).with_code(0).stdout;
    assert!(told.contains("elsewhere:\nmoved: ") && told.matches("no damage").count() == 2, "{told}");
    let all = scene.ask(&["journal", "cat"]).with_code(0).stdout;
    assert!(all.contains(r#""process":"moved""#) && all.contains(r#""process":"stays""#), "{all}");
}

#[test]
fn causes_and_effects_are_followed_from_one_journal_to_the_other() {
    let scene = lived();
    let effect = scene.ask(&["why", &run_of(&scene, "stays")]).with_code(0).stdout;
    assert!(effect.contains("moved took in event"), "{effect}");
    let cause = scene.ask_json(&["why", &run_of(&scene, "moved")]);
    assert_eq!((&cause["caused"][0]["process"], &cause["caused"][0]["run"]["said"]), (&json!("stays"), &json!("heard of it")));
}

#[test]
fn a_decision_is_written_into_the_journal_that_asks_for_it() {
    let scene = lived();
    scene.write("moved.yaml", "rules: [{say: handled now}]");
    let told = scene.ask(&["dlq", "retry", "--all"]).with_code(0).stdout;
    assert!(told.contains("moved handles it at the next `flyball run`"), "{told}");
    assert!(letters(&scene).is_empty());
    started(&scene).says("handled now");
}

#[test]
fn one_journal_is_chosen_by_its_folder_even_without_a_data_directory() {
    let scene = lived();
    let refused = scene.ask(&["journal", "export", "out.jsonl"]).with_code(1).stderr;
    assert!(
        refused.contains("there are 2 journals; name the one to export with --path: ") && refused.contains("elsewhere"),
        "{refused}"
    );
    let told = scene.ask(&["journal", "--path", "elsewhere", "export", "out.jsonl"]).with_code(0).stdout;
    assert!(told.contains("sha256"), "{told}");
    std::fs::remove_dir_all(scene.data()).expect("removed");
    let told = scene.ask(&["journal", "verify", "--path", "elsewhere"]).with_code(0).stdout;
    assert!(told.starts_with("moved: ") && told.contains("no damage"), "{told}");
    assert!(scene.ask(&["journal", "cat", "--path", "nowhere"]).with_code(1).stderr.contains("nowhere is no folder"));
}

#[test]
fn a_journal_that_is_gone_is_told_and_the_others_are_read() {
    let scene = lived();
    std::fs::remove_dir_all(scene.data().with_file_name("elsewhere")).expect("removed");
    let told = scene.ask(&["runs"]).with_code(0);
    assert!(told.stderr.contains("elsewhere is not there any more; it is left out"), "{}", told.stderr);
    assert!(told.stdout.contains(" stays ") && !told.stdout.contains(" moved "), "{}", told.stdout);
}

#[test]
fn two_agents_may_name_one_folder_in_two_ways() {
    let scene = scene();
    scene.edit("stays.agent", "name: stays", "name: stays\njournal: {path: ../example/../elsewhere}");
    let live = started(&scene);
    live.signal("TERM");
    live.end(LONG).with_code(0);
    let told = scene.ask(&["journal", "verify", "--path", "elsewhere"]).with_code(0).stdout;
    assert!(told.contains("moved: ") && told.contains("stays: "), "{told}");
}
