//! Where news of changes come from: the system's reports, or the clock.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::tree::{Filter, is_gone};
use super::waiting::Waiting;
use super::{FileWatchConfig, WatchBackend};
use crate::Error;

/// Something to look at.
pub(super) enum News {
    /// At this path, and what was said of it.
    At(PathBuf, Option<&'static str>),
    /// It is not known where.
    Anywhere,
    /// The watched directory itself may be gone or another.
    Root,
}

/// Watches one directory.
pub(super) struct Source {
    filter: Arc<Filter>,
    backend: WatchBackend,
    poll_interval: Duration,
    eye: Eye,
    /// Tells the directory that is watched from another at its path.
    root: Option<u64>,
    /// The directory cannot be watched at the moment, and that was said.
    away: bool,
}

enum Eye {
    Native { reports: mpsc::Receiver<(PathBuf, &'static str)>, lost: Arc<Lost>, _watcher: RecommendedWatcher },
    Polling(Interval),
}

/// What the system does not report.
#[derive(Default)]
struct Lost {
    /// Reports got lost.
    some: AtomicBool,
    /// The system takes no further watches, so it will never report what is in some new directory.
    watches: AtomicBool,
    /// That was said.
    told: AtomicBool,
}

impl Lost {
    fn note(&self, error: &notify::Error) {
        if matches!(error.kind, ErrorKind::MaxFilesWatch) {
            self.watches.store(true, Ordering::Release);
        } else {
            tracing::warn!(%error, "a report of changed files was lost");
        }
        self.some.store(true, Ordering::Release);
    }
}

/// Reports that were not looked at yet. With more, everything is looked at.
const MAX_REPORTS: usize = 10_000;

impl Source {
    /// Makes the directory if it is missing, and watches it from here on.
    pub(super) async fn open(config: &FileWatchConfig, filter: &Arc<Filter>) -> Result<Self, Error> {
        let (backend, poll_interval) = (config.watch_backend, config.poll_interval());
        let (eye, root) = made_and_watched(filter, backend, poll_interval).await?;
        Ok(Self { filter: Arc::clone(filter), backend, poll_interval, eye, root, away: false })
    }

    /// The next news. Cancel-safe.
    pub(super) async fn next(&mut self) -> News {
        match &mut self.eye {
            Eye::Polling(interval) => {
                interval.tick().await;
                News::Anywhere
            }
            Eye::Native { reports, lost, .. } => {
                if lost.some.swap(false, Ordering::AcqRel) {
                    return News::Anywhere;
                }
                match reports.recv().await {
                    // Another directory at the path may have the inode of this one, so it is forgotten.
                    Some((path, "deleted" | "moved")) if path == self.filter.root() => {
                        self.root = None;
                        News::Root
                    }
                    Some((path, kind)) => News::At(path, Some(kind)),
                    // The watcher's thread has ended; a new watch mends it.
                    None => {
                        self.root = None;
                        News::Root
                    }
                }
            }
        }
    }

    /// Where the watched directory was deleted or replaced, the system says nothing about what is
    /// at its path now: it is made again, watched anew, and everything is looked at.
    ///
    /// Where it cannot be, because something else is in its place or its disk is away, that is tried again each
    /// time: whoever mends it need not start anything.
    pub(super) async fn reopen_if_replaced(&mut self, waiting: &mut Waiting) {
        let missed = matches!(&self.eye, Eye::Native { lost, .. } if lost.some.swap(false, Ordering::AcqRel));
        let unwatched = self.do_without_watches();
        // Where it cannot be told what is there, it is still the one that was opened.
        let now = identity(self.filter.root()).unwrap_or(self.root);
        let replaced = self.root.is_none() || self.root != now;
        if replaced && !self.watch_anew().await {
            return;
        }
        if replaced || missed || unwatched {
            waiting.add_all(Instant::now());
        }
    }

    /// Whether the directory is there again.
    async fn watch_anew(&mut self) -> bool {
        let directory = self.filter.root().display().to_string();
        if !self.away {
            tracing::warn!(directory, "the watched directory was replaced; watching it anew");
        }
        match made_and_watched(&self.filter, self.backend, self.poll_interval).await {
            Ok((eye, root)) => {
                (self.eye, self.root) = (eye, root);
                self.away = false;
            }
            Err(error) => {
                if !self.away {
                    tracing::error!(directory, %error, "it cannot be watched; that is tried again and again");
                }
                // What watched it reports nothing any more.
                self.eye = Eye::Polling(ticks(self.poll_interval));
                self.root = None;
                self.away = true;
            }
        }
        !self.away
    }

    /// Whether there are directories that are not watched, for want of watches: then everything is to be
    /// looked at. Where that may be chosen here, it is done by polling from now on.
    fn do_without_watches(&mut self) -> bool {
        let Eye::Native { lost, .. } = &self.eye else { return false };
        if !lost.watches.load(Ordering::Acquire) {
            return false;
        }
        let directory = self.filter.root().display();
        if self.backend == WatchBackend::Auto {
            tracing::warn!(%directory, "{NO_WATCHES}; looking at every file again and again instead");
            self.eye = Eye::Polling(ticks(self.poll_interval));
        } else if !lost.told.swap(true, Ordering::AcqRel) {
            tracing::error!(%directory, "{NO_WATCHES}: what is in new directories is noticed late, by looking at every file");
        }
        true
    }
}

/// On Linux this is set by one number for all of a user's programs.
const NO_WATCHES: &str = "the system takes no further watches (raise fs.inotify.max_user_watches)";

/// Makes the directory if it is missing, and watches it from here on; which one that is, as [`identity`] tells it.
async fn made_and_watched(
    filter: &Arc<Filter>,
    backend: WatchBackend,
    poll_interval: Duration,
) -> Result<(Eye, Option<u64>), Error> {
    make(filter.root()).await?;
    let eye = eye(filter, backend, poll_interval).await?;
    Ok((eye, identity(filter.root()).unwrap_or_default()))
}

/// By what changes are noticed, as far as the system has it.
async fn eye(filter: &Arc<Filter>, backend: WatchBackend, poll_interval: Duration) -> Result<Eye, Error> {
    let polling = || Eye::Polling(ticks(poll_interval));
    Ok(match backend {
        WatchBackend::Polling => polling(),
        WatchBackend::Native => native(filter).await?,
        WatchBackend::Auto => native(filter).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the system reports no changes; looking at every file again and again instead");
            polling()
        }),
    })
}

async fn make(root: &Path) -> Result<(), Error> {
    let made = tokio::fs::create_dir_all(root).await;
    made.map_err(|error| Error::Unavailable(format!("watch_path {} cannot be made: {error}", root.display())))
}

fn ticks(every: Duration) -> Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Watches by the system's reports. Setting up a watch walks the tree, so it is done off the loop.
async fn native(filter: &Arc<Filter>) -> Result<Eye, Error> {
    let filter = Arc::clone(filter);
    let root = filter.root().display().to_string();
    let watching = tokio::task::spawn_blocking(move || watch(&filter)).await;
    let unavailable = |why: String| Error::Unavailable(format!("watch_path {root} cannot be watched: {why}"));
    match watching {
        Ok(watching) => watching.map_err(|error| unavailable(error.to_string())),
        Err(error) => Err(unavailable(error.to_string())),
    }
}

fn watch(filter: &Filter) -> notify::Result<Eye> {
    let (reporting, reports) = mpsc::channel(MAX_REPORTS);
    let lost = Arc::new(Lost::default());
    let losing = Arc::clone(&lost);
    let handler = move |event: notify::Result<Event>| match event {
        Ok(event) if !event.need_rescan() => {
            let Some(kind) = kind(event.kind) else { return };
            for path in event.paths {
                if reporting.try_send((path, kind)).is_err() {
                    losing.some.store(true, Ordering::Release);
                }
            }
        }
        Ok(_) => losing.some.store(true, Ordering::Release),
        Err(error) => losing.note(&error),
    };
    let config = notify::Config::default().with_follow_symlinks(false);
    let mut watcher = RecommendedWatcher::new(handler, config)?;
    let mode = if filter.recursive() { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
    watcher.watch(filter.root(), mode)?;
    Ok(Eye::Native { reports, lost, _watcher: watcher })
}

/// What a report says, in our words; `None` for one that changes nothing, such as an open.
fn kind(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some("modified"),
        EventKind::Access(_) => None,
        EventKind::Create(_) => Some("created"),
        EventKind::Remove(_) => Some("deleted"),
        EventKind::Modify(ModifyKind::Name(_)) => Some("moved"),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Some("modified"),
    }
}

/// The inode of the directory at `path`, or 0 where the system has none; `None` where none is there.
fn identity(path: &Path) -> io::Result<Option<u64>> {
    let meta = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => meta,
        Ok(_) => return Ok(None),
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    return Ok(Some(std::os::unix::fs::MetadataExt::ino(&meta)));
    #[cfg(not(unix))]
    return Ok(Some(u64::from(!meta.is_dir())));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watch whose system has no watches left, and what it looks at after each of two checks.
    async fn without_watches(backend: WatchBackend) -> (Source, [usize; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let config = FileWatchConfig { watch_backend: backend, ..FileWatchConfig::new(dir.path()) };
        let mut source = Source::open(&config, &Arc::new(config.check().unwrap())).await.unwrap();
        let Eye::Native { lost, .. } = &source.eye else { panic!("the system has watches") };
        lost.note(&notify::Error::new(ErrorKind::MaxFilesWatch));
        let mut looks = [0; 2];
        for look in &mut looks {
            let mut waiting = Waiting::new(Duration::ZERO, 10, dir.path().to_owned());
            source.reopen_if_replaced(&mut waiting).await;
            *look = waiting.take_due(Instant::now()).len();
        }
        (source, looks)
    }

    #[tokio::test]
    async fn without_further_watches_a_watch_that_may_choose_polls() {
        let (mut source, looks) = without_watches(WatchBackend::Auto).await;
        assert!(matches!(source.eye, Eye::Polling(_)));
        assert_eq!(looks[0], 1, "what was missed until then is looked at");
        assert!(matches!(source.next().await, News::Anywhere));
    }

    #[tokio::test]
    async fn without_further_watches_a_watch_that_may_not_choose_looks_at_everything_at_each_check() {
        let (source, looks) = without_watches(WatchBackend::Native).await;
        assert!(matches!(source.eye, Eye::Native { .. }));
        assert_eq!(looks, [1, 1]);
    }
}
