//! The segmented log: one for all processes of a node.

mod audit;
mod batch;
mod export;
#[cfg(feature = "index")]
pub(crate) mod follow;
mod hash;
pub(crate) mod line;
pub(crate) mod lock;
mod outline;
mod queue;
mod recover;
mod request;
mod retention;
mod scan;
mod segment;
mod spare;
#[cfg(feature = "index")]
pub(crate) mod spots;
mod tail;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
#[cfg(feature = "index")]
use flyball_core_agent::TriggerEvent;
use tokio::sync::{broadcast, oneshot, watch};

#[cfg(feature = "index")]
use crate::Recalled;
use crate::storage::{FileStorage, Storage, sync_entries};
use crate::{Appended, Entry, Error, Journal, Record};
use lock::Lock;
use queue::{Queue, Work};
use recover::{Extent, Kept};
use request::Request;
use spare::Spare;
use writer::Writer;

#[cfg(feature = "index")]
pub(crate) use audit::open;
pub use audit::{Anchor, Audit, Damage, ProcessAudit, audit, audit_against, audit_storage, damaged};
pub use export::{Exported, export, raw_records};
pub use lock::{is_held, is_log};
#[cfg(feature = "index")]
pub(crate) use recover::io_error;
pub use recover::{Recovered, Recovery, TornTail};
pub use retention::{Compacted, Retention};

/// How long a segment is unless told otherwise.
pub const DEFAULT_SEGMENT_BYTES: u64 = 4 << 20;

/// Whoever watches records may fall this far behind before it misses some.
const WATCH_BACKLOG: usize = 16 * 1024;

/// An open log. It has one owner at a time; drop it, or [`close`](Log::close) it, to let go.
pub struct Log {
    storage: Arc<dyn Storage>,
    queue: Arc<Queue>,
    records: broadcast::Sender<Arc<Record>>,
    full: Arc<AtomicBool>,
    failed: watch::Receiver<Option<Error>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    /// The processes that do not remember all of the window by themselves, and until when.
    forgetful: Mutex<BTreeMap<Arc<str>, DateTime<Utc>>>,
    #[cfg(feature = "index")]
    recall: Option<Arc<crate::index::Recall>>,
}

impl Log {
    /// Opens the log in the folder `dir`, made if it is not there, and reads what is needed to go on.
    ///
    /// A torn end is cut off and reported, and the processes whose runs it may have cost a step are
    /// told in their records. Blocks while it reads.
    pub fn open(dir: &Path) -> Result<(Arc<Self>, Recovery), Error> {
        Self::in_folder(dir)
    }

    /// The same, and what the records come to is made while they are read, so that not all of them have to
    /// be in memory. This is how a runtime opens it.
    pub fn resume(dir: &Path) -> Result<(Arc<Self>, Recovery<Recovered>), Error> {
        Self::in_folder(dir)
    }

    /// Opens a log over any storage, with segments of `segment_bytes`.
    pub fn open_storage(storage: Arc<dyn Storage>, segment_bytes: u64) -> Result<(Arc<Self>, Recovery), Error> {
        let spare = Spare::new(Arc::clone(&storage), segment_bytes, false);
        Self::start(storage, None, spare)
    }

    /// [`resume`](Self::resume) over any storage, with segments of `segment_bytes`.
    pub fn resume_storage(storage: Arc<dyn Storage>, segment_bytes: u64) -> Result<(Arc<Self>, Recovery<Recovered>), Error> {
        let spare = Spare::new(Arc::clone(&storage), segment_bytes, false);
        Self::start(storage, None, spare)
    }

    fn in_folder<T: Kept>(dir: &Path) -> Result<(Arc<Self>, Recovery<T>), Error> {
        let failed = |error: std::io::Error| Error::Io { action: "opening", path: dir.to_owned(), cause: error.to_string() };
        let storage = FileStorage::open(dir).map_err(failed)?;
        let lock = Lock::take(dir)?;
        sync_entries(dir).map_err(failed)?;
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let spare = Spare::new(Arc::clone(&storage), DEFAULT_SEGMENT_BYTES, true);
        Self::start(storage, Some((dir, lock)), spare)
    }

