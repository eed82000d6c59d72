//! What `cargo metadata` says of the workspace that the command was started in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The workspace: where it lies and which packages it has.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Cargo's target directory, wherever the environment puts it.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
    pub packages: Vec<Package>,
}

/// One member of the workspace.
#[derive(Debug, Clone, Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub repository: Option<String>,
    pub dependencies: Vec<Dependency>,
}

/// One line of a `[dependencies]` table.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    /// The real name of the package, also where it was renamed.
    pub name: String,
    #[serde(default)]
    pub kind: Kind,
    /// Where it lies, if it is a path dependency.
    pub path: Option<PathBuf>,
}

/// Which table a dependency stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Normal,
    Build,
    Dev,
}

/// Cargo writes `null` for a normal dependency.
impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Option::<String>::deserialize(from)?.as_deref() {
            None | Some("normal") => Ok(Self::Normal),
            Some("build") => Ok(Self::Build),
            Some("dev") => Ok(Self::Dev),
            Some(other) => Err(serde::de::Error::custom(format!("unknown kind of dependency `{other}`"))),
        }
    }
}

impl Workspace {
    /// The workspace around the current directory.
    pub fn find() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("could not start cargo to look at the workspace")?;
        if !output.status.success() {
            bail!("cargo cannot read the workspace:\n{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("cargo metadata answered something unexpected")
    }

    /// A cargo command that starts in the workspace's root.
    pub fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(args);
        command
    }

    /// Builds all tests, and the programs that scenario tests of other packages start.
    ///
    /// One build for both: apart, cargo would choose the features of shared dependencies twice and compile them twice.
    pub fn build_tests(&self) -> Command {
        self.cargo(&["build", "--workspace", "--bins", "--tests", "--all-features"])
    }

    /// A path as a reader of the repository would write it.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// The cargo that started us, so that a chosen toolchain stays chosen.
///
/// Cargo told us in variables which package we are. Build scripts that look at them would take us for another
/// caller than one at the command line, and what depends on them would be built anew each time.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(names_our_package) {
            command.env_remove(name);
        }
    }
    command
}

fn names_our_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_that_it_is_started_by_a_package() {
        let removed = |name: &str| cargo().get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_MANIFEST_DIR") && removed("CARGO_PKG_NAME"), "cargo sets them for tests too");
        assert!(!removed("CARGO_TARGET_DIR") && !names_our_package("CARGO_TARGET_DIR"));
    }
}
