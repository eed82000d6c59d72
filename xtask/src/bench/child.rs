//! The programs that measure: built, started, and asked for one line of JSON.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// Builds our own program in release; where it is.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    let args = ["build", "--release", "-p", "flyball", "--bench", "measure", "--message-format", "json-render-diagnostics"];
    let mut command = workspace.cargo(&args);
    eprintln!("$ {}", process::line(&command));
    let output = command.stderr(Stdio::inherit()).output().context("could not start cargo")?;
    if !output.status.success() {
        bail!("the program that measures could not be built");
    }
    built(&String::from_utf8_lossy(&output.stdout)).context("cargo built the program and does not say where it is")
}

/// The program among cargo's messages, one a line.
fn built(messages: &str) -> Option<PathBuf> {
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = messages.rfind(|message| message["target"]["name"] == "measure")?;
    Some(PathBuf::from(ours["executable"].as_str()?))
}

/// Our program's answer to `words`.
pub fn ours(program: &Path, words: &[String], dir: &Path, seconds: f64, limit: Duration) -> Result<Value> {
    let mut command = Command::new(program);
    command.args(words).arg("--dir").arg(dir);
    if !words.iter().any(|word| word == "--seconds") {
        command.arg("--seconds").arg(seconds.to_string());
    }
    ask(&mut command, dir, limit)
}

/// Runs a program for at most `limit`; the last line of JSON that it writes. The error carries its last words.
pub fn ask(command: &mut Command, dir: &Path, limit: Duration) -> Result<Value> {
    fs::create_dir_all(dir).with_context(|| format!("could not make {}", dir.display()))?;
    let (said, complained) = (dir.join("stdout"), dir.join("stderr"));
    let line = process::line(command);
    // Files and not pipes: a program that says much must not wait for us.
    command.stdin(Stdio::null()).stdout(File::create(&said)?).stderr(File::create(&complained)?);
    let mut child = command.spawn().with_context(|| format!("could not start `{line}`"))?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("`{line}` did not end within {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        let words = fs::read_to_string(&complained).unwrap_or_default();
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned();
        bail!("`{line}` ended with {status}: {last}");
    }
    let text = fs::read_to_string(&said).with_context(|| format!("could not read what `{line}` said"))?;
    answer(&text).with_context(|| format!("`{line}` wrote no line of JSON"))
}

fn answer(text: &str) -> Option<Value> {
    text.lines().rev().filter(|line| line.starts_with('{')).find_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_json_is_the_answer() {
        assert_eq!(answer("{\"a\": 1}\nloading\n{\"a\": 2}\ndone\n").unwrap()["a"], 2);
        assert_eq!(answer("nothing\n"), None);
    }

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"flyball"},"executable":"a/flyball"}
{"reason":"compiler-artifact","target":{"name":"measure"},"executable":"a/measure-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(built(messages), Some(PathBuf::from("a/measure-1")));
        assert_eq!(built(""), None);
    }

    #[test]
    fn a_program_that_fails_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo '{}'; echo no room >&2; exit 3"]);
        let error = ask(&mut command, dir.path(), Duration::from_secs(30)).unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3: no room"), "{error}");
    }
}
