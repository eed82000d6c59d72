//! The `file_watch` trigger: wakes an agent when files change.

mod config;
mod ledger;
mod source;
mod tree;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{Clock, TriggerEvent};
use serde_json::json;
use tokio::time::Instant;

use crate::retry::offer_patiently;
use crate::{Cursor, Error, Moved, Overlap, Sink, Trigger, identity};

pub use config::{FileWatchConfig, WatchBackend, WatchEvent};
use ledger::{Change, Ledger, Looked, MAX_REMEMBERED};
use source::{News, Source};
use tree::Filter;
use waiting::Waiting;

/// Watches a directory and fires once per file and window. Payload: `path`, `filename`,
/// `event_type` (what happened in all: `created`, `modified`, `deleted`, `moved`), `event_types`
/// (what was reported on the way).
///
/// What happened in all is found by comparing the file (inode, size, time of modification) with how
/// it was known before: a save by way of a temporary file is `modified`, a file that came and went
/// within a window is nothing, `moved` names the new path. The window opens with the first report
/// and is not extended, so a file that is written without end still fires. Files that are there when
/// the directory is opened for the first time do not fire; changes from then on do, also those before
/// [`Trigger::run`], and those made while the process was down: how the files were is kept with the
/// process, for up to 50,000 of them.
///
/// The system's reports only say where to look, so none is relied on: a new directory is searched,
/// a lost report leads to a look at everything, a changed symbolic link as well. Names that begin
/// with two dots (Kubernetes' own) are passed over, links to directories are not followed.
pub struct FileWatchTrigger {
    id: String,
    config: FileWatchConfig,
    filter: Arc<Filter>,
    clock: Arc<dyn Clock>,
    opened: Option<(Source, Ledger)>,
    /// [`MAX_REMEMBERED`], but in tests.
    max_remembered: usize,
}

/// How often it is checked that the watched directory is still the one that was opened, and what
/// could not be told is looked at again.
const ROOT_CHECK: Duration = Duration::from_secs(5);

impl FileWatchTrigger {
    /// Checks the configuration; looks at no file yet but at whether `watch_path` is one.
    pub fn new(config: FileWatchConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let filter = Arc::new(config.check()?);
        let id = identity::trigger_id("file_watch", &config.naming())?;
        Ok(Self { id, config, filter, clock, opened: None, max_remembered: MAX_REMEMBERED })
    }

    fn event(&self, change: &Change) -> TriggerEvent {
        let event_type = change.event.name();
        let reported = if change.reported.is_empty() { vec![event_type] } else { change.reported.clone() };
        let payload = json!({
            "path": change.path.to_string_lossy(),
            "filename": change.path.file_name().unwrap_or_default().to_string_lossy(),
            "event_type": event_type,
            "event_types": reported,
        });
        let mut event = TriggerEvent::new(&self.id, "file_watch", self.clock.now(), payload);
        event.metadata.insert("watch_path".to_owned(), json!(self.filter.root().to_string_lossy()));
        event.metadata.insert("patterns".to_owned(), json!(self.config.watch_patterns));
        if let Some(from) = &change.moved_from {
            event.metadata.insert("moved_from".to_owned(), json!(from.to_string_lossy()));
        }
        event.dedup_key = Some(change.dedup_key());
        event
    }

