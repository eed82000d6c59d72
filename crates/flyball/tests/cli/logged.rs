//! What is logged of a process says whose it is, wherever in it something went wrong.

use serde_json::json;

use crate::binary::{LONG, Live, Scene};

/// One event ends its life, of another it cannot be told whether it passes the filter.
const AGENT: &str = r#"
name: unlucky
model: "scripted:script.yaml"
triggers:
  - {type: event, event_type: work}
  - {type: event, event_type: odd, filter_expression: "payload.data.size > 1"}
config: {max_consecutive_failures: 1, restart_policy: never}
"#;

#[test]
fn a_line_of_the_log_names_the_process_that_fails_and_that_of_a_trigger() {
    let scene = Scene::empty();
    scene.write("unlucky.agent", AGENT);
    scene.write("script.yaml", "rules: [{when: {event: never}, say: done}]");
    let mut live = Live::start(&mut scene.run());
    live.says("ready");
    scene.ask(&["emit", "odd", "--data", &json!("text").to_string()]).with_code(0);
    scene.ask(&["emit", "work"]).with_code(0);
    let log = live.end(LONG).stderr;
    for what in ["the event is ignored", "the process failed"] {
        let line = log.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {log}"));
        assert!(line.contains("process{name=unlucky}"), "{line}");
    }
}
