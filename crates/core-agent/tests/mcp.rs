//! The MCP toolbox against a real server with bad manners, over stdio and HTTP.
#![cfg(all(feature = "mcp", unix))]
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_core_agent::mcp::{Error, McpConfig, McpToolbox, McpTransport};
use flyball_core_agent::{CallError, Effect, Sent, Toolbox};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use support::{Server, ask, call, eventually, exists, free_port, signal, test_server, text};

fn stdio() -> McpConfig {
    McpConfig { connect_timeout: support::PATIENCE, ..McpConfig::stdio(test_server(), ["stdio"]) }
}

async fn connect(config: McpConfig) -> Arc<McpToolbox> {
    McpToolbox::connect("test", config).await.expect("the server is there")
}

async fn names(toolbox: &McpToolbox) -> Vec<String> {
    toolbox.list().await.unwrap().into_iter().map(|tool| tool.name.clone()).collect()
}

#[tokio::test]
async fn tools_are_discovered_and_their_hints_count_only_where_the_server_is_trusted() {
    let untrusted = connect(stdio()).await.list().await.unwrap();
    assert!(untrusted.iter().all(|tool| tool.effect.is_none()));
    let echo = untrusted.iter().find(|tool| tool.name == "echo").unwrap();
    assert_eq!(echo.description, "Says what it was told");
    assert_eq!(echo.parameters["type"], "object");
    let trusted = connect(McpConfig { trusted: true, ..stdio() }).await.list().await.unwrap();
    let effect = |name: &str| trusted.iter().find(|tool| tool.name == name).unwrap().effect;
    assert_eq!(effect("echo"), Some(Effect::Read));
    assert_eq!(effect("key"), Some(Effect::Idempotent));
    assert_eq!(effect("exit"), Some(Effect::Irreversible));
    assert_eq!(effect("sleep"), None);
}

#[tokio::test]
async fn a_call_reaches_the_tool_with_its_arguments_and_its_idempotency_key() {
    let toolbox = connect(stdio()).await;
    assert_eq!(text(&toolbox, "echo", json!({"text": "hällo\nthere"})).await, "hällo\nthere");
    assert_eq!(text(&toolbox, "key", json!({})).await, format!("{:?}", call("key", json!({})).idempotency_key()));
}

#[tokio::test]
async fn errors_that_the_server_reports_are_answers() {
    let toolbox = connect(stdio()).await;
    let failed = ask(&toolbox, "fail", json!({})).await.unwrap();
    assert_eq!((failed.text.as_str(), failed.is_error), ("it went wrong", true));
    let unknown = ask(&toolbox, "nope", json!({})).await.unwrap();
    assert!(unknown.is_error && unknown.text.contains("no tool 'nope'"), "{unknown:?}");
}

