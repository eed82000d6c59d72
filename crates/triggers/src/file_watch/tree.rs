//! Files as they are now: which are watched, and what tells one state of a file from another.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::Error;

/// The watched files and how they are.
pub(super) type Files = BTreeMap<PathBuf, Stamp>;

/// What a look at everything under a directory brings.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Files,
    /// Files and directories of which the system does not tell how they are.
    pub(super) unclear: Vec<(PathBuf, io::Error)>,
}

/// More files than this are a wrong path or a missing pattern.
const MAX_FILES: usize = 500_000;

/// Deeper than this lies nothing that a person put there.
const MAX_DEPTH: usize = 64;

/// Which files are watched.
#[derive(Debug)]
pub(super) struct Filter {
    root: PathBuf,
    recursive: bool,
    names: GlobSet,
    paths: GlobSet,
}

/// How a file is. Times are in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: i128,
    /// When its inode changed; tells a file that came back from the one that went.
    pub(super) changed: i128,
}

impl Stamp {
    /// As it is kept with the process.
    pub(super) fn written(&self) -> String {
        let Self { inode, size, modified, changed } = self;
        format!("{inode}:{size}:{modified}:{changed}")
    }

    /// Reads what [`Stamp::written`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let stamp = Self {
            inode: parts.next()?.parse().ok()?,
            size: parts.next()?.parse().ok()?,
            modified: parts.next()?.parse().ok()?,
            changed: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(stamp)
    }

    /// The same file with the same content, as far as can be seen from outside.
    pub(super) fn same(&self, other: &Self) -> bool {
        (self.inode, self.size, self.modified) == (other.inode, other.size, other.modified)
    }

    fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
            Self {
                inode: meta.ino(),
                size: meta.len(),
                modified: nanos(meta.mtime(), meta.mtime_nsec()),
                changed: nanos(meta.ctime(), meta.ctime_nsec()),
            }
        }
        #[cfg(not(unix))]
        {
            let since = |time: io::Result<std::time::SystemTime>| {
                let time = time.ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                time.and_then(|time| i128::try_from(time.as_nanos()).ok()).unwrap_or_default()
            };
            Self { inode: 0, size: meta.len(), modified: since(meta.modified()), changed: since(meta.created()) }
        }
    }
}

impl Filter {
    pub(super) fn new(root: PathBuf, patterns: &[String], recursive: bool) -> Result<Self, Error> {
        if patterns.is_empty() {
            return Err(Error::Config("watch_patterns: is empty, so no file would ever match".to_owned()));
        }
        let (paths, names): (Vec<_>, Vec<_>) = patterns.iter().partition(|pattern| pattern.contains('/'));
        Ok(Self { root, recursive, names: globs(&names)?, paths: globs(&paths)? })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn recursive(&self) -> bool {
        self.recursive
    }

    /// Whether a file at `path` is watched.
    pub(super) fn wants(&self, path: &Path) -> bool {
        let Ok(inner) = path.strip_prefix(&self.root) else { return false };
        let Some(name) = inner.file_name() else { return false };
        if inner.components().any(|part| matches!(part, Component::Normal(name) if is_kubernetes_own(name))) {
            return false;
        }
        (self.recursive || inner.components().count() == 1) && (self.names.is_match(name) || self.paths.is_match(inner))
    }

    /// The watched files at and under the directory `from`. A directory that cannot be read is
    /// passed over and named, so that one stranger's folder does not stop the watch.
    pub(super) fn walk(&self, from: &Path) -> Result<Walked, Error> {
        let mut walked = Walked::default();
        let mut directories = vec![(from.to_owned(), 0)];
        while let Some((directory, depth)) = directories.pop() {
            let entries = match fs::read_dir(&directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
                Ok(entries) => entries,
                Err(error) => {
                    walked.passed_over(directory, error);
                    continue;
                }
            };
            for entry in entries {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => {
                        if self.recursive && depth < MAX_DEPTH && !is_kubernetes_own(&entry.file_name()) {
                            directories.push((path, depth + 1));
                        }
                    }
                    Ok(_) => match self.stamp(&path) {
                        Ok(Some(stamp)) => drop(walked.files.insert(path, stamp)),
                        Ok(None) => {}
                        Err(error) => walked.passed_over(path, error),
                    },
                    Err(error) => walked.passed_over(path, error),
                }
            }
            if walked.files.len() > MAX_FILES {
                let root = self.root.display();
                return Err(Error::Unavailable(format!(
                    "{root} holds more than {MAX_FILES} watched files: narrow watch_patterns"
                )));
            }
        }
        Ok(walked)
    }

    /// How the watched file at `path` is; `None` where there is surely none. Links to files are followed.
    pub(super) fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        if !self.wants(path) {
            return Ok(None);
        }
        match fs::metadata(path) {
            Ok(meta) => Ok(meta.is_file().then(|| Stamp::of(&meta))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Walked {
    fn passed_over(&mut self, path: PathBuf, error: io::Error) {
        if !is_gone(&error) {
            self.unclear.push((path, error));
        }
    }
}

/// Whether `error` says that nothing is there. Any other, such as that of a network file system that
/// does not answer, says nothing about the file.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_kubernetes_own(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"..")
}

fn globs(patterns: &[&String]) -> Result<GlobSet, Error> {
    let wrong = |error: globset::Error| Error::Config(format!("watch_patterns: {error}"));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern.trim_start_matches("./")).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}
