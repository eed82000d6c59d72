//! The keys beyond memory, while a runtime runs: a thread of their own reads them from the log, where
//! nothing is missed, and whoever takes events in asks here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flyball_core_agent::TriggerEvent;
use sled::Tree;

use super::dedup::{DedupIndex, look_up};
use crate::Recalled;
use crate::log::follow::Halt;
use crate::storage::Storage;

/// The keys of an open log. Nothing is done before somebody needs them.
pub(crate) struct Recall {
    journal: PathBuf,
    storage: Arc<dyn Storage>,
    /// Recovery has looked at the log up to this record.
    past: u64,
    shared: Arc<Shared>,
    work: Mutex<Work>,
}

/// What is known while the thread works.
#[derive(Default)]
struct Shared {
    keys: RwLock<Option<Tree>>,
    /// The last record whose key is there.
    reached: AtomicU64,
    /// Something was found that is not as it should be.
    wrong: AtomicBool,
    /// The log is closed.
    closed: AtomicBool,
    /// The thread works, and wants to know when there is more.
    working: AtomicBool,
}

enum Work {
    NotYet,
    Begun { bell: SyncSender<()>, thread: JoinHandle<()> },
    Over,
}

/// How often the keys are read anew at once. After that, and after an error, it waits before it tries again.
const MAX_REBUILDS: u32 = 3;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Recall {
    /// The keys of the log in the folder `journal`, which is `storage` and was recovered up to the record `past`.
    pub fn new(journal: &Path, storage: Arc<dyn Storage>, past: u64) -> Self {
        Self { journal: journal.to_owned(), storage, past, shared: Arc::default(), work: Mutex::new(Work::NotYet) }
    }

    /// They will be needed soon. Returns at once.
    pub fn prepare(&self) {
        if self.shared.working.load(Ordering::Acquire) {
            return;
        }
        let mut work = self.work.lock().expect("no holder of the work panics");
        if !matches!(*work, Work::NotYet) {
            return;
        }
        // One ring is enough, however much there is: all of it is read.
        let (bell, rung) = sync_channel(1);
        let (journal, past, shared) = (self.journal.clone(), self.past, Arc::clone(&self.shared));
        let thread = std::thread::Builder::new().name("flyball-keys".into());
        self.shared.working.store(true, Ordering::Release);
        match thread.spawn(move || shared.work(&journal, past, &rung)) {
            Ok(thread) => *work = Work::Begun { bell, thread },
            Err(error) => {
                // Whoever asks next makes it try again.
                self.shared.working.store(false, Ordering::Release);
                told(&self.journal, &error.to_string());
            }
        }
    }

    /// More is durable. Never waits.
    pub fn ring(&self) {
        if self.shared.working.load(Ordering::Acquire)
            && let Work::Begun { bell, .. } = &*self.work.lock().expect("no holder of the work panics")
        {
            // Where it has rung already, or nobody listens any more, nothing is lost.
            let _ = bell.try_send(());
        }
    }

    /// Whether `process` took an event with `event`'s key in before the record `before`.
    ///
    /// The keys come here some time after their records are durable. That is enough as long as they have come
    /// to `before`: from there on the process has all of them in its memory. Where they are further
    /// behind, or cannot be had now, nobody knows, and whoever offers the event has to do so again.
    pub fn ask(&self, process: &str, event: &TriggerEvent, before: u64) -> Recalled {
        self.prepare();
        let keys = self.shared.keys.read().expect("no holder of the keys panics");
        let covered = self.shared.reached.load(Ordering::Acquire) >= before.saturating_sub(1);
        let Some(keys) = keys.as_ref().filter(|_| covered) else { return Recalled::NotYet };
        match look_up(keys, &*self.storage, process, event) {
            Ok(first) => first.map_or(Recalled::Never, |first| Recalled::As(first.event_id)),
            Err(halt) => {
                tracing::debug!(%halt, "a key could not be looked up");
                // A disk that could not be read may be read next time.
                if !matches!(halt, Halt::Failed(_)) {
                    self.shared.wrong.store(true, Ordering::Release);
                    self.ring();
                }
                Recalled::NotYet
            }
        }
    }

    /// Reads no further, and closes what was read in order.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        let work = std::mem::replace(&mut *self.work.lock().expect("no holder of the work panics"), Work::Over);
        if let Work::Begun { bell, thread } = work {
            drop(bell);
            // A thread that panicked leaves an index that is made anew.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Reads on whenever there is more, until the log is closed. What keeps it from that may pass, and is tried
    /// again: a key that is not known for sure must not be taken for a new one until somebody restarts.
    fn work(&self, journal: &Path, past: u64, rung: &Receiver<()>) {
        let mut wait = FIRST_WAIT;
        loop {
            let reached = self.reached.load(Ordering::Acquire);
            let ended = self.read(journal, past, rung);
            // Nobody may look anything up while it is closed.
            self.put(None);
            match ended {
                // It was told to read no further.
                Err(halt) if !self.is_closed() => told(journal, &halt.to_string()),
                _ => return,
            }
            if self.reached.load(Ordering::Acquire) > reached {
                wait = FIRST_WAIT;
            }
            if !self.is_open_after(wait, rung) {
                return;
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// The same, until something is in the way.
    fn read(&self, journal: &Path, past: u64, rung: &Receiver<()>) -> Result<(), Halt> {
        let mut index = DedupIndex::open(journal, past)?;
        let mut rebuilds = 0;
        let ended = loop {
            match self.read_on(&mut index) {
                Ok(()) => rebuilds = 0,
                Err(Halt::Wrong(why)) if rebuilds < MAX_REBUILDS => {
                    rebuilds += 1;
                    tracing::warn!(journal = %journal.display(), why, "the journal's index of keys is made anew");
                    self.put(None);
                    match index.begin_again() {
                        Ok(()) => continue,
                        Err(halt) => break Err(halt),
                    }
                }
                Err(halt) => break Err(halt),
            }
            if rung.recv().is_err() || self.is_closed() {
                break Ok(());
            }
        };
        self.put(None);
        ended
    }

    /// Waits so long, unless the log is closed meanwhile.
    fn is_open_after(&self, wait: Duration, rung: &Receiver<()>) -> bool {
        let until = Instant::now() + wait;
        loop {
            match rung.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(()) if !self.is_closed() => {}
                Err(RecvTimeoutError::Timeout) => return !self.is_closed(),
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn read_on(&self, index: &mut DedupIndex) -> Result<(), Halt> {
        if self.wrong.swap(false, Ordering::AcqRel) {
            return Err(Halt::Wrong("an entry is not what the journal has".into()));
        }
        index.catch_up(&|| self.is_closed())?;
        self.reached.store(index.reached(), Ordering::Release);
        let is_shown = self.keys.read().expect("no holder of the keys panics").is_some();
        if !is_shown {
            self.put(Some(index.tree()?));
        }
        Ok(())
    }

    fn put(&self, keys: Option<Tree>) {
        *self.keys.write().expect("no holder of the keys panics") = keys;
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

fn told(journal: &Path, why: &str) {
    tracing::warn!(
        journal = %journal.display(), why,
        "keys of events that are no longer in memory cannot be looked up now, and events that may be such are refused; \
         it is tried again"
    );
}
