#![cfg(test)]
//! A journal that takes nothing more ends the node, so that whoever watches over it starts it again.

mod binary;

use binary::{Ended, LONG, Live, Scene, eventually, traced};

fn scene() -> Scene {
    let scene = Scene::empty();
    scene.write("lone.agent", "name: lone\nmodel: scripted:lone.yaml\ntriggers: [{type: event, event_type: go}]\n");
    scene.write("lone.yaml", "rules: [{say: all is well}]");
    scene
}

fn up(scene: &Scene) {
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it comes up");
}

fn assert_told(ended: &Ended, cause: &str) {
    let line = ended.stderr.lines().find(|line| line.starts_with("error: the journal in ")).expect("it says so");
    assert!(line.contains("data/journal failed: ") && line.contains(cause), "{line}");
    assert!(line.contains("the next `flyball run` goes on from what is recorded"), "{line}");
    assert!(ended.stdout.contains("ended by itself: the journal failed"), "{}", ended.stdout);
}

#[test]
fn a_journal_whose_folder_is_gone_ends_the_run_with_a_failure_and_its_cause() {
    let scene = scene();
    let live = Live::start(&mut scene.run());
    up(&scene);
    std::fs::remove_dir_all(scene.data().join("journal")).expect("removed");
    assert_ne!(scene.ask(&["emit", "go"]).code, Some(0), "it is not taken");
    let ended = live.end(LONG).with_code(1);
    assert_told(&ended, "the file was deleted while it was being written");
    assert!(!scene.data().join("instance.json").exists(), "nobody is said to run");
}

#[test]
fn a_disk_that_fails_ends_the_run_and_the_next_one_goes_on() {
    let scene = scene();
    let inject = ["-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=20+"];
    let Some(mut traced) = traced(&scene.run(), &inject) else { return };
    let live = Live::start(&mut traced);
    up(&scene);
    // The first syncs were those of its start; each event needs one.
    eventually(LONG, || (scene.ask(&["emit", "go"]).code != Some(0)).then_some(())).expect("sooner or later a sync fails");
    let ended = live.end(LONG).with_code(1);
    assert_told(&ended, "os error 5");

    let mut live = Live::start(&mut scene.run());
    up(&scene);
    scene.ask(&["emit", "go"]).with_code(0);
    live.says("all is well");
}
