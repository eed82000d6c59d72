//! Tools that the tasks need: found where they are, installed at a fixed version where they are not.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// A cargo package that brings one program.
pub struct Tool {
    pub name: &'static str,
    /// The version that was tried with this repository.
    pub version: &'static str,
    /// A rough figure, so that nobody thinks it hangs.
    pub minutes: u32,
}

pub const CARGO_DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", minutes: 3 };
pub const MDBOOK: Tool = Tool { name: "mdbook", version: "0.5.4", minutes: 2 };
pub const NEXTEST: Tool = Tool { name: "cargo-nextest", version: "0.9.143", minutes: 5 };

/// The program's path. Installs it under `target/tools` unless exactly this version is there or in PATH.
pub fn ensure(workspace: &Workspace, tool: &Tool) -> Result<PathBuf> {
    let own = workspace.target.join("tools").join("bin").join(format!("{}{}", tool.name, std::env::consts::EXE_SUFFIX));
    for candidate in [own.clone(), PathBuf::from(tool.name)] {
        if process::ask(&candidate, &["--version"]).is_some_and(|answer| has_version(&answer, tool.version)) {
            return Ok(candidate);
        }
    }
    let Tool { name, version, minutes } = tool;
    println!("{name} {version} is not installed; installing it under target/tools (about {minutes} minutes, once)");
    let into = workspace.target.join("tools");
    let mut install = workspace.cargo(&["install", "--locked", name, "--version", version, "--root"]);
    // Its build products are worth nothing afterwards; without this variable cargo uses a temporary folder.
    process::run(install.arg(into).env_remove("CARGO_TARGET_DIR")).with_context(|| format!("could not install {name}"))?;
    if !own.is_file() {
        bail!("cargo installed {name}, but {} is not there", own.display());
    }
    Ok(own)
}

/// Whether cargo-nextest is there, in any version.
pub fn has_nextest(workspace: &Workspace) -> bool {
    workspace.cargo(&["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

/// Programs that only some tests need, which we do not install, and what is lost without them.
pub fn missing_foreign() -> Vec<&'static str> {
    const FOREIGN: [(&str, &str); 2] = [
        ("npm", "npm is not installed: tests against an MCP server from npm say that they are skipped"),
        ("pip", "pip is not installed: tests against an MCP server from PyPI say that they are skipped"),
    ];
    FOREIGN.into_iter().filter(|(program, _)| process::ask(program, &["--version"]).is_none()).map(|(_, note)| note).collect()
}

/// `mdbook v0.5.4` and `cargo-deny 0.20.2` both count.
fn has_version(answer: &str, version: &str) -> bool {
    answer.split_whitespace().any(|word| word.trim_start_matches('v') == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_counts() {
        assert!(has_version("mdbook v0.5.4", "0.5.4"));
        assert!(has_version("cargo-deny 0.20.2", "0.20.2"));
        assert!(!has_version("cargo-deny 0.20.21", "0.20.2"));
    }
}
