//! The server as a process, driven by an MCP client.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult, RequestMetaObject};
use rmcp::service::RunningService;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{RoleClient, ServiceError, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

mod common;

/// Far more than anything here takes, for a machine under load.
const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "canary-7f3a";

type Client = RunningService<RoleClient, ()>;

fn server(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline-ops-server"));
    command.arg("--pipeline").arg(dir).arg("--seed").arg(common::seed());
    command.env("PIPELINE_ADMIN_KEY", SECRET).env_remove("PIPELINE_INCIDENT").env_remove("FLYBALL_DEMO_FAIL_RELOAD");
    command.kill_on_drop(true);
    command
}

async fn connect(command: Command) -> (Client, u32) {
    let (transport, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn().unwrap();
    let pid = transport.id().unwrap();
    (tokio::time::timeout(LIMIT, ().serve(transport)).await.unwrap().unwrap(), pid)
}

async fn raw(client: &Client, tool: &'static str, args: Value, key: Option<&str>) -> Result<CallToolResult, ServiceError> {
    let mut call = CallToolRequestParams::new(tool);
    call.arguments = args.as_object().cloned();
    if let Some(key) = key {
        let mut meta = RequestMetaObject::new();
        meta.insert(pipeline_ops_server::KEY_IN_META.to_owned(), json!(key));
        call.meta = Some(meta);
    }
    tokio::time::timeout(LIMIT, client.call_tool(call)).await.expect("the server answers in time")
}

/// The text of an answer that is no error.
async fn text(client: &Client, tool: &'static str, args: Value, key: Option<&str>) -> String {
    let result = raw(client, tool, args, key).await.unwrap();
    let text = result.content[0].as_text().unwrap().text.clone();
    assert_ne!(result.is_error, Some(true), "{tool}: {text}");
    text
}

async fn json_of(client: &Client, tool: &'static str, args: Value, key: Option<&str>) -> Value {
    serde_json::from_str(&text(client, tool, args, key).await).unwrap()
}

async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(LIMIT, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn from_the_planted_incident_to_healthy_over_stdio() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let mut command = server(&work);
    command.args(["--incident-after", "300ms"]);
    let (client, _) = connect(command).await;
    let list = json_of(&client, "list_pipelines", json!({}), None).await;
    assert_eq!(list["pipelines"][0]["name"], "seattle-weather");
    wait_until("the incident is planted", async || {
        text(&client, "check_health", json!({}), None).await.starts_with(r#"{"healthy":false,"#)
    })
    .await;

    let health = json_of(&client, "check_health", json!({}), None).await;
    let file = health["problems"][0]["file"].as_str().unwrap().to_owned();
    let bad = json_of(&client, "show_bad_rows", json!({"file": file}), None).await;
    assert_eq!(bad["bad_rows"], 4);

    let args = json!({"file": file, "reason": "4 bad rows", "admin_key": SECRET});
    let first = text(&client, "quarantine_file", args.clone(), Some("run/t0.c0")).await;
    assert_eq!(text(&client, "quarantine_file", args, Some("run/t0.c0")).await, first);
    let load = json_of(&client, "rerun_load", json!({"admin_key": SECRET}), Some("run/t1.c0")).await;
    assert_eq!(load["rows_in_warehouse"], 366 + 31 - 4);
    assert!(text(&client, "check_health", json!({}), None).await.starts_with(r#"{"healthy":true,"#));
    let status = json_of(&client, "quarantine_status", json!({"key": "run/t0.c0"}), None).await;
    assert_eq!((&status["happened"], &status["result"]["file"]), (&json!(true), &json!(file)));

    let ledger = std::fs::read_to_string(work.join("ledger.jsonl")).unwrap();
    assert!(!ledger.contains(SECRET) && ledger.lines().count() == 5, "{ledger}");
}

#[tokio::test]
async fn a_server_killed_between_intent_and_done_acts_once_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let (client, pid) = connect(server(&work)).await;
    std::fs::write(work.join("inbox/good.csv"), common::HALF_BAD.replace(",,", ",3.0,")).unwrap();
    // While another program writes, the load waits with its intent already on disk.
    let mut database = rusqlite::Connection::open(work.join("warehouse.db")).unwrap();
    let writer = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let peer = client.peer().clone();
    let waiting = tokio::spawn(async move {
        let mut call = CallToolRequestParams::new("rerun_load");
        call.arguments = json!({"admin_key": SECRET}).as_object().cloned();
        let mut meta = RequestMetaObject::new();
        meta.insert(pipeline_ops_server::KEY_IN_META.to_owned(), json!("k"));
        call.meta = Some(meta);
        peer.call_tool(call).await
    });
    wait_until("the intent is on disk", async || {
        std::fs::read_to_string(work.join("ledger.jsonl")).is_ok_and(|t| t.contains("intent"))
    })
    .await;
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap().is_err(), "the caller never had an answer");
    drop(writer);

    let (client, _) = connect(server(&work)).await;
    assert_eq!(json_of(&client, "quarantine_status", json!({"key": "k"}), None).await["happened"], false);
    let load = json_of(&client, "rerun_load", json!({"admin_key": SECRET}), Some("k")).await;
    assert_eq!(load["loaded"][0]["file"], "good.csv");
    let again = json_of(&client, "rerun_load", json!({"admin_key": SECRET}), Some("k")).await;
    assert_eq!(again, load);
    let ledger = std::fs::read_to_string(work.join("ledger.jsonl")).unwrap();
    assert_eq!(ledger.matches(r#""acted":true"#).count(), 1, "{ledger}");
}

#[tokio::test]
async fn without_the_admin_key_nothing_is_changed_and_the_key_is_never_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let (client, _) = connect(server(&dir.path().join("work"))).await;
    for key in [json!(null), json!("wrong"), json!("")] {
        for (tool, mut args) in [("quarantine_file", json!({"file": "weather-2012-01.csv"})), ("rerun_load", json!({}))] {
            args["admin_key"] = key.clone();
            let refused = raw(&client, tool, args, Some("k")).await.unwrap();
            assert_eq!(refused.is_error, Some(true), "{tool}");
            assert!(!serde_json::to_string(&refused).unwrap().contains(SECRET));
        }
    }
    assert!(!dir.path().join("work/ledger.jsonl").exists());
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let (client, _) = connect(server(&dir.path().join("work"))).await;
    let unknown = raw(&client, "check_health", json!({"pipelin": "x"}), None).await;
    assert!(format!("{unknown:?}").contains("pipelin"), "{unknown:?}");
    let other = raw(&client, "check_health", json!({"pipeline": "x"}), None).await.unwrap();
    assert!(other.content[0].as_text().unwrap().text.contains("no pipeline is named 'x'"));
    let escape = raw(&client, "quarantine_file", json!({"file": "../ledger.jsonl", "admin_key": SECRET}), None).await.unwrap();
    assert_eq!(escape.is_error, Some(true));
}

#[tokio::test]
async fn every_tool_is_described_and_says_truly_whether_it_changes_something() {
    let dir = tempfile::tempdir().unwrap();
    let (client, _) = connect(server(&dir.path().join("work"))).await;
    let tools = client.list_all_tools().await.unwrap();
    let mut changing: Vec<&str> = Vec::new();
    for tool in &tools {
        assert!(tool.description.as_ref().is_some_and(|text| text.len() > 20), "{}", tool.name);
        assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
        assert!(tool.output_schema.is_some(), "{}", tool.name);
        let hints = tool.annotations.as_ref().unwrap();
        if hints.read_only_hint != Some(true) {
            changing.push(&tool.name);
        }
    }
    changing.sort_unstable();
    assert_eq!((tools.len(), changing), (6, vec!["quarantine_file", "rerun_load"]));
}

#[tokio::test]
async fn a_reload_that_is_made_to_fail_leaves_the_pipeline_unhealthy() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let mut command = server(&work);
    command.env("FLYBALL_DEMO_FAIL_RELOAD", "1");
    let (client, _) = connect(command).await;
    std::fs::write(work.join("inbox/good.csv"), common::HALF_BAD.replace(",,", ",3.0,")).unwrap();
    let failed = raw(&client, "rerun_load", json!({"admin_key": SECRET}), Some("k")).await.unwrap();
    assert_eq!(failed.is_error, Some(true));
    assert!(text(&client, "check_health", json!({}), None).await.starts_with(r#"{"healthy":false,"#));
}

#[tokio::test]
async fn the_incident_can_be_turned_off() {
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    let mut command = server(&work);
    command.args(["--incident-after", "0ms"]).env("PIPELINE_INCIDENT", "off");
    let (client, _) = connect(command).await;
    // The server that would plant it has answered twice by now, and the delay is none.
    for _ in 0..2 {
        assert!(text(&client, "check_health", json!({}), None).await.starts_with(r#"{"healthy":true,"#));
    }
    assert!(!work.join("incident.json").exists());
}

#[tokio::test]
async fn the_same_tools_answer_over_streamable_http() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().unwrap();
    let mut command = server(&dir.path().join("work"));
    let mut child = command.args(["--http", "0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = tokio::time::timeout(LIMIT, async {
        loop {
            let line = log.next_line().await.unwrap().expect("the server says where it listens");
            if let Some((_, url)) = line.split_once("listening at ") {
                return url.to_owned();
            }
        }
    });
    let url = url.await.unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let client = tokio::time::timeout(LIMIT, ().serve(StreamableHttpClientTransport::from_uri(url))).await.unwrap().unwrap();
    assert!(text(&client, "check_health", json!({}), None).await.starts_with(r#"{"healthy":true,"#));
    let load = json_of(&client, "rerun_load", json!({"admin_key": SECRET}), Some("k")).await;
    assert_eq!(load["loaded"], json!([]));
    client.cancel().await.unwrap();
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(tokio::time::timeout(LIMIT, child.wait()).await.unwrap().unwrap().success(), "SIGTERM ends it cleanly");
}
