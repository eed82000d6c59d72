//! A file watch's configuration and its checks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::tree::Filter;
use crate::Error;

/// What a [`FileWatchTrigger`](super::FileWatchTrigger) watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileWatchConfig {
    /// The directory; made if it is missing.
    pub watch_path: PathBuf,
    /// Globs; a file must match one. Without a `/` a glob is for the file's name at any depth, with
    /// one for its path from `watch_path`. `["*"]` where nothing is said.
    #[serde(default = "every_name")]
    pub watch_patterns: Vec<String>,
    /// Which events fire; created and modified where nothing is said.
    #[serde(default = "created_and_modified")]
    pub watch_events: Vec<WatchEvent>,
    /// The window in which reports about one file merge, in seconds; 0.5 where nothing is said, 3600 at most.
    #[serde(default = "half_a_second")]
    pub watch_debounce_seconds: f64,
    /// Whether directories below are watched too; yes where nothing is said.
    #[serde(default = "yes")]
    pub watch_recursive: bool,
    /// How changes are noticed.
    #[serde(default)]
    pub watch_backend: WatchBackend,
    /// How often everything is looked at with polling, in seconds; 1 where nothing is said, 3600 at most.
    #[serde(default = "one_second")]
    pub watch_poll_interval: f64,
    /// Files that wait for their window's end; 10000 where nothing is said. With more, the rest is
    /// found later by a look at everything.
    #[serde(default = "ten_thousand")]
    pub watch_max_pending_events: usize,
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchEvent {
    /// It was not there before.
    Created,
    /// It was there and is another now.
    Modified,
    /// It is gone.
    Deleted,
    /// It was there under another name.
    Moved,
}

/// How changes are noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchBackend {
    /// By the system's reports; where they are not to be had, by polling, with a warning.
    #[default]
    Auto,
    /// By the system's reports.
    Native,
    /// By looking at everything again and again: for network file systems and mounts into
    /// containers, which report nothing.
    Polling,
}

/// More of it has no use, and would wait past any shift.
const MAX_SECONDS: f64 = 3600.0;

impl FileWatchConfig {
    /// Watches every file under `watch_path` for creation and modification.
    pub fn new(watch_path: impl Into<PathBuf>) -> Self {
        Self {
            watch_path: watch_path.into(),
            watch_patterns: every_name(),
            watch_events: created_and_modified(),
            watch_debounce_seconds: half_a_second(),
            watch_recursive: yes(),
            watch_backend: WatchBackend::Auto,
            watch_poll_interval: one_second(),
            watch_max_pending_events: ten_thousand(),
        }
    }

    /// The part that names the trigger: what it watches, and for what. How changes are noticed is as it
    /// usually is, so that an edit of that loses nothing of what is known of the files.
    pub(super) fn naming(&self) -> Self {
        Self {
            watch_debounce_seconds: half_a_second(),
            watch_backend: WatchBackend::default(),
            watch_poll_interval: one_second(),
            watch_max_pending_events: ten_thousand(),
            ..self.clone()
        }
    }

    /// Gives the filter, or says which field is wrong.
    pub(super) fn check(&self) -> Result<Filter, Error> {
        if self.watch_events.is_empty() {
            return wrong("watch_events", "is empty, so nothing would ever fire".to_owned());
        }
        if !(0.0..=MAX_SECONDS).contains(&self.watch_debounce_seconds) {
            return wrong("watch_debounce_seconds", format!("must be between 0 and {MAX_SECONDS}"));
        }
        // A shorter interval would do nothing but look.
        if !(0.01..=MAX_SECONDS).contains(&self.watch_poll_interval) {
            return wrong("watch_poll_interval", format!("must be between 0.01 and {MAX_SECONDS}"));
        }
        if self.watch_max_pending_events == 0 {
            return wrong("watch_max_pending_events", "must be at least 1".to_owned());
        }
        Filter::new(self.root()?, &self.watch_patterns, self.watch_recursive)
    }

    pub(super) fn poll_interval(&self) -> Duration {
        Duration::from_secs_f64(self.watch_poll_interval)
    }

    fn root(&self) -> Result<PathBuf, Error> {
        let shown = self.watch_path.display();
        if self.watch_path.is_file() {
            let name = self.watch_path.file_name().unwrap_or_default().to_string_lossy();
            let parent = self.watch_path.parent().unwrap_or(Path::new("/")).display();
            let why = format!("{shown} is a file; watch {parent} and put {name} into watch_patterns");
            return wrong("watch_path", why);
        }
        match std::path::absolute(&self.watch_path) {
            Ok(root) => Ok(root),
            Err(error) => wrong("watch_path", format!("'{shown}': {error}")),
        }
    }
}

impl WatchEvent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
            Self::Moved => "moved",
        }
    }
}

fn wrong<T>(field: &str, why: String) -> Result<T, Error> {
    Err(Error::Config(format!("{field}: {why}")))
}

fn every_name() -> Vec<String> {
    vec!["*".to_owned()]
}

fn created_and_modified() -> Vec<WatchEvent> {
    vec![WatchEvent::Created, WatchEvent::Modified]
}

fn half_a_second() -> f64 {
    0.5
}

fn one_second() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn ten_thousand() -> usize {
    10_000
}
