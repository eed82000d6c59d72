//! A runtime that is there and cannot be asked: it wants a token.

use crate::binary::{LONG, Live, Scene, eventually, finish};

const AGENT: &str = "name: a\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: work}]\n";

#[test]
fn a_process_whose_runtime_wants_a_token_is_not_said_to_be_cut_off() {
    let scene = Scene::empty();
    scene.write("a.agent", AGENT);
    scene.write("script.yaml", "rules: [{say: done}]");
    let _live = Live::start(scene.run().env("FLYBALL_TOKEN", "open-sesame"));
    let ask =
        |token: &str, args: &[&str]| finish(scene.flyball(&["--data", "data"]).args(args).env("FLYBALL_TOKEN", token), LONG);
    eventually(LONG, || ask("open-sesame", &["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");

    for (token, how) in [("", "(it is not set)"), ("wrong", "(what it is set to is not that)")] {
        let why = ask(token, &["why", "a"]).with_code(1).stdout;
        assert!(
            why.contains(") was last recorded as awaiting: up, waiting for a trigger; the runtime could not be asked\n"),
            "{why}"
        );
        assert!(why.contains("set FLYBALL_TOKEN to the one that it was started with") && why.contains(how), "{why}");
        assert!(!why.contains("cut off") && !why.contains("nobody runs it"), "{why}");
        let refused = ask(token, &["ps"]).with_code(1).stderr;
        assert!(refused.contains("set FLYBALL_TOKEN") && !refused.contains("Bearer"), "{refused}");
    }
    let why = ask("open-sesame", &["why", "a"]).with_code(0).stdout;
    assert!(why.contains(") is awaiting: "), "{why}");
}
