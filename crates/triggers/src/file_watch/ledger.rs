//! The files as they were last known, and what a new look says about them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::WatchEvent;
use super::tree::{Files, Filter, Stamp, is_gone};
use crate::{Cursor, Error};

/// What was known at the last look.
pub(super) struct Ledger {
    filter: Arc<Filter>,
    known: Files,
    /// Files and directories of which could not be told how they are.
    unclear: BTreeSet<PathBuf>,
    /// What of this the process keeps.
    kept: Kept,
    /// Keys that the process keeps and that are of no watched file.
    stale: Vec<String>,
    /// So many files are remembered from one start to the next at most.
    limit: usize,
}

/// What the process keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kept {
    /// Nothing so far.
    NotYet,
    /// All that is known.
    Whole,
    /// Nothing any more: it became too much.
    Stopped,
}

/// What happened to a file between two looks.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) event: WatchEvent,
    pub(super) moved_from: Option<PathBuf>,
    pub(super) reported: Vec<&'static str>,
    stamp: Stamp,
}

/// What a look brought.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// What happened.
    pub(super) changes: Vec<Change>,
    /// Files that differ though nobody reported them; they may still be being written.
    pub(super) found: Vec<PathBuf>,
    /// What must be kept besides what the changes say, once these are.
    pub(super) keep: Option<Cursor>,
}

impl Change {
    /// The same for the same state of the same file.
    pub(super) fn dedup_key(&self) -> String {
        let gone = if self.event == WatchEvent::Deleted { "gone:" } else { "" };
        format!("{gone}{}:{}", self.path.to_string_lossy(), self.stamp.written())
    }

    /// What the change changes of what is known.
    pub(super) fn cursor(&self) -> Cursor {
        let now = if self.event == WatchEvent::Deleted { Value::Null } else { json!(self.stamp.written()) };
        let from = self.moved_from.as_ref().map(|from| (key(from), Value::Null));
        from.into_iter().chain([(key(&self.path), now)]).collect()
    }
}

/// The key under which it is kept that the directory was looked at, so that an empty one is told from
/// one that was never seen.
const SEEN: &str = "";

/// More files than this are not remembered from one start to the next: they would fill the journal.
pub(super) const MAX_REMEMBERED: usize = 50_000;

fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl Ledger {
    /// Knows the files as `cursor` has them; as they are now, where it has none.
    pub(super) fn open(filter: Arc<Filter>, cursor: &Cursor, limit: usize) -> Result<Self, Error> {
        let seen = cursor.contains_key(SEEN);
        let kept = if seen { Kept::Whole } else { Kept::NotYet };
        let mut ledger = Self { filter, known: Files::new(), unclear: BTreeSet::new(), kept, stale: Vec::new(), limit };
        if seen {
            let stamp = |(path, stamp): (&String, &Value)| Some((PathBuf::from(path), Stamp::parse(stamp.as_str()?)?));
            // A file that is watched no more, because the patterns are others, is not one that is gone.
            ledger.known = cursor.iter().filter_map(stamp).filter(|(path, _)| ledger.filter.wants(path)).collect();
        } else {
            let root = ledger.filter.root().to_owned();
            let walked = ledger.filter.walk(&root)?;
            ledger.known = walked.files;
            ledger.doubt(&root, walked.unclear);
        }
        let is_stale = |path: &&String| *path != SEEN && !(seen && ledger.known.contains_key(Path::new(path)));
        ledger.stale = cursor.keys().filter(is_stale).cloned().collect();
        Ok(ledger)
    }

    /// The process keeps how all files are, so what changes while it is down is seen.
    pub(super) fn is_kept(&self) -> bool {
        self.kept == Kept::Whole
    }

    /// What must be kept where there are too many files all of a sudden, or no longer; `changes` are not
    /// kept yet. A cursor that nobody keeps up to date any more is taken back, lest the next start trust it.
    pub(super) fn keep(&mut self, changes: &[Change]) -> Option<Cursor> {
        let count = self.known.len();
        // All that is known is much to write, so it is not done each time that the number is passed.
        let enough = if self.kept == Kept::Stopped { self.limit - self.limit / 10 } else { self.limit };
        match self.kept {
            Kept::NotYet | Kept::Whole if count > self.limit => {
                let nothing = self.nothing(changes);
                self.kept = Kept::Stopped;
                Some(nothing)
            }
            Kept::NotYet | Kept::Stopped if count <= enough => {
                self.kept = Kept::Whole;
                Some(self.everything())
            }
            _ => None,
        }
    }

    /// Sets all that is known.
    fn everything(&mut self) -> Cursor {
        let stale = self.stale.drain(..).map(|path| (path, Value::Null));
        let files = self.known.iter().map(|(path, stamp)| (key(path), json!(stamp.written())));
        stale.chain(files).chain([(SEEN.to_owned(), json!(true))]).collect()
    }

    /// Takes away all that is kept.
    fn nothing(&mut self, changes: &[Change]) -> Cursor {
        let mut paths = std::mem::take(&mut self.stale);
        if self.kept == Kept::Whole {
            let came: BTreeSet<&PathBuf> = changes.iter().map(|change| &change.path).collect();
            paths.extend(self.known.keys().filter(|path| !came.contains(path)).map(|path| key(path)));
            // A file that was there before the changes is kept as it was then.
            let before = changes.iter().filter_map(|change| match change.event {
                WatchEvent::Created => None,
                WatchEvent::Modified | WatchEvent::Deleted => Some(&change.path),
                WatchEvent::Moved => change.moved_from.as_ref(),
            });
            paths.extend(before.map(|path| key(path)));
            paths.push(SEEN.to_owned());
        }
        paths.into_iter().map(|path| (path, Value::Null)).collect()
    }

    /// Looks at what was reported. Blocks.
    pub(super) fn look(&mut self, due: Vec<(PathBuf, Vec<&'static str>)>) -> Result<Looked, Error> {
        let mut files = Vec::new();
        let mut found = BTreeSet::new();
        for (path, reported) in due {
            match fs::symlink_metadata(&path) {
                // A link may stand for any of the files: a ConfigMap is changed by one.
                meta if path == self.filter.root() || meta.as_ref().is_ok_and(fs::Metadata::is_symlink) => {
                    let root = self.filter.root().to_owned();
                    self.differing(&root, &mut found)?;
                }
                Ok(meta) if meta.is_dir() => self.differing(&path, &mut found)?,
                Ok(_) => drop(self.unclear.remove(&path)),
                Err(error) if is_gone(&error) => {
                    self.doubt(&path, Vec::new());
                    if !self.known.contains_key(&path) {
                        // Perhaps a directory that is gone, with all in it.
                        found.extend(self.known_under(&path).map(|(path, _)| path.clone()));
                    }
                }
                Err(error) => self.doubt(&path, vec![(path.clone(), error)]),
            }
            if self.filter.wants(&path) {
                files.push((path, reported));
            }
        }
        for (path, _) in &files {
            found.remove(path);
        }
        let changes = self.settle(files);
        let keep = self.keep(&changes);
        Ok(Looked { changes, found: found.into_iter().collect(), keep })
    }

    fn known_under<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Stamp)> {
        self.known.range(directory.to_owned()..).take_while(move |(path, _)| path.starts_with(directory))
    }

    /// Adds the files under `directory` that are no longer as they are known.
    fn differing(&mut self, directory: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
        let walked = self.filter.walk(directory)?;
        self.doubt(directory, walked.unclear);
        let now = walked.files;
        let gone = self.known_under(directory).map(|(path, _)| path);
        found.extend(gone.filter(|path| !now.contains_key(*path) && !self.is_unclear(path)).cloned());
        let other = |path: &PathBuf, stamp: &Stamp| !self.known.get(path).is_some_and(|known| known.same(stamp));
        found.extend(now.iter().filter(|(path, stamp)| other(path, stamp)).map(|(path, _)| path.clone()));
        Ok(())
    }

    /// What could not be told at the last looks, to be looked at again some time later.
    pub(super) fn unclear(&self) -> impl Iterator<Item = &PathBuf> {
        self.unclear.iter()
    }

    /// Of what is at and under `path`, `unclear` is what cannot be told, and the rest can. Says so once.
    fn doubt(&mut self, path: &Path, unclear: Vec<(PathBuf, io::Error)>) {
        let before: BTreeSet<PathBuf> = self.unclear.extract_if(.., |known| known.starts_with(path)).collect();
        for (path, error) in unclear {
            if !before.contains(&path) {
                tracing::warn!(path = %path.display(), %error, "it cannot be told how a watched path is; looking again later");
            }
            self.unclear.insert(path);
        }
    }

    fn is_unclear(&self, path: &Path) -> bool {
        !self.unclear.is_empty() && path.ancestors().any(|above| self.unclear.contains(above))
    }

    /// Compares each file with what is known of it, and knows it as it is from then on.
    fn settle(&mut self, files: Vec<(PathBuf, Vec<&'static str>)>) -> Vec<Change> {
        let mut gone = Vec::new();
        let mut there = Vec::new();
        for (path, reported) in files {
            let now = match self.filter.stamp(&path) {
                Ok(now) => now,
                // It stays as it is known.
                Err(error) => {
                    self.doubt(&path, vec![(path.clone(), error)]);
                    continue;
                }
            };
            match (now, self.known.get(&path).copied()) {
                (Some(now), Some(known)) if now.same(&known) => {}
                (Some(now), known) => there.push((path, reported, now, known)),
                (None, Some(known)) => gone.push((path, reported, known)),
                (None, None) => {}
            }
        }
        let mut changes = Vec::new();
        for (path, reported, stamp, known) in there {
            self.known.insert(path.clone(), stamp);
            let (event, moved_from) = match known {
                Some(_) => (WatchEvent::Modified, None),
                // The same inode alone proves nothing: a new file may get that of a deleted one.
                None => match gone.iter().position(|(_, _, known)| known.same(&stamp)) {
                    Some(index) => {
                        let (from, _, _) = gone.swap_remove(index);
                        self.known.remove(&from);
                        (WatchEvent::Moved, Some(from))
                    }
                    None => (WatchEvent::Created, None),
                },
            };
            changes.push(Change { path, event, moved_from, reported, stamp });
        }
        for (path, reported, stamp) in gone {
            self.known.remove(&path);
            changes.push(Change { path, event: WatchEvent::Deleted, moved_from: None, reported, stamp });
        }
        changes
    }
}

#[cfg(test)]
mod tests;