#[tokio::test]
async fn calls_run_side_by_side_on_one_connection() {
    let toolbox = connect(stdio()).await;
    let start = Instant::now();
    let calls = (0..8).map(|_| text(&toolbox, "sleep", json!({"ms": 2000})));
    assert_eq!(futures::future::join_all(calls).await, vec!["slept"; 8]);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_unknown_and_a_server_that_lives_is_kept() {
    let toolbox = connect(McpConfig { call_timeout: Duration::from_secs(3), ..stdio() }).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    let failure = ask(&toolbox, "sleep", json!({"ms": 60_000})).await.unwrap_err();
    assert_eq!(failure.sent, Sent::Maybe);
    assert!(failure.message.contains("'test', tool 'sleep': no answer within 3 s"), "{failure}");
    assert_eq!(text(&toolbox, "pid", json!({})).await, pid);
}

#[tokio::test]
async fn a_server_that_is_stuck_is_replaced_after_a_call_without_answer() {
    let toolbox = connect(McpConfig { call_timeout: Duration::from_secs(3), ..stdio() }).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    assert!(signal("-STOP", &pid));
    assert_eq!(ask(&toolbox, "echo", json!({})).await.unwrap_err().sent, Sent::Maybe);
    assert_ne!(text(&toolbox, "pid", json!({})).await, pid);
    eventually("the stuck server is killed", || !exists(&pid)).await;
}

#[tokio::test]
async fn a_server_that_exits_during_a_call_leaves_it_unknown_and_the_next_call_works() {
    let toolbox = connect(stdio()).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    let failure = ask(&toolbox, "exit", json!({})).await.unwrap_err();
    assert_eq!(failure.sent, Sent::Maybe);
    assert!(failure.message.contains("ended before the answer came"), "{failure}");
    assert_ne!(text(&toolbox, "pid", json!({})).await, pid);
}

#[tokio::test]
async fn a_server_that_died_between_calls_is_not_noticed_by_the_next_call() {
    let toolbox = connect(stdio()).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    assert!(signal("-KILL", &pid));
    // It is reaped only after its end was noticed.
    eventually("the server is reaped", || !exists(&pid)).await;
    assert_ne!(text(&toolbox, "pid", json!({})).await, pid);
    assert!(names(&toolbox).await.contains(&"echo".to_owned()));
}

#[tokio::test]
async fn noise_on_stdout_is_passed_over() {
    let toolbox = connect(stdio()).await;
    assert_eq!(text(&toolbox, "noise", json!({})).await, "after the noise");
    assert_eq!(text(&toolbox, "echo", json!({"text": "still here"})).await, "still here");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_endless_line_does_not_fill_the_memory() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    let toolbox = connect(McpConfig { call_timeout: support::PATIENCE, ..stdio() }).await;
    let before = peak();
    assert_eq!(text(&toolbox, "huge_line", json!({"mib": 256})).await, "after the line");
    assert!(peak() - before < 100, "{} MiB more", peak() - before);
}

#[tokio::test]
async fn a_long_reply_is_cut_and_says_so() {
    let toolbox = connect(McpConfig { max_output_bytes: 1000, ..stdio() }).await;
    let text = text(&toolbox, "big", json!({"bytes": 5_000_000})).await;
    assert!(text.ends_with("[... cut: the first 1000 of 5000000 bytes ...]") && text.len() < 1100, "{}", text.len());
}

#[tokio::test]
async fn a_changed_list_of_tools_is_seen() {
    let toolbox = connect(stdio()).await;
    assert!(!names(&toolbox).await.contains(&"grown".to_owned()));
    assert_eq!(text(&toolbox, "grow", json!({})).await, "told: true");
    let start = Instant::now();
    while !names(&toolbox).await.contains(&"grown".to_owned()) {
        assert!(start.elapsed() < support::PATIENCE, "the new tool never came");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_child_sees_its_own_variables_and_none_of_our_secrets() {
    let mut config = stdio();
    let McpTransport::Stdio { env, .. } = &mut config.transport else { unreachable!() };
    env.insert("GIVEN".into(), "yes".into());
    let toolbox = connect(config).await;
    assert_eq!(text(&toolbox, "variable", json!({"name": "GIVEN"})).await, "yes");
    assert_ne!(text(&toolbox, "variable", json!({"name": "PATH"})).await, "unset");
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok(), "we have what the child must not see");
    assert_eq!(text(&toolbox, "variable", json!({"name": "CARGO_MANIFEST_DIR"})).await, "unset");
}

#[tokio::test]
async fn closing_and_dropping_end_the_child() {
    let toolbox = connect(stdio()).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    toolbox.close().await;
    assert!(!exists(&pid));
    let failure = ask(&toolbox, "pid", json!({})).await.unwrap_err();
    assert_eq!(failure.sent, Sent::No);
    let toolbox = connect(stdio()).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    drop(toolbox);
    eventually("the child ends", || !exists(&pid)).await;
}

#[test]
fn a_runtime_that_goes_without_a_farewell_takes_the_child_along() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (toolbox, pid) = runtime.block_on(async {
        let toolbox = connect(stdio()).await;
        let pid = text(&toolbox, "pid", json!({})).await;
        (toolbox, pid)
    });
    drop(runtime);
    drop(toolbox);
    tokio::runtime::Runtime::new().unwrap().block_on(eventually("the child ends", || !running(&pid)));
}

/// Nobody is left to reap it, so a zombie counts as ended.
fn running(pid: &str) -> bool {
    let state = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().expect("ps is there").stdout;
    let state = String::from_utf8_lossy(&state);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

#[tokio::test]
async fn a_server_that_cannot_be_had_is_named_with_the_reason() {
    let refused = async |config: McpConfig| McpToolbox::connect("files", config).await.expect_err("there is no server");
    let none: [&str; 0] = [];
    let missing = refused(McpConfig::stdio("/no/such/server", none)).await;
    assert!(matches!(missing, Error::Start { .. }));
    assert!(missing.to_string().contains("'files': cannot start '/no/such/server'"), "{missing}");
    let broken = refused(McpConfig::stdio("sh", ["-c", "echo no config file >&2; exit 1"])).await;
    assert!(matches!(broken, Error::Connect { .. }));
    assert!(broken.to_string().contains("it said: no config file"), "{broken}");
    let silent = McpConfig { connect_timeout: Duration::from_millis(300), ..McpConfig::stdio("sleep", ["1000"]) };
    let silent = refused(silent).await;
    assert!(silent.to_string().contains("not ready within 0.3 s"), "{silent}");
    let nobody = refused(McpConfig::http("http://127.0.0.1:1/mcp?token=secret")).await;
    let nobody = nobody.to_string();
    assert!(nobody.contains("http://127.0.0.1:1/mcp: Connection refused") && !nobody.contains("secret"), "{nobody}");
    assert!(matches!(refused(McpConfig::http("files.example/mcp")).await, Error::Config { .. }));
}

/// What a server that answers the greeting, and is then gone, says.
async fn greet_and_go(listener: TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await.unwrap();
    assert!(String::from_utf8_lossy(&request[..read]).contains("POST /mcp"));
    let info = json!({"name": "short", "version": "1"});
    let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info});
    let body = json!({"jsonrpc": "2.0", "id": 0, "result": result}).to_string();
    drop(listener);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_greeting_is_told_with_its_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(greet_and_go(listener));
    let broken = McpToolbox::connect("short", McpConfig::http(&url)).await.expect_err("the server is gone").to_string();
    server.await.unwrap();
    assert!(broken.contains("Connection refused"), "{broken}");
}

