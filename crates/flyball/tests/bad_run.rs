#![cfg(test)]
//! What goes wrong when agents are run: each time a clear line, an exit code or another try, and
//! never a panic.

mod binary;

use std::net::TcpListener;
use std::time::Duration;

use binary::{Ended, LONG, Live, Scene, finish};
use flyball_core_agent::testing::{OpenAiServer, RawReply};
use serde_json::json;

/// A script in which one thing is said, whatever happens.
const SCRIPT: &str = "rules:\n  - say: \"all is well\"\n";

/// One agent that an event wakes, with `more` in its manifest.
fn lone(model: &str, more: &str) -> Scene {
    let scene = Scene::empty();
    let manifest = format!("name: lone\nmodel: {model}\ntriggers: [{{type: event, event_type: go}}]\n{more}\n");
    scene.write("lone.agent", &manifest);
    scene.write("lone.script.yaml", SCRIPT);
    scene
}

fn scripted(more: &str) -> Scene {
    lone("scripted:lone.script.yaml", more)
}

/// A run that does not come up: the last line on stderr says why, and nothing is left running.
fn refused(scene: &Scene, args: &[&str], code: i32, words: &[&str]) -> Ended {
    let ended = finish(scene.run().args(args), Duration::from_secs(90)).with_code(code);
    // A manifest's mistake comes with the line that it stands in.
    let told = if code == 1 { ended.stderr.lines().last().unwrap_or_default() } else { &ended.stderr };
    for word in words {
        assert!(told.contains(word), "'{word}' is not in: {told}");
    }
    assert!(scene.servers_left(LONG).is_empty(), "a server was left running");
    assert!(!scene.data().join("instance.json").exists(), "the instance says that it is running");
    ended
}

#[test]
fn a_server_whose_program_is_not_there_is_named_with_what_to_do() {
    let scene = scripted("servers: {tool: {command: no-such-program}}");
    let words = ["lone did not start", "server 'tool'", "'no-such-program' is neither beside flyball nor in PATH", "install it"];
    refused(&scene, &[], 1, &words);
    let scene = scripted("servers: {tool: {command: ./no-such-program}}");
    refused(&scene, &[], 1, &["server 'tool': there is no program at", "/no-such-program"]);
}

#[test]
fn a_server_that_ends_at_once_is_quoted() {
    let scene = scripted(r#"servers: {tool: {command: sh, args: [-c, "echo no config file >&2; exit 3"]}}"#);
    refused(&scene, &[], 1, &["server 'tool'", "cannot be connected to", "it said: no config file"]);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let scene = scripted(r#"servers: {tool: {command: sleep, args: ["600"]}}"#);
    refused(&scene, &[], 1, &["server 'tool' was not ready within 30 s"]);
}

#[test]
fn a_server_that_cannot_be_reached_by_http_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = scripted(&format!("servers: {{tool: {{url: \"http://{free}/mcp\"}}}}"));
    refused(&scene, &[], 1, &["server 'tool'", &free.to_string(), "refused"]);
}

#[test]
fn one_agent_that_cannot_start_does_not_keep_the_others_from_running() {
    let scene = scripted("");
    scene.write("other.agent", "name: other\nmodel: scripted:lone.script.yaml\nservers: {tool: {command: no-such-program}}\n");
    let mut live = Live::start(&mut scene.run());
    live.says("x failed: server 'tool'");
    emit_go(&scene);
    live.says("+ all is well");
    let other = &scene.ask_json(&["ps"])["processes"]["other"];
    assert_eq!((&other["state"], &other["given_up"]), (&json!("failed"), &json!(true)));
    assert!(other["reason"].as_str().is_some_and(|why| why.contains("no-such-program")), "{other}");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert!(ended.stderr.contains("warning: other did not start: server 'tool'"), "{}", ended.stderr);
}

#[test]
fn a_server_that_is_there_later_is_connected_to_as_the_restart_policy_says() {
    let scene = scripted("servers: {tool: {command: ./tool}}\nconfig: {restart_policy: on_failure, restart_backoff: 0.2}");
    let mut live = Live::start(&mut scene.run());
    live.says("x failed: server 'tool': there is no program at");
    let tool = r#"#!/bin/sh
while read -r line; do
  id=$(echo "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) result='{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"t","version":"0"}}' ;;
    *) result='{"tools":[]}' ;;
  esac
  [ -z "$id" ] || echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$result}"
done
"#;
    scene.write("tool.new", tool);
    let (new, tool) = (scene.example().join("tool.new"), scene.example().join("tool"));
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(new, tool).unwrap();
    emit_go(&scene);
    live.says("+ all is well");
    live.signal("TERM");
    live.end(LONG).with_code(0);
}

