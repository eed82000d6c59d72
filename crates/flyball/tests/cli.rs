#![cfg(test)]
//! The commands that speak to a running instance, with the real programs.

mod binary;
#[path = "cli/clocks.rs"]
mod clocks;
#[path = "cli/dlq.rs"]
mod dlq;
#[path = "cli/doubt.rs"]
mod doubt;
#[path = "cli/frozen.rs"]
mod frozen;
#[path = "cli/hangup.rs"]
mod hangup;
#[path = "cli/logged.rs"]
mod logged;
#[path = "cli/places.rs"]
mod places;
#[path = "cli/resolve.rs"]
mod resolve;
#[path = "cli/silent.rs"]
mod silent;
#[path = "cli/steer.rs"]
mod steer;
#[path = "cli/waiting.rs"]
mod waiting;

use binary::{LONG, Live, Scene, eventually, finish};
use flyball_core_agent::TriggerEvent;
use flyball_journal::Entry;
use serde_json::json;

/// A sound file, so that nobody has anything to repair.
const SOUND: &str = "weather-2012-03.csv";

/// The example, waiting for what it is asked.
fn instance() -> (Scene, Live) {
    instance_with(&[])
}

fn instance_with(args: &[&str]) -> (Scene, Live) {
    let scene = Scene::new();
    let mut live = Live::start(scene.run().args(["--until", "signal"]).args(args).env("PIPELINE_INCIDENT", "off"));
    live.says("mission begins");
    eventually(LONG, || scene.ask(&["ps"]).stdout.matches("awaiting").count().eq(&3).then_some(())).expect("all three are up");
    (scene, live)
}

/// The events that a process took in, oldest first.
fn events(scene: &Scene, process: &str) -> Vec<TriggerEvent> {
    let of_process = scene.records().into_iter().filter(|record| record.process == process);
    let events = of_process.filter_map(|record| match record.entry {
        Entry::TriggerEvent { event, .. } => Some(event),
        _ => None,
    });
    events.collect()
}

/// The words of an error, once and on one line.
fn complaint(scene: &Scene, args: &[&str], code: i32) -> String {
    let ended = scene.ask(args).with_code(code);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    ended.stderr
}

#[test]
fn ps_shows_each_process_on_a_line_and_as_json() {
    let (scene, _live) = instance();
    let table = scene.ask(&["ps"]).with_code(0).stdout;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("NAME ") && table.contains("\nanalyst          awaiting "), "{table}");

    let status = scene.ask_json(&["ps"]);
    assert_eq!(status["process_count"], 3);
    for name in ["analyst", "monitor", "responder"] {
        let process = &status["processes"][name];
        assert_eq!(process["name"], name);
        // The monitor's clock may just have struck.
        let state = process["state"].as_str().unwrap_or_default();
        assert!(state == "awaiting" || (name == "monitor" && state == "running"), "{process}");
        assert!(process["invocation_count"].is_u64() && process["consecutive_failures"] == 0, "{process}");
        assert!(process["uptime_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{process}");
    }
}

