//! The one thread that writes: it takes what all processes want appended, writes it as one batch,
//! closes the batch with a commit line, syncs once, and tells everyone who waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::line::{self, Commit, GENESIS, Header, Place};
use super::recover::io_error;
use crate::storage::{SegmentFile, Storage, create_segment};
use crate::{Entry, Error, Record};

/// What a process wants appended.
pub(super) struct Request {
    pub process: Arc<str>,
    pub entries: Vec<Entry>,
    /// Told the last sequence number once the group is durable. Without it nobody waits.
    pub done: Option<oneshot::Sender<Result<u64, Error>>>,
}

/// A batch ends when it has this many bytes: whoever waits for it should not wait for more.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Records that may wait for room on a full disk. Processes that go on pushing without ever waiting
/// must not fill the memory instead; beyond this the log fails for good.
const MAX_OWED: usize = 10_000;

/// What nobody waits for is written out after this time at the latest.
const IDLE_FLUSH: Duration = Duration::from_millis(50);

pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    segment_bytes: u64,
    segment: Option<Segment>,
    places: BTreeMap<String, Place>,
    next_seq: u64,
    records: broadcast::Sender<Arc<Record>>,
    /// The batch before: its first record and its processes' heads.
    last_batch: (Option<u64>, BTreeMap<String, String>),
    /// What nobody waited for when the disk was full. It goes before everything that came later: a
    /// record must not be there without those that it follows from.
    owed: Vec<Request>,
    /// Once a write or a sync failed, nothing more is written: why.
    failed: Option<Error>,
}

struct Segment {
    name: String,
    file: Box<dyn SegmentFile>,
    used: u64,
    len: u64,
}

/// How far a process's chain has come, and whether the batch holds a checkpoint of it.
#[derive(Clone)]
struct Head {
    n: u64,
    hash: String,
    checkpoint: bool,
}

/// A batch that is ready to be written.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    heads: BTreeMap<String, Head>,
    records: Vec<Arc<Record>>,
    waiting: Vec<(oneshot::Sender<Result<u64, Error>>, u64)>,
    /// Those of the records that nobody waits for.
    pushed: Vec<Arc<Record>>,
}

impl Request {
    /// The same wish once more.
    fn again(record: &Record) -> Self {
        Self { process: record.process.as_str().into(), entries: vec![record.entry.clone()], done: None }
    }
}

impl Writer {
    pub fn new(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        places: BTreeMap<String, Place>,
        last_seq: u64,
        records: broadcast::Sender<Arc<Record>>,
    ) -> Self {
        Self {
            storage,
            segment_bytes,
            segment: None,
            places,
            next_seq: last_seq + 1,
            records,
            last_batch: Default::default(),
            owed: Vec::new(),
            failed: None,
        }
    }

