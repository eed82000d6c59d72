//! Faults that could not be tried here. Each leaves its reason in a file: a test runner hides what a passing test says.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Verdict;
use crate::workspace::Workspace;

/// By its id: why a fault was not tried, or not as a whole.
type Skipped = BTreeMap<String, String>;

/// Removes what an earlier run left.
pub fn forget(workspace: &Workspace) -> Result<()> {
    match fs::remove_dir_all(folder(workspace)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("could not remove what an earlier run left"),
        _ => Ok(()),
    }
}

/// What this run left.
pub fn read(workspace: &Workspace) -> Result<Skipped> {
    let folder = folder(workspace);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Skipped::new()),
        entries => entries.with_context(|| format!("could not read {}", folder.display()))?,
    };
    let mut skipped = Skipped::new();
    for entry in entries {
        let path = entry?.path();
        let why = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        skipped.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), why);
    }
    Ok(skipped)
}

/// The step's verdict, when everything that was tried has passed.
pub fn told(skipped: &Skipped) -> Verdict {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (fault, why) in skipped {
        by_reason.entry(why.trim()).or_default().push(fault);
    }
    let all: Vec<String> = by_reason.iter().map(|(why, faults)| format!("{} not tried: {why}", faults.join(", "))).collect();
    if all.is_empty() { Verdict::Passed } else { Verdict::InPart(all.join("; ").replace('\n', " ")) }
}

/// Cargo names it to the suite as the folder for a test's own files.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tmp/chaos-skipped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_with_one_reason_are_told_together() {
        let skipped = [("F02", "no strace"), ("F10", "no mount"), ("F12", "no strace")];
        let skipped = skipped.into_iter().map(|(fault, why)| (fault.to_owned(), why.to_owned())).collect();
        let Verdict::InPart(what) = told(&skipped) else { panic!("not all was tried") };
        assert_eq!(what, "F10 not tried: no mount; F02, F12 not tried: no strace");
        assert!(matches!(told(&Skipped::new()), Verdict::Passed));
    }
}