#[test]
fn a_configuration_shows_no_secret() {
    let mut over_stdio = stdio();
    let McpTransport::Stdio { env, .. } = &mut over_stdio.transport else { unreachable!() };
    env.insert("TOKEN".into(), "hunter2".into());
    let headers = [("x-key".to_owned(), "hunter2".to_owned())].into();
    let url = "http://u:hunter2@host/mcp?k=hunter2".to_owned();
    let over_http = McpConfig::new(McpTransport::Http { url, headers, bearer_token: Some("hunter2".into()) });
    let shown = format!("{over_stdio:?} {over_http:?}");
    assert!(shown.contains("TOKEN") && shown.contains("x-key") && !shown.contains("hunter2"), "{shown}");
}

async fn http_server(port: u16) -> Server {
    Server::listening(Command::new(test_server()).args(["http", &port.to_string()]), port).await
}

#[tokio::test]
async fn over_http_tools_are_found_and_called() {
    let port = free_port();
    let _server = http_server(port).await;
    let toolbox = connect(McpConfig::http(format!("http://127.0.0.1:{port}/mcp"))).await;
    assert!(names(&toolbox).await.contains(&"echo".to_owned()));
    assert_eq!(text(&toolbox, "echo", json!({"text": "hi"})).await, "hi");
    assert_eq!(text(&toolbox, "key", json!({})).await, r#""run-7/t2.c1""#);
    assert_eq!(text(&toolbox, "grow", json!({})).await, "told: true");
}

#[tokio::test]
async fn over_http_a_restarted_server_is_found_again_and_a_call_it_died_in_is_unknown() {
    let port = free_port();
    let server = http_server(port).await;
    let toolbox = connect(McpConfig::http(format!("http://127.0.0.1:{port}/mcp"))).await;
    let pid = text(&toolbox, "pid", json!({})).await;
    server.kill();
    let server = http_server(port).await;
    assert_ne!(text(&toolbox, "pid", json!({})).await, pid);
    assert_eq!(ask(&toolbox, "exit", json!({})).await.unwrap_err().sent, Sent::Maybe);
    drop(server);
    let _server = http_server(port).await;
    assert_eq!(text(&toolbox, "echo", json!({"text": "back"})).await, "back");
}

#[tokio::test]
async fn over_http_a_call_that_finds_nobody_is_unsent_within_the_deadline() {
    let port = free_port();
    let server = http_server(port).await;
    let config = McpConfig::http(format!("http://127.0.0.1:{port}/mcp"));
    let toolbox = connect(McpConfig { connect_timeout: Duration::from_secs(4), ..config }).await;
    server.kill();
    let failure = ask(&toolbox, "echo", json!({})).await.unwrap_err();
    assert_eq!(failure.sent, Sent::No, "{failure}");
    assert!(failure.message.contains("MCP server 'test'"), "{failure}");
    assert!(names(&toolbox).await.contains(&"echo".to_owned()), "what was found is still listed");
}

#[tokio::test]
async fn a_call_that_is_begun_is_made_though_its_run_was_told_to_stop() {
    let toolbox = connect(stdio()).await;
    let call = call("echo", json!({"text": "still there"}));
    call.run.cancel().cancel();
    let reply = toolbox.call(&call).await.expect("it is answered");
    assert_eq!((reply.text.as_str(), reply.is_error), ("still there", false));
}

#[tokio::test]
async fn a_cancelled_run_does_not_wait_for_a_server_that_is_gone() {
    let port = free_port();
    let server = http_server(port).await;
    let toolbox =
        connect(McpConfig { connect_timeout: support::PATIENCE, ..McpConfig::http(format!("http://127.0.0.1:{port}/mcp")) })
            .await;
    server.kill();
    let call = call("echo", json!({}));
    let cancel = call.run.cancel().clone();
    let asked = tokio::spawn({
        let toolbox = Arc::clone(&toolbox);
        async move { toolbox.call(&call).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(30), asked).await.expect("it ends soon").unwrap();
    assert!(matches!(&ended, Err(CallError::Failed(failure)) if failure.sent == Sent::No), "{ended:?}");
}

#[tokio::test]
async fn over_http_a_token_is_sent_and_without_it_the_server_lets_nobody_in() {
    let port = free_port();
    let mut command = Command::new(test_server());
    let _server = Server::listening(command.args(["http", &port.to_string()]).env("TOKEN", "hunter2"), port).await;
    let url = format!("http://127.0.0.1:{port}/mcp");
    let with_token = |token: Option<&str>| {
        let headers = [("x-tenant".to_owned(), "t1".to_owned())].into();
        McpConfig::new(McpTransport::Http { url: url.clone(), headers, bearer_token: token.map(str::to_owned) })
    };
    let toolbox = connect(with_token(Some("hunter2"))).await;
    assert_eq!(text(&toolbox, "echo", json!({"text": "in"})).await, "in");
    for wrong in [None, Some("wrong-token")] {
        let refused = McpToolbox::connect("guarded", with_token(wrong)).await.expect_err("nobody gets in");
        assert!(refused.to_string().contains("authorization required"), "{refused}");
        assert!(!refused.to_string().contains("wrong-token"), "{refused}");
    }
}

#[tokio::test]
async fn what_a_server_was_given_in_its_environment_is_masked_in_its_last_words() {
    let mut config = McpConfig::stdio("/bin/sh", ["-c", "echo \"no such key: $KEY, in mode $MODE\" >&2"]);
    if let McpTransport::Stdio { env, .. } = &mut config.transport {
        env.extend([("KEY".to_owned(), "canary-1234".to_owned()), ("MODE".to_owned(), "on".to_owned())]);
    }
    let error = McpToolbox::connect("test", config).await.expect_err("it is no MCP server").to_string();
    assert!(error.contains("it said: no such key: ***, in mode on"), "{error}");
}