    /// Works until every sender of `requests` is gone.
    pub fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let group = gather(first, &mut requests);
            self.handle(group);
        }
    }

    fn handle(&mut self, group: Vec<Request>) {
        if let Some(error) = &self.failed {
            refuse(group, &Error::Closed(error.to_string()));
            return;
        }
        let mut all = std::mem::take(&mut self.owed);
        all.extend(group);
        let mut batch = match self.encode(all) {
            Ok(batch) => batch,
            Err((group, error)) => return refuse(group, &error),
        };
        match self.write(&mut batch) {
            Ok(()) => self.accept(batch),
            Err(error) => {
                // Room may come back; after anything else nobody knows what the disk holds.
                self.owed = batch.pushed.iter().map(|record| Request::again(record)).collect();
                if !matches!(error, Error::Full { .. }) || self.owed.len() > MAX_OWED {
                    self.failed = Some(error.clone());
                }
                for (done, _) in batch.waiting {
                    let _ = done.send(Err(error.clone()));
                }
            }
        }
    }

    fn encode(&self, group: Vec<Request>) -> Result<Batch, (Vec<Request>, Error)> {
        let mut batch = Batch::default();
        let mut seq = self.next_seq;
        let mut group = group.into_iter();
        while let Some(request) = group.next() {
            let process = request.process.to_string();
            for entry in request.entries {
                let known = self.places.get(&process).map(|place| (place.n, place.hash.as_str()));
                let head = batch.heads.get(&process);
                let (n, previous) = head.map(|head| (head.n, head.hash.as_str())).or(known).unwrap_or((0, GENESIS));
                let checkpoint = head.is_some_and(|head| head.checkpoint) || matches!(entry, Entry::Checkpoint { .. });
                let record = Record { seq, process: process.clone(), n: n + 1, epoch: 1, at: Utc::now(), entry };
                match line::write_record(&mut batch.bytes, &record, previous) {
                    Ok(hash) => batch.heads.insert(process.clone(), Head { n: n + 1, hash, checkpoint }),
                    Err(error) => return Err((group.collect(), Error::Closed(error.to_string()))),
                };
                let record = Arc::new(record);
                if request.done.is_none() {
                    batch.pushed.push(Arc::clone(&record));
                }
                batch.records.push(record);
                seq += 1;
            }
            batch.waiting.extend(request.done.map(|done| (done, seq - 1)));
        }
        Ok(batch)
    }

    /// Closes the batch with its commit line, and makes both durable.
    fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.records.is_empty() {
            return Ok(());
        }
        let mut heads = self.last_batch.1.clone();
        heads.extend(batch.heads.iter().map(|(process, head)| (process.clone(), head.hash.clone())));
        let commit = Commit {
            first: self.next_seq,
            before: self.last_batch.0.unwrap_or(self.next_seq),
            last: self.next_seq + batch.records.len() as u64 - 1,
            sum: crc32c::crc32c(&batch.bytes),
            heads,
        };
        line::write_commit(&mut batch.bytes, &commit).map_err(|error| Error::Closed(error.to_string()))?;
        let bytes = &batch.bytes;
        self.make_room(bytes.len() as u64)?;
        let Some(segment) = &mut self.segment else { return Err(Error::Closed("no segment".into())) };
        let failed = |action, error| io_error(action, &*self.storage, &segment.name, &error);
        segment.file.write_at(segment.used, bytes).map_err(|error| failed("writing", error))?;
        segment.file.sync().map_err(|error| failed("syncing", error))?;
        segment.used += bytes.len() as u64;
        Ok(())
    }

    fn make_room(&mut self, needed: u64) -> Result<(), Error> {
        if self.segment.as_ref().is_some_and(|segment| segment.used + needed <= segment.len) {
            return Ok(());
        }
        let name = format!("{:020}{}", self.next_seq, crate::storage::SUFFIX);
        let header = Header { first: self.next_seq, processes: self.places.clone() };
        let header = line::write_header(&header).map_err(|error| Error::Closed(error.to_string()))?;
        let used = header.len() as u64;
        let len = self.segment_bytes.max(used + needed);
        let made = create_segment(&*self.storage, &name, &header, len);
        let file = made.map_err(|error| io_error("creating", &*self.storage, &name, &error))?;
        self.segment = Some(Segment { name, file, used, len });
        Ok(())
    }

    fn accept(&mut self, batch: Batch) {
        let heads = batch.heads.iter().map(|(process, head)| (process.clone(), head.hash.clone())).collect();
        self.last_batch = (Some(self.next_seq), heads);
        self.next_seq += batch.records.len() as u64;
        let segment = self.segment.as_ref().map(|segment| segment.name.clone()).unwrap_or_default();
        for (process, head) in batch.heads {
            let kept = self.places.get(&process).filter(|_| !head.checkpoint);
            let from = kept.map_or_else(|| segment.clone(), |place| place.from.clone());
            self.places.insert(process, Place { n: head.n, hash: head.hash, from, last: segment.clone() });
        }
        for record in batch.records {
            // Nobody may be listening, and that is fine.
            let _ = self.records.send(record);
        }
        for (done, seq) in batch.waiting {
            let _ = done.send(Ok(seq));
        }
    }
}

/// `first` and what else is there, up to a batch's size. Where nobody waits for any of it, a little
/// more time is given for someone who does.
fn gather(first: Request, requests: &mut mpsc::UnboundedReceiver<Request>) -> Vec<Request> {
    let mut group = vec![first];
    let mut patience = IDLE_FLUSH;
    let mut size = 0;
    loop {
        while let Ok(next) = requests.try_recv() {
            // A rough measure is enough: it only bounds how long a batch can grow.
            size += 512 * next.entries.len();
            group.push(next);
            if size >= MAX_BATCH_BYTES {
                return group;
            }
        }
        if patience.is_zero() || requests.is_closed() || group.iter().any(|request| request.done.is_some()) {
            return group;
        }
        let nap = Duration::from_millis(2);
        std::thread::sleep(nap);
        patience = patience.saturating_sub(nap);
    }
}

fn refuse(group: Vec<Request>, error: &Error) {
    for done in group.into_iter().filter_map(|request| request.done) {
        let _ = done.send(Err(error.clone()));
    }
}
