//! The suite as a program: built, and asked for one fault at a time.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::row::Row;
use crate::process;
use crate::workspace::Workspace;

/// How much is tried.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub trials: Option<u64>,
    pub quick: bool,
    pub seed: Option<u64>,
}

/// The program, and where it writes what it says.
pub struct Suite {
    program: PathBuf,
    dir: PathBuf,
}

impl Plan {
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.trials.map(|trials| format!("--trials={trials}")));
        words.extend(self.seed.map(|seed| format!("--seed={seed}")));
        words
    }
}

impl Suite {
    /// Builds it with flyball: as tests are built for a short form, and as it is shipped where there is much to try.
    pub fn build(workspace: &Workspace, plan: &Plan) -> Result<Self> {
        let profile = if plan.quick { "dev" } else { "release" };
        Self::built(workspace.cargo(&["build", "--profile", profile]), workspace.target.join("chaos"))
    }

    /// Builds it by a command that has yet to be told what to build; `dir` is for what it says.
    pub fn built(mut command: Command, dir: PathBuf) -> Result<Self> {
        command.args(["-p", "flyball", "--bins", "--test", "chaos", "--message-format", "json-render-diagnostics"]);
        eprintln!("$ {}", process::line(&command));
        let output = command.stderr(Stdio::inherit()).output().context("could not start cargo")?;
        if !output.status.success() {
            bail!("the fault suite could not be built");
        }
        let program = program(&String::from_utf8_lossy(&output.stdout));
        let program = program.context("cargo built the fault suite and does not say where it is")?;
        fs::create_dir_all(&dir).with_context(|| format!("could not make {}", dir.display()))?;
        Ok(Self { program, dir })
    }

    /// The faults' ids, in their order.
    pub fn faults(&self) -> Result<Vec<String>> {
        let lines = process::ask(&self.program, &["--list"]).context("the fault suite does not say which faults there are")?;
        Ok(ids(&lines))
    }

    /// Tries one fault, for at most `limit`.
    pub fn judge(&self, id: &str, plan: &Plan, limit: Duration) -> Result<Row> {
        let said = self.dir.join(format!("{id}.json"));
        let mut command = Command::new(&self.program);
        command.args(["--progress", "--fault", id]).args(plan.words());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(File::create(&said).with_context(|| format!("could not write {}", said.display()))?)
            .spawn()
            .context("could not start the fault suite")?;
        let deadline = Instant::now() + limit;
        while child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                child.kill()?;
                child.wait()?;
                bail!("{id} did not end within {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let text = fs::read_to_string(&said).with_context(|| format!("could not read {}", said.display()))?;
        let line = text.lines().rev().find(|line| line.starts_with('{'));
        let row = line.and_then(|line| serde_json::from_str(line).ok());
        row.with_context(|| format!("the fault suite does not say what came of {id}"))
    }
}

/// The program among cargo's messages, one a line.
fn program(messages: &str) -> Option<PathBuf> {
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = messages.rfind(|message| message["target"]["name"] == "chaos")?;
    Some(PathBuf::from(ours["executable"].as_str()?))
}

fn ids(lines: &str) -> Vec<String> {
    let id = |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["fault"].as_str()?.to_owned());
    lines.lines().filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"flyball"},"executable":"a/flyball"}
{"reason":"compiler-artifact","target":{"name":"chaos"},"executable":"a/chaos-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(program(messages), Some(PathBuf::from("a/chaos-1")));
        assert_eq!(program(""), None);
    }

    #[test]
    fn the_faults_are_known_by_what_the_suite_lists() {
        assert_eq!(ids("{\"fault\":\"F01\"}\nnoise\n{\"fault\":\"F02\",\"what\":\"x\"}\n"), ["F01", "F02"]);
    }

    #[test]
    fn a_plan_is_told_in_the_suites_own_words() {
        let plan = Plan { trials: Some(3), quick: true, seed: Some(7) };
        assert_eq!(plan.words(), ["--quick", "--trials=3", "--seed=7"]);
        assert!(Plan::default().words().is_empty());
    }
}
