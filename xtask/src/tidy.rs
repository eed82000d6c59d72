//! Checks of our own over the text of the repository: what rustfmt and clippy do not look at.
//!
//! Every rule is a pure function from a file's text to findings; this file reads the text and prints.

mod code;
mod crates;
mod links;
mod rust;
mod text;

pub use links::beside;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// A file of the repository, with its path from the root.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// One thing to mend.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    path: PathBuf,
    line: usize,
    what: String,
    fix: String,
}

impl Finding {
    fn new(path: &Path, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), fix: fix.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path.display(), self.line, self.what, self.fix)
    }
}

/// Checks every text file that git knows or would add.
pub fn run(workspace: &Workspace) -> Result<()> {
    let sources = read(&workspace.root)?;
    let found = check(&sources);
    for finding in &found {
        eprintln!("{finding}");
    }
    if !found.is_empty() {
        bail!("tidy: {} thing(s) to mend", found.len());
    }
    println!("tidy: {} files, nothing to mend", sources.len());
    Ok(())
}

fn check(sources: &[Source]) -> Vec<Finding> {
    let known: BTreeSet<&Path> = sources.iter().flat_map(|source| source.path.ancestors()).collect();
    let mut found = Vec::new();
    for source in sources {
        found.extend(text::check(source));
        found.extend(rust::check(source));
        found.extend(links::check(source, sources, &known));
    }
    found.extend(crates::check(sources));
    found
}

/// The repository's files. One that is not UTF-8 is data: its path counts, its text does not.
fn read(root: &Path) -> Result<Vec<Source>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("could not start git, which says what belongs to the repository")?;
    if !output.status.success() {
        bail!("git cannot list the files here: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let mut sources = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        match std::fs::read(root.join(name)) {
            Ok(bytes) => sources.push(Source { path: name.into(), text: String::from_utf8(bytes).unwrap_or_default() }),
            // Deleted, and git was not told yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("could not read {name}")),
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_place_what_and_fix() {
        let finding = Finding::new(Path::new("a/b.rs"), 3, "too long", "split it");
        assert_eq!(finding.to_string(), "a/b.rs:3: too long: split it");
    }

    #[test]
    fn only_files_that_git_would_keep_are_read() {
        let repository = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| assert!(Command::new("git").args(args).current_dir(&repository).status().unwrap().success());
        git(&["init", "--quiet"]);
        for (name, text) in [(".gitignore", "made\n"), ("made", "x "), ("kept.md", "x"), ("data.bin", "y")] {
            std::fs::write(repository.path().join(name), text).unwrap();
        }
        std::fs::write(repository.path().join("data.bin"), [0xff, 0xfe]).unwrap();
        let names: BTreeSet<_> = read(repository.path()).unwrap().into_iter().map(|source| source.path).collect();
        assert_eq!(names, [".gitignore", "data.bin", "kept.md"].map(PathBuf::from).into());
    }
}
