//! An instance that is alive and does not answer.

use std::time::Duration;

use crate::binary::{LONG, Live, Scene, eventually};

#[test]
fn an_instance_that_is_frozen_is_told_from_one_that_is_gone_within_seconds() {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n");
    scene.write("script.yaml", "rules: [{say: done}]");
    let live = Live::start(&mut scene.run());
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
    live.signal("STOP");
    let (ps, why) = (scene.ask(&["ps"]), scene.ask(&["why", "a"]));
    live.signal("CONT");
    let told = ps.with_code(1);
    assert!(told.took < Duration::from_secs(20), "{:?}", told.took);
    let alive = format!("pid {} runs data and is alive but does not answer", live.pid());
    assert!(told.stderr.contains(&alive), "{}", told.stderr);
    let why = why.with_code(1).stdout;
    assert!(why.contains(&alive) && !why.contains("nobody runs it"), "{why}");
    assert!(
        why.contains(") was last recorded as awaiting: up, waiting for a trigger; the runtime could not be asked\n"),
        "{why}"
    );
    scene.ask(&["ps"]).with_code(0);
}