    fn start<T: Kept>(
        storage: Arc<dyn Storage>,
        home: Option<(&Path, Lock)>,
        spare: Spare,
    ) -> Result<(Arc<Self>, Recovery<T>), Error> {
        let (mut recovery, places) = recover::read(&*storage, Extent::Needed)?;
        let lost = tail::note(&*storage, &recovery)?;
        trim(&*storage, recovery.torn.as_ref())?;
        let queue = Arc::new(Queue::default());
        let records = broadcast::Sender::new(WATCH_BACKLOG);
        #[cfg(feature = "index")]
        let recall =
            home.as_ref().map(|(dir, _)| Arc::new(crate::index::Recall::new(dir, Arc::clone(&storage), recovery.last_seq)));
        let mut writer = Writer::new(Arc::clone(&storage), spare, places, recovery.last_seq, records.clone());
        #[cfg(feature = "index")]
        writer.tell(recall.clone());
        if let Some(lost) = lost {
            writer.write_now(lost.requests()?)?;
            tail::settled(&*storage)?;
            let torn = recovery.torn.take();
            recovery = recover::read(&*storage, Extent::Needed)?.0;
            recovery.torn = torn;
        }
        let (full, failed) = (writer.full(), writer.failed());
        let taken = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("flyball-journal".into()).spawn(move || writer.run(&taken));
        let thread = thread.map_err(|error| Error::Closed(error.to_string()))?;
        let log = Self {
            storage,
            queue,
            records,
            full,
            failed,
            writer: Mutex::new(Some(thread)),
            lock: Mutex::new(home.map(|(_, lock)| lock)),
            forgetful: Mutex::default(),
            #[cfg(feature = "index")]
            recall,
        };
        Ok((Arc::new(log), recovery))
    }

    /// The journal of `process` in this log.
    pub fn process(self: &Arc<Self>, process: &str) -> Arc<dyn Journal> {
        Arc::new(ProcessLog { process: process.into(), log: Arc::clone(self) })
    }

    /// The durable records of `process` from its newest checkpoint on, read again from the storage.
    /// Blocks while it reads.
    pub fn records(&self, process: &str) -> Result<Vec<Record>, Error> {
        let (mut recovery, _) = recover::read::<Vec<Record>>(&*self.storage, Extent::Needed)?;
        if let Some(what) = recovery.damaged.remove(process) {
            return Err(Error::Damaged { process: process.to_owned(), what });
        }
        Ok(recovery.processes.remove(process).unwrap_or_default())
    }

    /// The records that came to `recovered`, read again from where they lie. Blocks while it reads. An error
    /// may mean that they are not there any more; see [`records`](Self::records).
    pub fn records_of(&self, recovered: &Recovered) -> Result<Vec<Record>, Error> {
        recovered.records(&*self.storage)
    }

