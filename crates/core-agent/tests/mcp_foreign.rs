//! The MCP toolbox against servers that others wrote: one from npm, one from PyPI.
#![cfg(all(feature = "mcp", unix))]
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

#[path = "support/foreign.rs"]
mod foreign;
mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::mcp::{McpConfig, McpToolbox};
use flyball_core_agent::{Effect, Sent, Toolbox};
use serde_json::json;
use support::{Server, ask, free_port, text};

async fn connect(name: &str, config: McpConfig) -> Arc<McpToolbox> {
    let config = McpConfig { connect_timeout: support::PATIENCE, call_timeout: support::PATIENCE, trusted: true, ..config };
    McpToolbox::connect(name, config).await.expect("the server is there")
}

async fn everything_answers(toolbox: &McpToolbox) {
    let tools = toolbox.list().await.unwrap();
    let echo = tools.iter().find(|tool| tool.name == "echo").expect("it offers echo");
    assert_eq!(echo.effect, Some(Effect::Read));
    assert_eq!(echo.parameters["required"], json!(["message"]));
    assert_eq!(text(toolbox, "echo", json!({"message": "hi"})).await, "Echo: hi");
    assert!(text(toolbox, "get-sum", json!({"a": 40, "b": 2})).await.contains("42"));
    let refused = ask(toolbox, "echo", json!({"message": 1})).await.unwrap();
    assert!(refused.is_error && refused.text.contains("message"), "{refused:?}");
}

async fn everything_over_http(script: &Path, port: u16) -> Server {
    let mut node = Command::new("node");
    Server::listening(node.arg(script).arg("streamableHttp").env("PORT", port.to_string()), port).await
}

#[tokio::test]
async fn everything_over_stdio_is_understood() {
    let Some(script) = foreign::or_skip(foreign::everything()) else { return };
    let toolbox = connect("everything", McpConfig::stdio("node", [script.to_str().unwrap(), "stdio"])).await;
    everything_answers(&toolbox).await;
    let weather = text(&toolbox, "get-structured-content", json!({"location": "Chicago"})).await;
    assert_eq!(weather.matches("temperature").count(), 1, "what is said twice is shown once: {weather}");
    let image = text(&toolbox, "get-tiny-image", json!({})).await;
    assert!(image.contains("[an image, image/png,"), "{image}");
    assert!(text(&toolbox, "get-resource-links", json!({"count": 1})).await.contains("[resource '"));
    toolbox.close().await;
}

#[tokio::test]
async fn everything_keeps_its_connection_when_a_call_takes_too_long() {
    let Some(script) = foreign::or_skip(foreign::everything()) else { return };
    let config = McpConfig {
        call_timeout: Duration::from_secs(5),
        connect_timeout: support::PATIENCE,
        ..McpConfig::stdio("node", [script.to_str().unwrap(), "stdio"])
    };
    let toolbox = McpToolbox::connect("everything", config).await.unwrap();
    let long = json!({"duration": 600, "steps": 600});
    assert_eq!(ask(&toolbox, "trigger-long-running-operation", long).await.unwrap_err().sent, Sent::Maybe);
    assert_eq!(text(&toolbox, "echo", json!({"message": "on"})).await, "Echo: on");
}

#[tokio::test]
async fn everything_over_http_is_understood_and_found_again_after_a_restart() {
    let Some(script) = foreign::or_skip(foreign::everything()) else { return };
    let port = free_port();
    let server = everything_over_http(&script, port).await;
    let toolbox = connect("everything", McpConfig::http(format!("http://127.0.0.1:{port}/mcp"))).await;
    everything_answers(&toolbox).await;
    server.kill();
    let _server = everything_over_http(&script, port).await;
    everything_answers(&toolbox).await;
}

#[tokio::test]
async fn time_over_stdio_is_understood() {
    let Some(program) = foreign::or_skip(foreign::time()) else { return };
    let toolbox = connect("time", McpConfig::stdio(program, ["--local-timezone", "UTC"])).await;
    let tools = toolbox.list().await.unwrap();
    assert!(tools.iter().any(|tool| tool.name == "convert_time"), "{tools:?}");
    let times = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
    let converted = text(&toolbox, "convert_time", times).await;
    assert!(converted.contains("+9.0h"), "{converted}");
    let wrong = ask(&toolbox, "get_current_time", json!({"timezone": "Mars/Olympus"})).await.unwrap();
    assert!(wrong.is_error && wrong.text.contains("Mars/Olympus"), "{wrong:?}");
    toolbox.close().await;
}