#[test]
fn a_damaged_agent_says_so_and_the_others_run() {
    let scene = scripted("");
    scene.write("other.script.yaml", "rules:\n  - say: \"the other one is well\"\n");
    let other = "name: other\nmodel: scripted:other.script.yaml\ntriggers: [{type: event, event_type: go}]\n";
    scene.write("other.agent", other);
    let mut live = Live::start(&mut scene.run());
    live.says("other        . started");
    binary::eventually(LONG, || (scene.ask_json(&["emit", "go"])["delivered"] == 2).then_some(())).expect("both take it");
    live.says("+ the other one is well");
    live.signal("TERM");
    live.end(LONG).with_code(0);
    damage(&scene, "the other one is well");

    for (about, code) in [(["why", "other"], 0), (["runs", "other"], 0), (["journal", "verify"], 1)] {
        let ended = scene.ask(&about).with_code(code);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        let word = if code == 0 { "`flyball journal verify`" } else { "refuse to start" };
        assert!(said.contains(word) && !said.contains("goes on from here"), "{said}");
    }
    let mut live = Live::start(&mut scene.run());
    live.says("lone         . started");
    emit_go(&scene);
    live.says("+ all is well");
    let other = &scene.ask_json(&["ps"])["processes"]["other"];
    assert_eq!((&other["state"], &other["given_up"]), (&json!("failed"), &json!(true)));
    assert!(other["reason"].as_str().is_some_and(|why| why.contains("its journal is damaged")), "{other}");
    assert!(scene.ask(&["why", "other"]).with_code(0).stdout.contains("  damaged   its journal is damaged"));
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert!(ended.stderr.contains("warning: other did not start: its journal is damaged"), "{}", ended.stderr);

    std::fs::remove_file(scene.example().join("lone.agent")).unwrap();
    refused(&scene, &[], 1, &["other did not start: its journal is damaged", "`flyball journal verify`"]);
}

/// Changes one byte of the only record with these words.
fn damage(scene: &Scene, words: &str) {
    let mut changed = 0;
    for entry in std::fs::read_dir(scene.data().join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(mut bytes) = std::fs::read(&path) else { continue };
        let Some(at) = bytes.windows(words.len()).position(|part| part == words.as_bytes()) else { continue };
        bytes[at] ^= 0x20;
        std::fs::write(&path, bytes).unwrap();
        changed += 1;
    }
    assert_eq!(changed, 1, "one segment has the record");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_answers_500_is_asked_again_a_few_times_and_the_next_event_is_handled() {
    let down = RawReply::error(500, "server_error", "the model is on holiday").header("retry-after-ms", "1");
    let replies = std::iter::repeat_n(down, 4).chain([RawReply::says("back from holiday")]);
    let server = OpenAiServer::with_replies(replies).await.unwrap();
    let scene = lone("openai:test-model", "");
    let mut run = scene.run();
    let mut live = Live::start(run.env("OPENAI_BASE_URL", server.base_url()).env("OPENAI_API_KEY", "canary-key-5531"));
    live.says("lone         . started");
    emit_go(&scene);
    let failed = live.says("x the run failed: ");
    assert!(failed.contains("500") && failed.contains("the model is on holiday"), "{failed}");
    assert_eq!(server.hits(), 4, "one try and three more");

    emit_go(&scene);
    live.says("+ back from holiday");
    let status = &scene.ask_json(&["ps"])["processes"]["lone"];
    assert_eq!((&status["consecutive_failures"], &status["invocation_count"]), (&json!(0), &json!(2)));
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("canary-key-5531"));
    assert!(server.violations().is_empty(), "{:?}", server.violations());
}

#[test]
fn a_model_that_cannot_be_reached_fails_the_run_and_not_the_process() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = lone("openai:test-model", "");
    let mut live = Live::start(scene.run().env("OPENAI_BASE_URL", format!("http://{free}/v1")));
    live.says("lone         . started");
    emit_go(&scene);
    let failed = live.says("x the run failed: ");
    assert!(failed.contains("refused"), "{failed}");
    let status = &scene.ask_json(&["ps"])["processes"]["lone"];
    assert_eq!((&status["state"], &status["consecutive_failures"]), (&json!("awaiting"), &json!(1)));
    live.signal("TERM");
    live.end(LONG).with_code(0);
}

#[test]
fn a_run_that_is_tried_again_is_not_told_as_one_that_was_cut_off() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = lone("openai:test-model", "config: {trigger_delivery: {max_retries: 2, retry_backoff: 0.1}}");
    let mut live = Live::start(scene.run().env("OPENAI_BASE_URL", format!("http://{free}/v1")));
    live.says("lone         . started");
    emit_go(&scene);
    live.says("lone         . tries again (attempt 2 of 3)");
    live.says("lone         . tries again (attempt 3 of 3)");
    live.says("x the run failed: ");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
}

#[test]
fn a_run_whose_only_process_is_given_up_ends_by_itself_and_says_why() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scene = lone("openai:test-model", "config: {max_consecutive_failures: 1}");
    let mut live = Live::start(scene.run().env("OPENAI_BASE_URL", format!("http://{free}/v1")));
    live.says("lone         . started");
    emit_go(&scene);
    live.says("x failed: a run failed");
    let ended = live.end(LONG).with_code(1);
    assert!(ended.stdout.contains("no process is alive any more") && ended.stdout.contains("failed"), "{}", ended.stdout);
}

