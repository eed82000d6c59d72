//! The example's MCP server, asked without flyball.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The server lies beside flyball.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_flyball")).with_file_name("pipeline-ops-server")
}

/// What the server itself says of the pipeline in the example's folder: its `check_health`.
pub fn health(example: &Path) -> Value {
    let mut command = Command::new(program());
    command.args(["--pipeline", "work", "--seed", "data"]).current_dir(example);
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut stdin = server.stdin.take().expect("stdin is piped");
    let client = json!({"name": "test", "version": "0"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "check_health", "arguments": {}}}),
    ] {
        writeln!(stdin, "{message}").expect("the server reads");
    }
    let lines = BufReader::new(server.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
    let mut answers = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let answer = answers.find(|answer| answer["id"] == 2).expect("the server answers");
    drop(stdin);
    server.wait().expect("the server ends");
    let text = answer["result"]["content"][0]["text"].as_str().expect("the answer has a text");
    serde_json::from_str(text).expect("the health is JSON")
}
