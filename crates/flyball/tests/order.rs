#![cfg(test)]
//! What is durable before what leaves, by the order of the real program's system calls.

mod binary;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use binary::{LONG, Live, Scene, eventually, traced};
use flyball_core_agent::scripted::ScriptedModel;
use flyball_core_agent::testing::{OpenAiServer, Place};
use serde_json::Value;

const EVENTS: usize = 5;

/// Two calls that change something, side by side, and a word about them.
const SCRIPT: &str = r#"
rules:
  - {when: {after: rerun_load}, say: both are made}
  - call:
      - {tool: quarantine_file, args: {file: no-such-file.csv, reason: a test, admin_key: none}}
      - {tool: rerun_load, args: {admin_key: none}}
"#;

/// The calls that write, and the one that makes durable.
const CALLS: &str = "trace=pwrite64,fdatasync,write,writev,sendto,sendmsg";

fn scene(port: u16) -> Scene {
    let scene = Scene::new();
    for other in ["monitor.agent", "analyst.agent", "responder.agent"] {
        std::fs::remove_file(scene.example().join(other)).expect("removed");
    }
    let manifest = format!(
        "name: hook\nmodel: openai:test\ntriggers: [{{type: webhook, webhook_path: /go, webhook_port: {port}}}]\n\
         servers: {{pipeline: {{command: pipeline-ops-server, args: [--pipeline, work, --seed, data], cwd: .}}}}\n\
         tools: {{rerun_load: {{effect: idempotent}}}}\n"
    );
    scene.write("hook.agent", &manifest);
    scene.write("hook.yaml", SCRIPT);
    scene
}

async fn model(scene: &Scene) -> OpenAiServer {
    let script = ScriptedModel::from_file(scene.example().join("hook.yaml")).expect("a good script");
    let place = |_: &Value| Place { process: "hook".into(), step: None };
    OpenAiServer::with_model(Arc::new(script), place).await.expect("a port is free")
}