    /// Every record from now on, once it is durable. A watcher that falls far behind misses some
    /// and is told so.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Record>> {
        self.records.subscribe()
    }

    /// Writes out what is waiting, ends the writer, and lets go of the log: another owner may open
    /// it. Appends fail from here on.
    pub fn close(&self) {
        self.queue.close();
        if let Some(thread) = self.writer.lock().expect("no holder of the thread panics").take() {
            // A writer that panicked has told its waiters by dropping them.
            let _ = thread.join();
        }
        #[cfg(feature = "index")]
        self.recall.iter().for_each(|recall| recall.close());
        drop(self.lock.lock().expect("no holder of the lock panics").take());
    }

    /// Returns when no record is taken any more, in this life of the log, because a write or a sync
    /// failed: why. Pending while all is well, while a disk is full, and after a [`close`](Log::close).
    /// Cancel-safe.
    pub async fn failed(&self) -> Error {
        let mut failed = self.failed.clone();
        let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// There is no room on the disk: events are refused, and nothing new should be begun.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Every whole record of the log in `dir`, oldest first, without owning the log: a runtime may be
/// writing to it meanwhile. What is torn or damaged is left out.
pub fn read(dir: &Path) -> Result<Vec<Record>, Error> {
    let failed = |error: std::io::Error| Error::Io { action: "reading", path: dir.to_owned(), cause: error.to_string() };
    if !dir.is_dir() {
        return Err(failed(std::io::ErrorKind::NotFound.into()));
    }
    read_storage(&FileStorage::open(dir).map_err(failed)?)
}

/// [`read`] over any storage.
pub fn read_storage(storage: &dyn Storage) -> Result<Vec<Record>, Error> {
    let (recovery, _) = recover::read::<Vec<Record>>(storage, Extent::All)?;
    let mut records: Vec<Record> = recovery.processes.into_values().flatten().collect();
    records.sort_by_key(|record| record.seq);
    Ok(records)
}

/// Cuts a torn end off, and the blank rest of the last segment, since a new one is started. What is left
/// of that segment is durable then: a killed process may have written its last batch and not synced it, or
/// tried to and failed, and what follows now is built upon it.
fn trim(storage: &dyn Storage, torn: Option<&TornTail>) -> Result<(), Error> {
    let failed = |name: &str, error: std::io::Error| recover::io_error("cutting", storage, name, &error);
    let mut names = storage.list().map_err(|error| failed("", error))?;
    if let Some(torn) = torn.filter(|torn| !torn.stays) {
        storage.cut(&torn.segment, torn.offset).map_err(|error| failed(&torn.segment, error))?;
        // Whatever follows the torn line was never committed either.
        for name in names.split_off(names.iter().position(|name| *name > torn.segment).unwrap_or(names.len())) {
            crate::storage::remove(storage, &name).map_err(|error| failed(&name, error))?;
        }
    }
    let Some(last) = names.last() else { return Ok(()) };
    let bytes = storage.read(last).map_err(|error| failed(last, error))?;
    let used = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |end| end + 2);
    if used == 0 {
        return crate::storage::remove(storage, last).map_err(|error| failed(last, error));
    }
    let used = &bytes[..used.min(bytes.len())];
    let start = last_batch(used);
    storage.end_with(last, start as u64, &used[start..]).map_err(|error| failed(last, error))
}

/// Where the last batch of `segment` begins, or before: behind the line that closes the one before.
fn last_batch(segment: &[u8]) -> usize {
    let mut end = segment.len();
    let lines = segment.split_inclusive(|byte| *byte == b'\n').rev();
    let ends = lines.map(|line| {
        end -= line.len();
        (end + line.len(), line)
    });
    // What was being written closes with the first of them, if at all.
    ends.skip(1).find(|(_, line)| line::closes(line)).map_or(0, |(end, _)| end)
}

fn closed() -> Error {
    Error::Closed("its owner let go of it".into())
}

struct ProcessLog {
    process: Arc<str>,
    log: Arc<Log>,
}

#[async_trait]
impl Journal for ProcessLog {
    async fn append(&self, entries: Vec<Entry>) -> Result<Appended, Error> {
        let (done, told) = oneshot::channel();
        let request = Request::new(Arc::clone(&self.process), entries, Some(done))?;
        let at = self.log.queue.send(Work::Append(request))?;
        let seq = told.await.map_err(|_| Error::Closed("its writer ended".into()))??;
        Ok(Appended { seq, at })
    }

    fn push(&self, entry: Entry) -> Result<DateTime<Utc>, Error> {
        self.log.queue.send(Work::Append(Request::push(Arc::clone(&self.process), vec![entry])?))
    }

    fn is_full(&self) -> bool {
        self.log.is_full()
    }

    #[cfg(feature = "index")]
    fn prepare_recall(&self) {
        self.log.recall.iter().for_each(|recall| recall.prepare());
    }

    #[cfg(feature = "index")]
    fn rely_on_recall(&self, until: DateTime<Utc>) {
        // A log that looks nothing up need not keep it either.
        if self.log.recall.is_some() {
            self.log.forgetful.lock().expect("no holder of the map panics").insert(Arc::clone(&self.process), until);
        }
    }

    #[cfg(feature = "index")]
    fn recall(&self, event: &TriggerEvent, before: u64) -> Recalled {
        self.log.recall.as_ref().map_or(Recalled::Never, |recall| recall.ask(&self.process, event, before))
    }
}

#[cfg(test)]
mod tests;
