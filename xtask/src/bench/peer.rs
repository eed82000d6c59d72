//! The Python system: its scripts, and an environment of its own with the version that they were written for.
//!
//! The scripts are not part of this repository. Where they or a program that they need are missing, the
//! rows say so, and everything else is measured all the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::child;
use crate::process;
use crate::workspace::Workspace;

/// The package, as pip knows it.
pub const PACKAGE: &str = "promptise";

/// The version that is measured.
pub const VERSION: &str = "1.10.1";

/// Ready to be measured.
pub struct Peer {
    python: PathBuf,
    scripts: PathBuf,
    /// For what the scripts say.
    log: PathBuf,
}

/// Downloading some hundred packages takes a minute or two.
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

impl Peer {
    /// Makes the environment where it is not there yet. The error says, for the table, why it is not measured.
    pub fn prepare(workspace: &Workspace, scripts: Option<&Path>) -> Result<Self, String> {
        let Some(scripts) = scripts else {
            return Err("no folder with its scripts was given (--peer DIR, or FLYBALL_PEER_BENCH)".to_owned());
        };
        if !scripts.is_dir() {
            return Err("the folder that was given for its scripts is not there".to_owned());
        }
        let tools = workspace.target.join("tools");
        let environment = tools.join("peer-venv");
        let python = environment.join("bin").join("python");
        if !is_installed(&python) {
            install(&tools, &environment, &python).map_err(|error| format!("it could not be installed: {error:#}"))?;
        }
        Ok(Self { python, scripts: scripts.to_owned(), log: workspace.target.join("bench-peer") })
    }

    /// What a script says.
    pub fn measure(&self, script: &str, words: &[String], needs: &[&str], limit: Duration) -> Result<Value> {
        if let Some(missing) = needs.iter().find(|program| !is_there(program)) {
            bail!("its script needs the program {missing}, which is not installed");
        }
        let file = self.scripts.join(script);
        if !file.is_file() {
            bail!("there is no script {script} in the folder that was given");
        }
        child::ask(Command::new(&self.python).arg(file).args(words), &self.log, limit)
    }
}

fn install(tools: &Path, environment: &Path, python: &Path) -> Result<()> {
    eprintln!("{PACKAGE} {VERSION} is not there; installing it under target/tools (a minute or two, once)");
    std::fs::create_dir_all(tools)?;
    let log = tools.join("peer.log");
    process::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(environment), INSTALL_LIMIT, &log)?;
    let wanted = format!("{PACKAGE}=={VERSION}");
    process::run_quietly(Command::new(python).args(["-m", "pip", "install", "--quiet", &wanted]), INSTALL_LIMIT, &log)
}

fn is_installed(python: &Path) -> bool {
    let ask = format!("import importlib.metadata; print(importlib.metadata.version('{PACKAGE}'))");
    process::ask(python, &["-c", &ask]).is_some_and(|version| version == VERSION)
}

/// In PATH. Starting it would not tell: some programs end with an error when they are only asked for their version.
fn is_there(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file())
}