#[test]
fn a_model_without_its_key_or_with_an_unusable_address_is_told_before_anything_runs() {
    let scene = lone("openai:test-model", "");
    let ended = finish(scene.run().env("OPENAI_BASE_URL", "not a url"), LONG).with_code(1);
    assert!(ended.stderr.contains("OPENAI_BASE_URL cannot be used"), "{}", ended.stderr);
    let scene = lone("gpt-5", "");
    let ended = finish(&mut scene.run(), LONG);
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("openai:NAME"), "{}", ended.stderr);
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let scene = scripted("");
    let words = [&*format!("{address} is in use"), "stop what listens there, or choose another address"];
    refused(&scene, &["--listen", &address.to_string()], 1, &words);
    refused(&scene, &["--listen", "nonsense"], 1, &["'nonsense' is no address", "HOST:PORT"]);

    let scene = Scene::empty();
    scene.write("lone.script.yaml", SCRIPT);
    let trigger = format!("triggers: [{{type: webhook, webhook_port: {}}}]", address.port());
    scene.write("lone.agent", &format!("name: lone\nmodel: scripted:lone.script.yaml\n{trigger}\n"));
    let words = [&*format!("webhook cannot listen on {address}"), "stop what listens there, or set another webhook_port"];
    refused(&scene, &[], 1, &words);
}

#[test]
fn a_tool_that_no_server_has_is_answered_with_the_one_that_was_meant() {
    let scene = scripted("tools: {emit_evnt: {effect: idempotent}}");
    let words = ["tools.emit_evnt: no tool is named 'emit_evnt'; did you mean 'emit_event'?; there are: ", "publish_message"];
    refused(&scene, &[], 1, &words);
}

#[test]
fn a_data_directory_that_cannot_be_one_is_named() {
    let scene = scripted("");
    std::fs::write(scene.data(), "a file").unwrap();
    let ended = finish(&mut scene.run(), LONG).with_code(1);
    assert!(ended.stderr.contains("data/journal") && ended.stderr.contains("not a directory"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--data"), "{}", ended.stderr);
}

#[test]
fn a_directory_without_manifests_is_told_what_a_manifest_is() {
    let ended = finish(&mut Scene::empty().run(), LONG).with_code(2);
    assert_eq!(ended.stderr, "example: holds no manifest; a manifest's name ends in `.agent`\n");
    let ended = finish(&mut Scene::empty().flyball(&["run", "nowhere"]), LONG).with_code(2);
    assert!(ended.stderr.starts_with("nowhere: cannot be read"), "{}", ended.stderr);
}

#[test]
fn a_script_with_a_mistake_is_told_with_its_line_and_column() {
    let scene = scripted("");
    scene.write("lone.script.yaml", "rules:\n  - sya: fine\n");
    refused(&scene, &[], 2, &["lone.script.yaml:2:5: unknown field 'sya'", "say"]);
    std::fs::remove_file(scene.example().join("lone.script.yaml")).unwrap();
    refused(&scene, &[], 2, &["cannot read the model's script", "lone.script.yaml"]);
}

#[test]
fn a_start_that_hangs_ends_at_a_signal() {
    let scene = scripted(r#"servers: {tool: {command: sleep, args: ["600"]}}"#);
    let mut live = Live::start(&mut scene.run());
    live.says("lone         . started");
    binary::eventually(LONG, || (!scene.servers().is_empty()).then_some(())).expect("the server was started");
    live.signal("INT");
    let ended = live.end(Duration::from_secs(20)).with_code(0);
    assert!(ended.stdout.contains("ended by SIGINT\n  lone  stopped    0 runs\n"), "{}", ended.stdout);
    assert!(scene.servers_left(LONG).is_empty(), "the server was left running");
    assert!(!scene.data().join("instance.json").exists());
}

#[test]
fn a_signal_while_one_agent_hangs_in_its_start_ends_the_others_in_order() {
    let scene = scripted(r#"servers: {tool: {command: sleep, args: ["600"]}}"#);
    scene.write("well.agent", "name: well\nmodel: scripted:lone.script.yaml\ntriggers: [{type: event, event_type: to.well}]\n");
    let mut live = Live::start(&mut scene.run());
    live.says("well         . ready");
    scene.ask(&["emit", "to.well"]).with_code(0);
    live.says("well         + all is well");
    live.signal("TERM");
    let ended = live.end(Duration::from_secs(20)).with_code(0);
    let summary = "ended by SIGTERM\n  lone  stopped    0 runs\n  well  stopped    1 run\n";
    assert!(ended.stdout.ends_with(summary), "{}", ended.stdout);
    assert!(scene.servers_left(LONG).is_empty(), "the server was left running");
}

/// Wakes the agent, once it listens.
fn emit_go(scene: &Scene) {
    let taken = binary::eventually(LONG, || (scene.ask_json(&["emit", "go"])["delivered"] == 1).then_some(()));
    taken.expect("the agent takes the event");
}

#[test]
fn too_few_file_descriptors_are_an_error_and_no_panic() {
    for files in 4..12 {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" ps"), env!("CARGO_BIN_EXE_flyball")]);
        let ended = finish(&mut shell, LONG).with_code(1);
        assert!(!ended.stderr.contains("panicked"), "{files}: {}", ended.stderr);
    }
}