/// Posts an event, and gives the answer.
fn post(port: u16, number: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let body = format!("{{\"number\": {number}}}");
    let length = body.len();
    write!(stream, "POST /go HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// The lines of a trace, without the marks before quotes.
fn trace(log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(log).expect("strace wrote down what it saw");
    text.lines().map(|line| line.replace('\\', "")).collect()
}

/// Nothing of `lines` may show `what` at the journal's end without a sync by the same thread that has returned.
fn durable(lines: &[String], what: &str) -> Result<(), String> {
    let written = lines.iter().rposition(|line| line.contains("pwrite64") && line.contains(what));
    let Some(written) = written else { return Err(format!("{what} is not written")) };
    let thread = lines[written].split_whitespace().next().unwrap_or_default();
    let returned =
        |line: &&String| line.split_whitespace().next() == Some(thread) && line.contains("fdatasync") && line.ends_with("= 0");
    match lines[written..].iter().find(returned) {
        Some(_) => Ok(()),
        None => Err(format!("{what} is written and not synced")),
    }
}

/// Where each line is that holds all of `words`.
fn places(lines: &[String], words: &[&str]) -> Vec<usize> {
    let holds = |line: &String| !line.contains("pwrite64") && words.iter().all(|word| line.contains(word));
    lines.iter().enumerate().filter(|(_, line)| holds(line)).map(|(place, _)| place).collect()
}

fn between<'a>(line: &'a str, before: &str) -> &'a str {
    line.split_once(before).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_else(|| panic!("no {before} in {line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_durable_before_its_202_an_intent_before_its_call_and_a_result_before_the_model_sees_it() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("an address").port();
    let scene = scene(port);
    let model = model(&scene).await;
    let log = scene.example().join("calls");
    let mut run = scene.run();
    // The example ends with its missions, and this agent has none.
    run.args(["--until", "signal"]);
    run.env("OPENAI_BASE_URL", model.base_url()).env("OPENAI_API_KEY", "none").env("PIPELINE_INCIDENT", "off");
    let options = ["-o", &log.display().to_string(), "-s", "1000000", "-e", CALLS];
    let Some(mut run) = traced(&run, &options) else { return };
    let live = Live::start(&mut run);
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it comes up");
    for number in 0..EVENTS {
        let answer = post(port, number);
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    let done = || (scene.ask_json(&["ps"])["processes"]["hook"]["events"]["completed"] == EVENTS).then_some(());
    eventually(LONG, done).expect("all are handled");
    scene.ask(&["stop"]).with_code(0);
    live.end(LONG).with_code(0);

    let lines = trace(&log);
    let accepted = places(&lines, &["HTTP/1.1 202 "]);
    assert_eq!(accepted.len(), EVENTS);
    for place in accepted {
        let event = format!("\"event_id\":\"{}\"", between(&lines[place], "\"event_id\":\""));
        durable(&lines[..place], &event).unwrap_or_else(|why| panic!("202 was said though {why}"));
    }
    let left = places(&lines, &["\"method\":\"tools/call\"", "idempotency-key"]);
    assert_eq!(left.len(), 2 * EVENTS);
    for place in left {
        let (run, step) = between(&lines[place], "idempotency-key\":\"").split_once('/').expect("a run and a step");
        let intent = format!("\"kind\":\"tool_call\",\"run\":\"{run}\",\"step\":\"{step}\"");
        durable(&lines[..place], &intent).unwrap_or_else(|why| panic!("a call left though {why}"));
    }
    let told = places(&lines, &["\"role\":\"tool\""]);
    assert_eq!(told.len(), EVENTS);
    for (index, place) in told.into_iter().enumerate() {
        let results = lines[..place]
            .iter()
            .filter(|line| line.contains("pwrite64"))
            .map(|line| line.matches("\"kind\":\"tool_result\"").count());
        assert_eq!(results.sum::<usize>(), 2 * (index + 1), "both results are written before the model is told");
        durable(&lines[..place], "\"kind\":\"tool_result\"").unwrap_or_else(|why| panic!("the model was told though {why}"));
    }
}

/// Each folder that is made for a journal has its entry synced, and nobody else may look into it.
#[test]
fn a_new_journals_folders_are_durable_at_every_level() {
    let scene = Scene::empty();
    scene.write("a.agent", "name: a\nmodel: scripted:a.yaml\nconfig: {journal: {path: deep/er/journal}}\n");
    scene.write("a.yaml", "rules: [{say: done}]\n");
    let log = scene.example().join("calls");
    let run = scene.flyball(&["run", "example", "--data", "new/data"]);
    let options = ["-y", "-o", &log.display().to_string(), "-e", "trace=mkdir,mkdirat,fsync"];
    let Some(mut run) = traced(&run, &options) else { return };
    let live = Live::start(&mut run);
    let data = scene.data().with_file_name("new").join("data");
    eventually(LONG, || data.join("instance.json").is_file().then_some(())).expect("it comes up");
    binary::finish(&mut scene.flyball(&["stop", "--data", "new/data"]), LONG).with_code(0);
    live.end(LONG).with_code(0);

    let lines = trace(&log);
    let mut made = 0;
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("mkdir") && line.ends_with("= 0")) {
        let path = Path::new(between(line, "(\""));
        if path.components().any(|part| part.as_os_str() == "index") {
            continue;
        }
        made += 1;
        let root = scene.data();
        let parent = root.parent().expect("it has one").join(path.parent().expect("it has one"));
        let parent = parent.canonicalize().expect("it is there").display().to_string();
        let synced = |line: &String| line.contains("fsync") && line.contains(&format!("<{parent}>")) && line.ends_with("= 0");
        assert!(lines[place..].iter().any(synced), "{} is not synced after {line}", parent);
    }
    assert!(made >= 6, "{made} folders were made: {lines:#?}");
}
