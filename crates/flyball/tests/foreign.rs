//! Manifests whose tools come from servers that others wrote: one from npm, one from PyPI.
#![cfg(all(test, unix))]

#[path = "../../core-agent/tests/support/foreign.rs"]
mod foreign;
#[path = "seed/support/mod.rs"]
mod support;

use std::process::Command;

use flyball::journal::LifecycleState;
use support::{Child, Reading, World, free_port, runs};

/// Asks for a sum and an echo side by side, and says what came.
const ADDS: &str = r"
rules:
  - when: {step: t0}
    call:
      - {tool: get-sum, args: {a: 40, b: 2}}
      - {tool: echo, args: {message: from a process}}
  - when: {after: get-sum, result: '(?<sum>\d+)\.?$', shown: '(?<echo>Echo: from a process)'}
    say: '{{sum}} and {{echo}}'
";

const CONVERTS: &str = r#"
rules:
  - when: {step: t0}
    call: [{tool: convert_time, args: {source_timezone: UTC, time: "12:00", target_timezone: Asia/Tokyo}}]
  - when: {after: convert_time, result: '"time_difference": "(?<hours>[^"]*)"'}
    say: 'Tokyo is {{hours}} ahead'
"#;

/// A process with this server, woken once by the clock, and what its journal says.
async fn woken(script: &str, server: &str) -> Reading {
    let world = World::new();
    world.script(script);
    let process = world
        .start(&format!(
            "name: guest\ntriggers: [{{type: cron, cron_expression: '*/5 * * * *'}}]\nbudget: {{enabled: true, max_tool_calls_per_run: 5}}\nservers:\n  theirs: {server}\n"
        ))
        .await;
    world.minutes(2);
    let status = runs(&process, 1).await;
    assert_eq!(status.consecutive_failures, 0, "{:?}", world.read("guest").await.errors());
    process.stop().await.expect("it stops");
    assert_eq!(process.status().state, LifecycleState::Stopped);
    world.read("guest").await
}

fn it_added(reading: &Reading) {
    assert_eq!(reading.last_reply(), "42 and Echo: from a process");
    assert_eq!(reading.calls().iter().map(|(tool, _)| *tool).collect::<Vec<_>>(), ["get-sum", "echo"]);
    assert!(reading.results().iter().all(|(reply, refused)| !reply.is_error && !refused));
}

#[tokio::test]
async fn an_agent_uses_the_npm_server_over_stdio() {
    let Some(script) = foreign::or_skip(foreign::everything()) else { return };
    it_added(&woken(ADDS, &format!("{{command: node, args: ['{}', stdio], trusted: true}}", script.display())).await);
}

#[tokio::test]
async fn an_agent_uses_the_npm_server_over_streamable_http() {
    let Some(script) = foreign::or_skip(foreign::everything()) else { return };
    let port = free_port();
    let mut node = Command::new("node");
    let _server = Child::listening(node.arg(script).arg("streamableHttp").env("PORT", port.to_string()), port).await;
    it_added(&woken(ADDS, &format!("{{url: 'http://127.0.0.1:{port}/mcp', transport: streamable-http}}")).await);
}

#[tokio::test]
async fn an_agent_uses_the_pypi_server_over_stdio() {
    let Some(program) = foreign::or_skip(foreign::time()) else { return };
    let server = format!("{{command: '{}', args: [--local-timezone, UTC], trusted: true}}", program.display());
    let reading = woken(CONVERTS, &server).await;
    assert_eq!(reading.last_reply(), "Tokyo is +9.0h ahead");
}