#[test]
fn nothing_is_coloured_where_nobody_looks() {
    let (scene, live) = instance();
    let said = [scene.ask(&["ps"]).stdout, scene.ask(&["logs"]).stdout, scene.ask(&["logs", "nobody"]).stderr];
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    for text in said.into_iter().chain([ended.stdout, ended.stderr]) {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[test]
fn logs_can_be_cut_short_and_kept_to_one_process() {
    let (scene, _live) = instance();
    let before = scene.ask(&["logs"]).with_code(0).stdout;
    let last = scene.ask(&["logs", "-n", "2"]).with_code(0).stdout;
    let all = scene.ask(&["logs"]).with_code(0).stdout;
    // The date stands over them.
    let (date, last) = last.split_once('\n').expect("there are lines");
    assert!(date.starts_with("-- 20") && date.contains(", times at +00:00 --"), "{date}");
    assert_eq!(last.lines().count(), 2);
    // The instance goes on meanwhile.
    let end = all.find(last).map(|start| start + last.len());
    assert!(end.is_some_and(|end| end >= before.len()), "{last} is not the end of {all}");
    let one = scene.ask(&["logs", "responder"]).with_code(0).stdout;
    assert!(one.lines().count() > 1 && one.lines().skip(1).all(|line| line.contains(" responder ")), "{one}");
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    let (scene, _live) = instance();
    for args in [vec!["logs", "monitr"], vec!["fire", "monitr"], vec!["stop", "monitr"]] {
        let told = complaint(&scene, &args, 1);
        assert!(told.contains("'monitr'") && told.contains("analyst, monitor, responder"), "{told}");
    }
}

#[test]
fn an_emitted_event_reaches_its_listener_with_its_payload_and_is_counted() {
    let (scene, mut live) = instance();
    let data = json!({"file": SOUND, "problem": "none really"});
    let told = scene.ask(&["emit", "alert.critical", "--data", &data.to_string()]).with_code(0);
    assert_eq!(told.stdout, "1 process took alert.critical\n");
    live.says("The cause is found");
    let event = &events(&scene, "analyst")[0];
    assert_eq!((&event.payload["data"], &event.payload["source"]), (&data, &json!("cli")));

    let analyst = eventually(LONG, || {
        let analyst = scene.ask_json(&["ps"])["processes"]["analyst"].clone();
        (analyst["invocation_count"] == 1).then_some(analyst)
    });
    assert_eq!(analyst.expect("its run is counted")["triggers"][0]["fired"], 1);
    assert_eq!(scene.ask_json(&["emit", "nobody.listens"]), json!({"delivered": 0}));
}

#[test]
fn an_event_that_a_filter_keeps_out_is_counted_with_its_reason() {
    let scene = Scene::new();
    scene.edit(
        "analyst.agent",
        "event_type: alert.critical",
        "event_type: alert.critical\n    filter_expression: data.rows > 10",
    );
    let mut live = Live::start(scene.run().args(["--until", "signal"]).env("PIPELINE_INCIDENT", "off"));
    live.says("mission begins");
    eventually(LONG, || scene.ask(&["ps"]).stdout.matches("awaiting").count().eq(&3).then_some(())).expect("all three are up");
    assert_eq!(scene.ask_json(&["emit", "alert.critical", "--data", r#"{"rows": 3}"#]), json!({"delivered": 0}));
    assert_eq!(scene.ask_json(&["emit", "alert.critical", "--data", r#"{"file": "a.csv"}"#]), json!({"delivered": 0}));
    assert!(events(&scene, "analyst").is_empty());

    let shown = || Some(scene.ask_json(&["ps"])["processes"]["analyst"]["triggers"][0].clone());
    let trigger = eventually(LONG, || shown().filter(|trigger| trigger["filtered"] == 2)).expect("both are counted");
    let reason = "filter_expression failed: there is no key 'rows'; `has` asks whether there is";
    assert!(trigger["last_filtered"].as_str().is_some_and(|last| last.ends_with(reason)), "{trigger}");
    let told = scene.ask(&["why", "analyst"]).with_code(0).stdout;
    let line = told.lines().find(|line| line.starts_with("  filter    event alert.critical let 2 ")).expect("why tells of it");
    assert!(line.contains(" events not through, the last at ") && line.ends_with(reason), "{told}");
}

#[test]
fn a_message_that_is_sent_reaches_its_topic() {
    let (scene, mut live) = instance();
    let content = json!({"action": "reload", "file": SOUND, "reason": "a test"});
    let told = scene.ask(&["send", "analysis.complete", "--data", &content.to_string()]).with_code(0);
    assert_eq!(told.stdout, "1 process took the message to analysis.complete\n");
    live.says("> rerun_load");
    assert_eq!(events(&scene, "responder")[0].payload["content"], content);
}

#[test]
fn an_event_that_is_fired_reaches_the_one_process() {
    let (scene, mut live) = instance();
    let answer = scene.ask_json(&["fire", "monitor", "--data", r#"{"number": 7}"#]);
    assert_eq!(answer["duplicate"], false);
    live.says("woken by manual: {\"number\":7}");
    let fired = events(&scene, "monitor").into_iter().find(|event| event.trigger_type == "manual").expect("it is in the journal");
    assert_eq!((&answer["event_id"], &fired.payload), (&json!(fired.event_id), &json!({"number": 7})));
}

#[test]
fn data_that_is_no_json_is_refused_before_anything_is_sent() {
    let (scene, _live) = instance();
    let refused = scene.ask(&["emit", "alert.critical", "--data", "hello"]).with_code(2);
    assert!(refused.stderr.contains("--data") && refused.stderr.contains("text needs quotes of its own"), "{}", refused.stderr);
    let refused = scene.ask(&["emit", "x", "--data", "."]).with_code(2);
    assert!(refused.stderr.contains("`flyball --data . …`"), "{}", refused.stderr);
    assert!(events(&scene, "analyst").is_empty());
}

#[test]
fn one_process_is_stopped_and_the_others_go_on() {
    let (scene, _live) = instance();
    assert_eq!(scene.ask(&["stop", "analyst"]).with_code(0).stdout, "analyst has stopped\n");
    let processes = &scene.ask_json(&["ps"])["processes"];
    assert_eq!((&processes["analyst"]["state"], &processes["monitor"]["state"]), (&json!("stopped"), &json!("awaiting")));
    assert_eq!(processes["analyst"]["uptime_seconds"].as_f64(), Some(0.0));
    assert_eq!(scene.ask_json(&["emit", "alert.critical"]), json!({"delivered": 0}));
    let told = complaint(&scene, &["fire", "analyst"], 1);
    assert!(
        told.contains("analyst is not taking events: it is stopped (asked to stop); `flyball start analyst --data data`"),
        "{told}"
    );
}

#[test]
fn the_instance_is_stopped_and_another_can_begin_at_once() {
    let (scene, live) = instance();
    let told = scene.ask(&["stop"]).with_code(0).stdout;
    assert_eq!(told, format!("the runtime (pid {}) has stopped\n", live.pid()));
    let mut again = Live::start(scene.run().args(["--until", "signal"]).env("PIPELINE_INCIDENT", "off"));
    again.says("responder    . started");
    let ended = live.end(LONG).with_code(0);
    assert!(ended.stdout.contains("\nended by SIGTERM\n"), "{}", ended.stdout);
    // The first one's end took nothing away from the second.
    scene.ask(&["stop"]).with_code(0);
    again.end(LONG).with_code(0);
}

#[test]
fn a_second_instance_on_the_same_data_is_refused_and_told_of_the_first() {
    let (scene, live) = instance();
    let second = finish(&mut scene.run(), LONG).with_code(1);
    assert!(second.stderr.contains(&format!("(pid {})", live.pid())), "{}", second.stderr);
    assert!(second.stderr.contains("stop that one first, or choose another data directory"), "{}", second.stderr);
    scene.ask(&["ps"]).with_code(0);
}

#[test]
fn without_an_instance_every_command_says_how_to_start_one() {
    let scene = Scene::empty();
    for args in [
        vec!["ps"],
        vec!["stop"],
        vec!["stop", "monitor"],
        vec!["emit", "a.b"],
        vec!["send", "a.b"],
        vec!["fire", "monitor"],
        vec!["start", "monitor"],
        vec!["pause", "monitor"],
        vec!["resume", "monitor"],
    ] {
        let told = complaint(&scene, &args, 1);
        assert!(told.contains("no runtime is running on data: start one with `flyball run DIR --data data`"), "{told}");
    }
    let told = complaint(&scene, &["logs"], 1);
    assert!(told.contains("there is no journal under data") && told.contains("--data"), "{told}");
}

#[test]
fn an_instance_that_was_killed_is_told_from_another_one_at_its_address() {
    // An address that no neighbour takes once it is free again: each of them looks for a port of 127.0.0.1.
    let free = std::net::TcpListener::bind(("127.0.0.9", 0)).and_then(|free| free.local_addr());
    let address = &*free.expect("a loopback address").to_string();
    let (scene, mut live) = instance_with(&["--listen", address]);
    live.kill9();
    let told = complaint(&scene, &["ps"], 1);
    assert!(told.contains("does not answer") && told.contains("`flyball run DIR --data data` goes on"), "{told}");

    // The port is free again, and somebody else's instance takes it.
    let other = Scene::new();
    let mut stranger = Live::start(other.run().args(["--listen", address]).env("PIPELINE_INCIDENT", "off"));
    stranger.says("mission begins");
    for args in [vec!["ps"], vec!["stop"], vec!["emit", "alert.critical"]] {
        let told = complaint(&scene, &args, 1);
        assert!(told.contains("is gone, and another one answers at"), "{told}");
    }
    assert!(other.ask(&["ps"]).with_code(0).stdout.contains("monitor"));
}

#[test]
fn the_data_directory_may_come_from_the_environment() {
    let (scene, _live) = instance();
    for args in [vec!["ps"], vec!["logs"], vec!["emit", "nobody.listens", "--data", "{}"]] {
        finish(scene.flyball(&args).env("FLYBALL_DATA", "data"), LONG).with_code(0);
    }
    finish(scene.flyball(&["ps", "--data", "data"]).env("FLYBALL_DATA", "nowhere"), LONG).with_code(0);
}

#[test]
fn an_instance_with_a_token_is_reached_with_the_token_only() {
    let scene = Scene::new();
    let mut run = scene.run();
    let mut live = Live::start(run.env("PIPELINE_INCIDENT", "off").env("FLYBALL_TOKEN", "t0ken"));
    live.says("mission begins");
    let stranger = complaint(&scene, &["ps"], 1);
    assert!(stranger.contains("token"), "{stranger}");
    finish(scene.flyball(&["ps", "--data", "data"]).env("FLYBALL_TOKEN", "t0ken"), LONG).with_code(0);
    assert!(!std::fs::read_to_string(scene.data().join("instance.json")).unwrap().contains("t0ken"));
}
