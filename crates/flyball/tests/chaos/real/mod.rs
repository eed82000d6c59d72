//! The real `flyball`, as a process that is treated badly, and what it left when all is over.

mod client;
mod judge;
mod mounts;
mod node;
mod trace;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub use client::{Sender, post};
pub use judge::{Verdict, judge, settle};
pub use mounts::{Mount, can_mount, run};
pub use node::{Node, Options, Running};
pub use trace::{can_trace, traced};

/// The agents' script. `worker` does what an event says, `listener` hears of it.
pub const SCRIPT: &str = r#"
rules:
  - {when: {process: listener}, say: heard}
  - when: {step: t0, event: '"do": "act",[^}]*"n": "(?P<n>[^"]+)",[^}]*"wait": "(?P<w>\d+)"'}
    call: [{tool: act, args: {n: "{{n}}", wait_ms: "{{w}}"}}]
  - when: {step: t0, event: '"do": "check",[^}]*"n": "(?P<n>[^"]+)",[^}]*"wait": "(?P<w>\d+)"'}
    call: [{tool: act_checked, args: {n: "{{n}}", wait_ms: "{{w}}"}}]
  - when: {step: t0, event: '"do": "all",[^}]*"n": "(?P<n>[^"]+)"'}
    call: [{tool: look}, {tool: put, args: {n: "{{n}}", token: "secret://canary"}}]
  - when: {step: t1, event: '"do": "all",[^}]*"n": "(?P<n>[^"]+)",[^}]*"wait": "(?P<w>\d+)"'}
    call: [{tool: act, args: {n: "{{n}}", wait_ms: "{{w}}"}}]
  - when: {step: t2, event: '"do": "all",[^}]*"n": "(?P<n>[^"]+)"'}
    call: [{tool: act_checked, args: {n: "{{n}}"}}]
  - when: {step: t3, event: '"do": "all",[^}]*"n": "(?P<n>[^"]+)"'}
    call: [{tool: emit_event, args: {event_type: work.done, data: {n: "{{n}}"}}}]
  - {say: done}
"#;

/// The world outside, in its own process. It ends with the suite.
pub struct Outside {
    child: Child,
    _stdin: ChildStdin,
    dir: TempDir,
    pub tools: String,
    pub model: String,
}

impl Outside {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("chaos-").tempdir_in(fast_folder()).expect("a folder can be made");
        let this = std::env::current_exe().expect("this program has a file");
        let mut command = Command::new(this);
        command.arg("--world").arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the world begins");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut line).expect("it says where it is");
        let said: Value = serde_json::from_str(&line).expect("it says where it is");
        let address = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        Self { child, _stdin: stdin, dir, tools: address("tools"), model: address("model") }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where many small files are made and synced: memory, where the machine has it, else the usual place.
fn fast_folder() -> PathBuf {
    std::env::temp_dir()
}
