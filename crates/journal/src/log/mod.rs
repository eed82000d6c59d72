//! The segmented log: one for all processes of a node.

mod audit;
mod export;
mod line;
mod lock;
mod recover;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::storage::{FileStorage, Storage};
use crate::{Entry, Error, Journal, Record};
use lock::Lock;
use recover::Extent;
use writer::{Request, Writer};

pub use audit::{Audit, Damage, ProcessAudit, audit, audit_storage};
pub use export::{Exported, export, raw_records};
pub use recover::{Recovery, TornTail};

/// How long a segment is unless told otherwise.
pub const DEFAULT_SEGMENT_BYTES: u64 = 4 << 20;

/// Whoever watches records may fall this far behind before it misses some.
const WATCH_BACKLOG: usize = 16 * 1024;

/// An open log. It has one owner at a time; drop it, or [`close`](Log::close) it, to let go.
pub struct Log {
    storage: Arc<dyn Storage>,
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
    records: broadcast::Sender<Arc<Record>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
}

impl Log {
    /// Opens the log in the folder `dir`, made if it is not there, and reads all that it holds.
    ///
    /// A torn end is cut off and reported. Blocks while it reads.
    pub fn open(dir: &Path) -> Result<(Arc<Self>, Recovery), Error> {
        let failed = |error: std::io::Error| Error::Io { action: "opening", path: dir.to_owned(), cause: error.to_string() };
        let storage = FileStorage::open(dir).map_err(failed)?;
        let lock = Lock::take(dir)?;
        Self::start(Arc::new(storage), Some(lock), DEFAULT_SEGMENT_BYTES)
    }

    /// Opens a log over any storage, with segments of `segment_bytes`.
    pub fn open_storage(storage: Arc<dyn Storage>, segment_bytes: u64) -> Result<(Arc<Self>, Recovery), Error> {
        Self::start(storage, None, segment_bytes)
    }

    fn start(storage: Arc<dyn Storage>, lock: Option<Lock>, segment_bytes: u64) -> Result<(Arc<Self>, Recovery), Error> {
        let (recovery, places) = recover::read(&*storage, Extent::Needed)?;
        trim(&*storage, &recovery)?;
        let (requests, taken) = mpsc::unbounded_channel();
        let records = broadcast::Sender::new(WATCH_BACKLOG);
        let writer = Writer::new(Arc::clone(&storage), segment_bytes, places, recovery.last_seq, records.clone());
        let thread = std::thread::Builder::new().name("flyball-journal".into()).spawn(move || writer.run(taken));
        let thread = thread.map_err(|error| Error::Closed(error.to_string()))?;
        let log = Self {
            storage,
            requests: Mutex::new(Some(requests)),
            records,
            writer: Mutex::new(Some(thread)),
            lock: Mutex::new(lock),
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
        let (mut recovery, _) = recover::read(&*self.storage, Extent::Needed)?;
        if let Some(what) = recovery.damaged.remove(process) {
            return Err(Error::Damaged { process: process.to_owned(), what });
        }
        Ok(recovery.processes.remove(process).unwrap_or_default())
    }

    /// Every record from now on, once it is durable. A watcher that falls far behind misses some
    /// and is told so.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Record>> {
        self.records.subscribe()
    }

    /// Writes out what is waiting, ends the writer, and lets go of the log: another owner may open
    /// it. Appends fail from here on.
    pub fn close(&self) {
        drop(self.requests.lock().expect("no holder of the sender panics").take());
        if let Some(thread) = self.writer.lock().expect("no holder of the thread panics").take() {
            // A writer that panicked has told its waiters by dropping them.
            let _ = thread.join();
        }
        drop(self.lock.lock().expect("no holder of the lock panics").take());
    }

    fn send(&self, request: Request) -> Result<(), Error> {
        let requests = self.requests.lock().expect("no holder of the sender panics");
        let requests = requests.as_ref().ok_or_else(closed)?;
        requests.send(request).map_err(|_| closed())
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
    let storage = FileStorage::open(dir).map_err(failed)?;
    let (recovery, _) = recover::read(&storage, Extent::All)?;
    let mut records: Vec<Record> = recovery.processes.into_values().flatten().collect();
    records.sort_by_key(|record| record.seq);
    Ok(records)
}

/// Cuts a torn end off, and the blank rest of the last segment, since a new one is started.
fn trim(storage: &dyn Storage, recovery: &Recovery) -> Result<(), Error> {
    let failed = |name: &str, error: std::io::Error| recover::io_error("cutting", storage, name, &error);
    let mut names = storage.list().map_err(|error| failed("", error))?;
    if let Some(torn) = &recovery.torn {
        storage.cut(&torn.segment, torn.offset).map_err(|error| failed(&torn.segment, error))?;
        // Whatever follows the torn line was never committed either.
        for name in names.split_off(names.iter().position(|name| *name > torn.segment).unwrap_or(names.len())) {
            remove(storage, &name).map_err(|error| failed(&name, error))?;
        }
    }
    let Some(last) = names.last() else { return Ok(()) };
    let bytes = storage.read(last).map_err(|error| failed(last, error))?;
    let used = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |end| end as u64 + 2);
    if used == 0 {
        return remove(storage, last).map_err(|error| failed(last, error));
    }
    if used < bytes.len() as u64 {
        storage.cut(last, used).map_err(|error| failed(last, error))?;
    }
    Ok(())
}

fn remove(storage: &dyn Storage, name: &str) -> std::io::Result<()> {
    storage.remove(name)?;
    storage.sync_names()
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
    async fn append(&self, entries: Vec<Entry>) -> Result<u64, Error> {
        let (done, told) = oneshot::channel();
        self.log.send(Request { process: Arc::clone(&self.process), entries, done: Some(done) })?;
        told.await.map_err(|_| Error::Closed("its writer ended".into()))?
    }

    fn push(&self, entry: Entry) -> Result<(), Error> {
        self.log.send(Request { process: Arc::clone(&self.process), entries: vec![entry], done: None })
    }
}

#[cfg(test)]
mod tests;
