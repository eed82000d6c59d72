//! A copy of the sources in which something can be changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::mutations::Mutation;
use crate::process;
use crate::workspace::Workspace;

/// The copy: it lies in cargo's target folder, and is brought up to date and not made anew, so that only
/// what changed is built again.
pub struct Sources {
    pub dir: PathBuf,
}

impl Sources {
    /// Copies every file that git knows or would add.
    pub fn copy(workspace: &Workspace, dir: &Path) -> Result<Self> {
        let root = workspace.root.display().to_string();
        let listed = process::ask("git", &["-C", &root, "ls-files", "-co", "--exclude-standard"]);
        let listed = listed.context("git does not say which files there are")?;
        // One that was deleted and not committed is still listed.
        let files: BTreeSet<PathBuf> =
            listed.lines().map(PathBuf::from).filter(|file| workspace.root.join(file).is_file()).collect();
        for file in &files {
            let (from, to) = (workspace.root.join(file), dir.join(file));
            let bytes = fs::read(&from).with_context(|| format!("could not read {}", from.display()))?;
            if fs::read(&to).is_ok_and(|there| there == bytes) {
                continue;
            }
            fs::create_dir_all(to.parent().unwrap_or(dir))?;
            fs::write(&to, bytes).with_context(|| format!("could not write {}", to.display()))?;
        }
        let sources = Self { dir: dir.to_owned() };
        sources.remove_others(dir, &files)?;
        Ok(sources)
    }

    fn remove_others(&self, dir: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_others(&path, files)?;
            } else if path.strip_prefix(&self.dir).is_ok_and(|file| !files.contains(file)) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// Changes the copy, does something, and changes it back.
    pub fn with<T>(&self, mutation: &Mutation, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let path = self.dir.join(mutation.file);
        let before = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        fs::write(&path, changed(&before, mutation)?)?;
        let done = work();
        fs::write(&path, before)?;
        done
    }
}

/// The text with the mutation in it, which must fit in one place.
fn changed(text: &str, mutation: &Mutation) -> Result<String> {
    match text.matches(mutation.from).count() {
        1 => Ok(text.replacen(mutation.from, mutation.to, 1)),
        found => {
            bail!("'{}': what it replaces stands {found} times in {}, and must stand there once", mutation.what, mutation.file)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::mutations::MUTATIONS;

    #[test]
    fn every_mutation_fits_the_sources_as_they_are() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for mutation in MUTATIONS {
            let text = fs::read_to_string(root.join(mutation.file)).unwrap();
            assert_ne!(changed(&text, mutation).unwrap(), text, "{}", mutation.what);
        }
    }

    #[test]
    fn what_does_not_stand_there_cannot_be_taken_away() {
        let mutation = Mutation { what: "x", file: "f", from: "b", to: "", faults: &[] };
        assert!(changed("a b", &mutation).is_ok());
        assert!(changed("a", &mutation).unwrap_err().to_string().contains("0 times"));
        assert!(changed("b b", &mutation).unwrap_err().to_string().contains("2 times"));
    }
}