    async fn watch(&mut self, sink: &Sink) -> Result<std::convert::Infallible, Error> {
        if self.opened.is_none() {
            self.open(&Cursor::new()).await?;
        }
        let Some((mut source, mut ledger)) = self.opened.take() else {
            return Err(Error::Unavailable("the directory is not open".to_owned()));
        };
        let window = Duration::from_secs_f64(self.config.watch_debounce_seconds);
        let mut waiting = Waiting::new(window, self.config.watch_max_pending_events, self.filter.root().to_owned());
        // The first time: how the files are now, so that the next start finds what is different then.
        let keep = ledger.keep(&[]);
        self.keep(sink, keep, ledger.is_kept()).await?;
        // A directory made while the watch was being set up may not be watched, but is found here; and
        // so is what changed while nobody watched.
        waiting.add_all(Instant::now());
        let mut root_check = tokio::time::interval(ROOT_CHECK);
        root_check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                news = source.next() => match news {
                    News::At(path, kind) => waiting.add(path, kind, Instant::now()),
                    News::Anywhere => waiting.add_all(Instant::now()),
                    News::Root => source.reopen_if_replaced(&mut waiting).await,
                },
                _ = root_check.tick() => {
                    source.reopen_if_replaced(&mut waiting).await;
                    for path in ledger.unclear() {
                        waiting.add(path.clone(), None, Instant::now());
                    }
                }
                () = waiting.due() => {
                    let looked;
                    (ledger, looked) = look(ledger, waiting.take_due(Instant::now())).await?;
                    self.report(sink, looked, &mut waiting, ledger.is_kept()).await?;
                }
            }
        }
    }

    /// Lets the process keep how all files are, or nothing of it where they are too many; nothing changes
    /// in that most of the time. `kept` says which of both it is.
    async fn keep(&self, sink: &Sink, cursor: Option<Cursor>, kept: bool) -> Result<(), Error> {
        let Some(cursor) = cursor else { return Ok(()) };
        let (directory, max) = (self.filter.root().display(), self.max_remembered);
        if !kept {
            tracing::warn!(%directory, "more than {max} files are watched: what changes while the process is down is not seen");
        }
        if cursor.is_empty() { Ok(()) } else { self.moved(sink, cursor).await }
    }

    async fn moved(&self, sink: &Sink, cursor: Cursor) -> Result<(), Error> {
        let moved = Moved { trigger_id: self.id.clone(), cursor, skipped: 0, why: String::new() };
        sink.moved(moved).await.map_err(|closed| Error::Unavailable(closed.to_string()))
    }

    /// Offers what happened. `kept` says that it is kept how the files are.
    async fn report(&self, sink: &Sink, looked: Looked, waiting: &mut Waiting, kept: bool) -> Result<(), Error> {
        let now = Instant::now();
        for path in looked.found {
            waiting.add(path, None, now);
        }
        for change in looked.changes {
            let cursor = if kept { change.cursor() } else { Cursor::new() };
            if self.config.watch_events.contains(&change.event) {
                offer_patiently(sink, self.event(&change), cursor, Overlap::Parallel).await?;
            } else if kept {
                self.moved(sink, cursor).await?;
            }
        }
        // Not before the changes: what was not offered yet must be found again by the next start.
        self.keep(sink, looked.keep, kept).await
    }
}

/// Looks at files on a thread that may block.
async fn look(mut ledger: Ledger, due: Vec<(PathBuf, Vec<&'static str>)>) -> Result<(Ledger, Looked), Error> {
    let looking = tokio::task::spawn_blocking(move || {
        let looked = ledger.look(due)?;
        Ok((ledger, looked))
    });
    looking.await.unwrap_or_else(|error| Err(Error::Unavailable(format!("the look at the files was broken off: {error}"))))
}

#[async_trait]
impl Trigger for FileWatchTrigger {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "file_watch"
    }

    fn label(&self) -> String {
        let patterns = self.config.watch_patterns.join(" ");
        format!("{} {patterns}", self.filter.root().display()).trim_end().to_owned()
    }

    async fn open(&mut self, cursor: &Cursor) -> Result<(), Error> {
        let known = cursor.clone();
        // The watch comes before the look, so that nothing falls between them.
        let source = Source::open(&self.config, &self.filter).await?;
        let (filter, max) = (Arc::clone(&self.filter), self.max_remembered);
        let looking = tokio::task::spawn_blocking(move || Ledger::open(filter, &known, max)).await;
        let ledger = looking.map_err(|error| Error::Unavailable(format!("the look at the files was broken off: {error}")))??;
        self.opened = Some((source, ledger));
        Ok(())
    }

    async fn run(mut self: Box<Self>, sink: Sink) -> Error {
        let gone = sink.clone();
        tokio::select! {
            () = gone.closed() => Error::Unavailable("the process is not taking events".to_owned()),
            ended = self.watch(&sink) => match ended {
                Err(error) => error,
                Ok(never) => match never {},
            },
        }
    }
}

#[cfg(test)]
mod tests;
