//! Where `--data` and `-o` may stand: after each command, and after each of its parts.

use crate::binary::{LONG, Scene, finish};

#[test]
fn the_data_directory_may_stand_after_every_command() {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n");
    scene.write("script.yaml", "rules: [{say: done}]");
    let mut live = crate::binary::Live::start(&mut scene.run());
    live.says("started");
    live.signal("TERM");
    live.end(LONG).with_code(0);
    let ask = |args: &[&str]| finish(&mut scene.flyball(args), LONG);
    for args in [
        vec!["dlq", "list"],
        vec!["dlq", "retry", "--all"],
        vec!["dlq", "drop", "--all"],
        vec!["journal", "verify"],
        vec!["journal", "cat"],
        vec!["journal", "export", "copy.jsonl"],
        vec!["indoubt"],
        vec!["runs"],
    ] {
        ask(&[args.as_slice(), &["--data", "data", "-o", "json"]].concat()).with_code(0);
        let _ = std::fs::remove_file(scene.example().join("../copy.jsonl"));
        let (command, rest) = args.split_at(1);
        ask(&[command, &["--data", "data", "-o", "json"], rest].concat()).with_code(0);
        let _ = std::fs::remove_file(scene.example().join("../copy.jsonl"));
    }
    let shown = ask(&["dlq", "show", "nothing", "--data", "data"]).with_code(1);
    assert!(shown.stderr.contains("no dead letter is event 'nothing'"), "{}", shown.stderr);
}

#[test]
fn a_run_that_waits_for_missions_needs_one() {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n");
    scene.write("script.yaml", "rules: [{say: done}]");
    let refused = finish(scene.run().args(["--until", "mission"]), LONG).with_code(2);
    assert!(refused.stderr.contains("no agent has a mission that is enabled"), "{}", refused.stderr);
    scene.write("flyball.yaml", "until: mission\n");
    let refused = finish(&mut scene.run(), LONG).with_code(2);
    assert!(refused.stderr.contains("no agent has a mission that is enabled"), "{}", refused.stderr);
}
