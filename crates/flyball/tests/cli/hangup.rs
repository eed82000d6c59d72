//! A terminal that goes away while a run is on.

use std::process::Command;

use crate::binary::{LONG, Live, Scene, eventually};

fn scene() -> Scene {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n");
    scene.write("script.yaml", "rules: [{say: done}]");
    scene
}

#[test]
fn a_hangup_ends_a_run_in_order() {
    let scene = scene();
    let mut live = Live::start(&mut scene.run());
    live.says("started");
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
    live.signal("HUP");
    let ended = live.end(LONG).with_code(0);
    assert!(ended.stdout.contains("\nended by SIGHUP\n"), "{}", ended.stdout);
    assert!(!scene.data().join("instance.json").exists());
}

#[test]
fn a_run_that_was_told_to_pass_over_hangups_does() {
    let scene = scene();
    let run = scene.run();
    let mut nohup = Command::new("nohup");
    nohup.arg(run.get_program()).args(run.get_args()).current_dir(scene.example().parent().expect("it has one"));
    let mut live = Live::start(&mut nohup);
    live.says("started");
    live.signal("HUP");
    scene.ask(&["emit", "work"]).with_code(0);
    live.says("+ done");
    live.signal("TERM");
    assert!(live.end(LONG).with_code(0).stdout.contains("\nended by SIGTERM\n"));
}
