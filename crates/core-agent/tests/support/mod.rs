//! What the tests of the MCP toolbox share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flyball_core_agent::mcp::McpToolbox;
use flyball_core_agent::{CallError, Failure, Run, RunId, StepId, ToolCall, ToolReply, Toolbox};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

/// Long enough for a slow, busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The server in `examples/`, which cargo and nextest build along with the tests.
pub fn test_server() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a file");
    let target = test.parent().and_then(std::path::Path::parent).expect("tests lie in target/PROFILE/deps");
    let server = target.join("examples").join(format!("mcp_test_server{}", std::env::consts::EXE_SUFFIX));
    assert!(server.exists(), "build it first: cargo build -p flyball-core-agent --all-features --examples");
    server
}

/// A call of `tool`; `args` is a JSON object.
pub fn call(tool: &str, args: Value) -> ToolCall {
    let Value::Object(args) = args else { panic!("arguments are an object") };
    let run = Run::new(RunId("run-7".into()), "p", CancellationToken::new());
    ToolCall { run, step: StepId::call(2, 1), name: tool.into(), args, spec: None, notes: Map::new() }
}

/// What the tool said, or how the call failed.
pub async fn ask(toolbox: &McpToolbox, tool: &str, args: Value) -> Result<ToolReply, Failure> {
    let call = call(tool, args);
    match tokio::time::timeout(PATIENCE, toolbox.call(&call)).await.expect("a call ends by itself") {
        Ok(reply) => Ok(reply),
        Err(CallError::Failed(failure)) => Err(failure),
        Err(other) => panic!("{other}"),
    }
}

/// The text that the tool said.
pub async fn text(toolbox: &McpToolbox, tool: &str, args: Value) -> String {
    ask(toolbox, tool, args).await.expect("the tool answers").text
}

/// A port where nobody listens, for a server that is about to.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// A server process that is killed when the test ends, however it ends.
pub struct Server(Child);

impl Server {
    /// Starts it and waits until it takes connections at `port`.
    pub async fn listening(command: &mut Command, port: u16) -> Self {
        let server = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the server starts"));
        eventually("the server listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await;
        server
    }

    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.0.kill().expect("the server can be killed");
        self.0.wait().expect("the server ends");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Waits until `holds`, and fails the test where it never does.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process is there, be it as a zombie.
pub fn exists(pid: &str) -> bool {
    signal("-0", pid)
}

pub fn signal(signal: &str, pid: &str) -> bool {
    let sent = Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status();
    sent.expect("kill is there").success()
}
