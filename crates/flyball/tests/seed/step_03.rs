//! Step 3: state with an audit trail, memory, conversation, environment and files.

use serde_json::json;

use crate::support::{ECHO, World, at, fire, run_times, runs};

const TRACKER: &str = r"
name: tracker
instructions: You track pipeline health over time.
triggers: [{type: cron, cron_expression: '*/5 * * * *'}]
context:
  initial_state: {alert_count: 0, last_healthy: null, known_issues: []}
  writable_keys: [alert_count, last_healthy]
";

/// Writes one key that it may write, and one that it may not.
const WRITES: &str = r"
rules:
  - when: {step: t0}
    call:
      - {tool: set_state, args: {key: alert_count, value: 1}}
      - {tool: set_state, args: {key: known_issues, value: [rows]}}
      - {tool: set_state, args: {key: invented, value: 1}}
  - when: {step: t1}
    call: [{tool: get_state}]
  - when: {after: get_state, result: '(?<state>.*)'}
    say: '{{state}}'
";

#[tokio::test]
async fn the_state_is_shown_to_every_run() {
    let world = World::new();
    world.script(ECHO);
    let process = world.start(TRACKER).await;
    run_times(&process, 1).await;
    let shown = world.read("tracker").await.last_reply().to_owned();
    assert!(shown.contains(r#"[Context State]"#), "{shown}");
    assert!(shown.contains(r#"{"alert_count":0,"known_issues":[],"last_healthy":null}"#), "{shown}");
}

#[tokio::test]
async fn the_agent_writes_the_keys_that_it_may_and_no_other() {
    let world = World::new();
    world.script(WRITES);
    let process = world.start(TRACKER).await;
    run_times(&process, 1).await;
    let reading = world.read("tracker").await;
    let results = reading.results();
    assert!(!results[0].0.is_error);
    for (reply, _) in &results[1..3] {
        assert!(reply.is_error && reply.text.contains("alert_count, last_healthy"), "{reply:?}");
    }
    // It sees its own write at once.
    assert_eq!(reading.last_reply(), r#"{"alert_count":1,"known_issues":[],"last_healthy":null}"#);
    let snapshot = json!({"alert_count": 1, "known_issues": [], "last_healthy": null});
    assert_eq!(json!(world.context("tracker").state().snapshot()), snapshot);
}

#[tokio::test]
async fn every_write_is_in_the_keys_history_with_its_source_and_outlives_a_restart() {
    let world = World::new();
    world.script(WRITES);
    let process = world.start(TRACKER).await;
    world.minutes(2);
    runs(&process, 1).await;
    let later = world.after_a_crash();
    for world in [&world, &later] {
        if world.runtime.processes().is_empty() {
            world.start(TRACKER).await;
        }
        let history = world.context("tracker").state().history("alert_count");
        let said: Vec<_> = history.iter().map(|entry| (entry.value.clone(), entry.source.as_str())).collect();
        assert_eq!(said, [(json!(0), "system"), (json!(1), "agent")]);
        assert_eq!(history[1].timestamp, at("2026-03-02T09:00:00Z"));
    }
    assert_eq!(later.context("tracker").state().get("alert_count"), Some(json!(1)));
}

#[tokio::test]
async fn a_run_that_fails_writes_nothing() {
    let world = World::new();
    world.script("rules:\n  - when: {step: t0}\n    call: [{tool: set_state, args: {key: alert_count, value: 9}}]\n");
    let process = world.start(TRACKER).await;
    run_times(&process, 1).await;
    assert_eq!(process.status().consecutive_failures, 1);
    assert_eq!(world.context("tracker").state().get("alert_count"), Some(json!(0)));
}

/// Answers `look` with all that it was shown, and `N` with `answer N`.
const TALKS: &str = r#"
rules:
  - when: {event: '"say": "look"', shown: '(?s)(?<all>.*)'}
    say: "{{all}}"
  - when: {event: '"say": "(?<n>\d+)"'}
    say: "answer {{n}}"
"#;

#[tokio::test]
async fn the_conversation_is_given_to_the_next_runs_and_never_grows_past_its_limit() {
    let world = World::new();
    world.script(TALKS);
    let manifest = "name: talker\ncontext: {conversation_max_messages: 4}";
    let process = world.start(manifest).await;
    for n in 1..=3 {
        fire(&process, json!({"say": n.to_string()})).await;
        runs(&process, n).await;
    }
    let later = world.after_a_crash();
    for (world, count) in [(&world, 4), (&later, 4)] {
        if world.runtime.processes().is_empty() {
            world.start(manifest).await;
        }
        let process = world.runtime.get_process("talker").expect("it is there");
        fire(&process, json!({"say": "look"})).await;
        runs(&process, count).await;
        let shown = world.read("talker").await.last_reply().to_owned();
        assert!(!shown.contains("answer 1"), "two exchanges are four messages: {shown}");
        let second = shown.find("answer 2").expect("the second exchange");
        assert!(second < shown.find("answer 3").expect("the third exchange"), "{shown}");
    }
}

#[tokio::test]
async fn what_was_said_is_remembered_and_found_again_after_a_restart() {
    let world = World::new();
    world.script(TALKS);
    let manifest = "name: talker\ncontext: {memory_provider: embedded, memory_auto_store: true, conversation_history: false}";
    let process = world.start(manifest).await;
    fire(&process, json!({"say": "1", "about": "the weather pipeline has late rows"})).await;
    runs(&process, 1).await;
    let later = world.after_a_crash();
    let process = later.start(manifest).await;
    fire(&process, json!({"say": "look", "about": "late rows in the weather pipeline"})).await;
    runs(&process, 2).await;
    let shown = later.read("talker").await.last_reply().to_owned();
    assert!(shown.contains("[Memory]") && shown.contains("Assistant: answer 1"), "{shown}");
}

#[tokio::test]
async fn variables_with_the_prefix_and_the_names_of_mounted_files_are_shown() {
    let world = World::new();
    world.script(ECHO);
    world.file("config.yaml", "rows: 366\n");
    let manifest = "name: reader\ncontext: {env_prefix: CARGO_PKG_, file_mounts: {config: config.yaml, runbook: gone.md}}";
    let process = world.start(manifest).await;
    run_times(&process, 1).await;
    let shown = world.read("reader").await.last_reply().to_owned();
    assert!(shown.contains("[Environment]") && shown.contains("CARGO_PKG_NAME=flyball"), "{shown}");
    assert!(!shown.contains("CARGO_MANIFEST_DIR"), "{shown}");
    assert!(shown.contains("[Files]") && shown.contains("config, runbook"), "{shown}");
}

#[tokio::test]
async fn a_mounted_file_is_read_as_it_is_at_the_moment() {
    let world = World::new();
    world.file("config.yaml", "rows: 366\n");
    world.script(
        r"
rules:
  - when: {after: read_file_mount, result: '(?<text>rows.*)'}
    say: '{{text}}'
  - call: [{tool: read_file_mount, args: {name: config}}]
",
    );
    let process = world.start("name: reader\ncontext: {file_mounts: {config: config.yaml}}").await;
    run_times(&process, 1).await;
    world.file("config.yaml", "rows: 12\n");
    run_times(&process, 1).await;
    let reading = world.read("reader").await;
    assert_eq!(reading.outcomes().iter().map(|outcome| outcome.reply.as_str()).collect::<Vec<_>>(), ["rows: 366", "rows: 12"]);
}

#[tokio::test]
async fn without_a_prefix_nothing_of_the_environment_is_shown() {
    let world = World::new();
    world.script(ECHO);
    let process = world.start("name: plain").await;
    run_times(&process, 1).await;
    let shown = world.read("plain").await.last_reply().to_owned();
    assert!(!shown.contains("[Environment]") && !shown.contains("[Files]") && !shown.contains("[Memory]"), "{shown}");
}
