#![cfg(test)]
//! What becomes of a command whose output nobody can take.

mod binary;

use std::fs::File;
use std::process::{Child, Command, Stdio};

use binary::{LONG, Scene, eventually};
use serde_json::json;

const AGENT: &str = r#"
name: quiet
model: "scripted:script.yaml"
triggers: [{type: event, event_type: work}]
"#;

fn scene() -> Scene {
    let scene = Scene::empty();
    scene.write("quiet.agent", AGENT);
    scene.write("script.yaml", "rules: [{say: handled it}]");
    scene
}

/// A file that takes nothing: every write to it finds the disk full.
fn full() -> File {
    File::options().write(true).open("/dev/full").expect("Linux has it")
}

/// A run that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Running {
    Running(command.stdin(Stdio::null()).spawn().expect("the program starts"))
}

/// It takes an event, handles it, and ends in order when it is asked to.
fn goes_on(scene: &Scene, mut running: Running) {
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
    scene.ask(&["emit", "work"]).with_code(0);
    let completed = || (scene.ask_json(&["ps"])["processes"]["quiet"]["events"]["completed"] == 1).then_some(());
    eventually(LONG, completed).expect("the event is handled");
    scene.ask(&["stop"]).with_code(0);
    assert_eq!(running.0.wait().expect("it ends").code(), Some(0));
    assert!(!scene.data().join("instance.json").exists());
}

/// How a command ends that prints into a full disk, and what it says on stderr.
fn into_a_full_disk(scene: &Scene, args: &[&str]) -> (Option<i32>, String) {
    let ended = scene.flyball(&["--data", "data"]).args(args).stdout(full()).output().expect("the program starts");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn a_run_goes_on_when_its_story_cannot_be_written_and_says_so_once() {
    let scene = scene();
    let told = scene.example().join("stderr");
    let stderr = File::create(&told).expect("a file can be made");
    goes_on(&scene, start(scene.run().stdout(full()).stderr(stderr)));
    let told = std::fs::read_to_string(told).expect("it can be read");
    assert_eq!(told.matches("cannot be printed").count(), 1, "{told}");
    assert!(told.contains("No space left") && told.contains("`flyball logs"), "{told}");
}

#[test]
fn a_run_goes_on_when_whoever_read_its_story_is_gone() {
    let scene = scene();
    let mut running = start(scene.run().stdout(Stdio::piped()).stderr(Stdio::null()));
    drop(running.0.stdout.take());
    goes_on(&scene, running);
}

#[test]
fn a_run_goes_on_where_even_its_warnings_cannot_be_written() {
    let scene = scene();
    // Every level, so that much is written there.
    goes_on(&scene, start(scene.run().env("FLYBALL_LOG", "info").stdout(full()).stderr(full())));
}

#[test]
fn an_answer_that_was_not_written_is_a_failure() {
    let scene = scene();
    let _running = start(scene.run().stdout(Stdio::null()));
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
    scene.ask(&["emit", "work"]).with_code(0);
    let run = eventually(LONG, || scene.ask_json(&["runs"])[0]["run"].as_str().map(str::to_owned)).expect("it begins");
    let commands = [
        vec!["journal", "cat"],
        vec!["journal", "verify"],
        vec!["logs"],
        vec!["logs", "-o", "json"],
        vec!["runs"],
        vec!["replay", &run],
        vec!["why", &run],
        vec!["ps"],
        vec!["dlq", "list"],
        vec!["indoubt"],
        vec!["emit", "nobody.listens"],
        vec!["validate", "example"],
        vec!["validate", "example", "-o", "json"],
    ];
    for args in commands {
        let (code, told) = into_a_full_disk(&scene, &args);
        assert_eq!(code, Some(1), "{args:?}: {told}");
        assert!(told.starts_with("error: ") && told.contains("No space left"), "{args:?}: {told}");
    }
}

#[test]
fn whoever_reads_no_further_is_left_in_peace() {
    let scene = scene();
    scene.write("broken.agent", "name: 7");
    let mut child = scene.flyball(&["validate", "example", "-o", "json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn an_export_that_fails_leaves_no_file_behind() {
    let scene = scene();
    let journal = scene.example().join("journal");
    // A segment that cannot be read: it is no file.
    std::fs::create_dir_all(journal.join("00000000000000000001.jsonl")).expect("a folder can be made");
    let file = scene.example().join("backup.jsonl");
    let args = ["journal", "--path", &journal.to_string_lossy(), "export", &file.to_string_lossy()].map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    scene.ask(&args).with_code(1);
    assert!(!file.exists(), "{}", json!(file));
}
