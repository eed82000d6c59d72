//! strace: the kernel's answers to flyball, read and changed.

use std::process::{Command, Stdio};

/// Why nothing can be traced here, if so.
pub fn can_trace() -> Result<(), String> {
    let traced = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).stdin(Stdio::null()).output();
    match traced {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("strace cannot trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("strace is not there ({error})")),
    }
}

/// What stands before a program so that it is traced: its calls of `calls` go to `log`, and `inject` is
/// done to them.
pub fn traced(calls: &str, log: &str, more: &[&str]) -> Vec<String> {
    let mut line = vec!["strace".to_owned(), "-f".into(), "--seccomp-bpf".into(), "-qq".into(), "-o".into(), log.to_owned()];
    line.extend(["-e".to_owned(), format!("trace={calls}")]);
    line.extend(more.iter().map(|word| (*word).to_owned()));
    line
}
