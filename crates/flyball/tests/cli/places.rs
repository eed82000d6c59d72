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

#[test]
fn a_run_says_when_it_takes_events_and_which_webhooks_anyone_can_reach() {
    let scene = Scene::empty();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let trigger = format!("triggers: [{{type: webhook, webhook_port: {port}}}]");
    scene.write("a.agent", &format!("name: a\nmodel: \"scripted:script.yaml\"\n{trigger}\n"));
    scene.write("script.yaml", "rules: [{say: done}]");
    let mut live = crate::binary::Live::start(&mut scene.run());
    live.says(&format!("http://127.0.0.1:{port}/webhook of a is unsigned: whoever reaches it"));
    live.says(". ready");
    let ps = scene.ask(&["status"]).with_code(0).stdout;
    assert!(ps.contains(&format!("webhook 127.0.0.1:{port}/webhook is unsigned\n")) && !ps.contains("whoever"), "{ps}");
    let open =
        finish(scene.flyball(&["run", "example", "--data", "other", "--listen", "0.0.0.0:0"]).env_remove("FLYBALL_TOKEN"), LONG);
    let told = open.with_code(1).stderr;
    assert!(told.contains("--token") && told.contains("FLYBALL_TOKEN"), "{told}");
}

#[test]
fn nothing_is_warned_of_where_there_was_nothing_to_go_on_with() {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n");
    scene.write("script.yaml", "rules: [{say: done}]");
    for _ in 0..2 {
        let mut live = crate::binary::Live::start(&mut scene.run());
        live.says("ready");
        live.kill9();
    }
    let mut live = crate::binary::Live::start(&mut scene.run());
    let line = live.says("recovered from");
    assert!(line.contains(" . recovered from ") && line.ends_with(" records"), "{line}");
}
