//! The keys beyond memory, while a runtime runs: a thread of their own reads them from the log, where
//! nothing is missed, and whoever takes events in asks here.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

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
    /// They cannot be had.
    failed: AtomicBool,
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

/// How often the keys are read anew before they are given up.
const MAX_REBUILDS: u32 = 3;

impl Recall {
    /// The keys of the log in the folder `journal`, which is `storage`.
    pub fn new(journal: &Path, storage: Arc<dyn Storage>) -> Self {
        Self { journal: journal.to_owned(), storage, shared: Arc::default(), work: Mutex::new(Work::NotYet) }
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
        let (journal, shared) = (self.journal.clone(), Arc::clone(&self.shared));
        let thread = std::thread::Builder::new().name("flyball-keys".into());
        self.shared.working.store(true, Ordering::Release);
        match thread.spawn(move || shared.work(&journal, &rung)) {
            Ok(thread) => *work = Work::Begun { bell, thread },
            Err(error) => {
                *work = Work::Over;
                self.shared.fail(&self.journal, &error.to_string());
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
    /// behind, or are being read anew, nobody knows, and whoever offers the event has to do so again.
    pub fn ask(&self, process: &str, event: &TriggerEvent, before: u64) -> Recalled {
        self.prepare();
        let keys = self.shared.keys.read().expect("no holder of the keys panics");
        if self.shared.failed.load(Ordering::Acquire) {
            return Recalled::Never;
        }
        let covered = self.shared.reached.load(Ordering::Acquire) >= before.saturating_sub(1);
        let Some(keys) = keys.as_ref().filter(|_| covered) else { return Recalled::NotYet };
        match look_up(keys, &*self.storage, process, event) {
            Ok(first) => first.map_or(Recalled::Never, |first| Recalled::As(first.event_id)),
            Err(halt) => {
                tracing::debug!(%halt, "a key could not be looked up");
                self.shared.wrong.store(true, Ordering::Release);
                self.ring();
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
    /// Reads on whenever there is more, until the log is closed.
    fn work(&self, journal: &Path, rung: &Receiver<()>) {
        let mut rebuilds = 0;
        let mut index = match DedupIndex::open(journal) {
            Ok(index) => index,
            Err(halt) => return self.fail(journal, &halt.to_string()),
        };
        loop {
            match self.read_on(&mut index) {
                Ok(()) => {}
                Err(Halt::Wrong(why)) if rebuilds < MAX_REBUILDS => {
                    rebuilds += 1;
                    tracing::warn!(journal = %journal.display(), why, "the journal's index of keys is made anew");
                    self.put(None);
                    match index.begin_again() {
                        Ok(()) => continue,
                        Err(halt) => return self.fail(journal, &halt.to_string()),
                    }
                }
                // It was told to read no further.
                Err(_) if self.is_closed() => {}
                Err(halt) => return self.fail(journal, &halt.to_string()),
            }
            if rung.recv().is_err() || self.is_closed() {
                // Nobody may look anything up while it is closed.
                return self.put(None);
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

    /// Memory has to do from now on.
    fn fail(&self, journal: &Path, why: &str) {
        self.put(None);
        self.failed.store(true, Ordering::Release);
        tracing::warn!(
            journal = %journal.display(), why,
            "keys of events that are no longer in memory cannot be looked up: an event that comes again after \
             so many others is handled again"
        );
    }
}
