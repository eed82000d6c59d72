//! The one thread that writes: it takes what all processes want appended, writes it as one batch,
//! closes the batch with a commit line, syncs once, and tells everyone who waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::batch::{Batch, Before, Request};
use super::line::{self, Header, Place};
use super::recover::io_error;
use super::spare::Spare;
use crate::storage::{SegmentFile, Storage};
use crate::{Error, Record};

/// What the writer is asked for.
pub(super) enum Work {
    Append(Request),
    /// Where every process stands, and the segment that is being written.
    Places(oneshot::Sender<(BTreeMap<String, Place>, String)>),
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
    spare: Spare,
    segment: Option<Segment>,
    places: BTreeMap<String, Place>,
    next_seq: u64,
    records: broadcast::Sender<Arc<Record>>,
    before: Before,
    /// What nobody waited for when the disk was full. It goes before everything that came later: a
    /// record must not be there without those that it follows from.
    owed: Vec<Request>,
    /// Shown to processes, so that they begin nothing new.
    full: Arc<AtomicBool>,
    /// Once a write or a sync failed, nothing more is written: why.
    failed: Option<Error>,
    /// Wants to know when more is durable.
    #[cfg(feature = "index")]
    recall: Option<Arc<crate::index::Recall>>,
}

struct Segment {
    name: String,
    file: Box<dyn SegmentFile>,
    used: u64,
    len: u64,
}

impl Writer {
    pub fn new(
        storage: Arc<dyn Storage>,
        spare: Spare,
        places: BTreeMap<String, Place>,
        last_seq: u64,
        records: broadcast::Sender<Arc<Record>>,
    ) -> Self {
        Self {
            storage,
            spare,
            segment: None,
            places,
            next_seq: last_seq + 1,
            records,
            before: Before::default(),
            owed: Vec::new(),
            full: Arc::default(),
            failed: None,
            #[cfg(feature = "index")]
            recall: None,
        }
    }

    /// Tells `recall`, if there is one, whenever more is durable.
    #[cfg(feature = "index")]
    pub fn tell(&mut self, recall: Option<Arc<crate::index::Recall>>) {
        self.recall = recall;
    }

    /// Tells whether the disk is full, for as long as the writer lives.
    pub fn full(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.full)
    }

    /// Works until every sender of `work` is gone.
    pub fn run(mut self, mut work: mpsc::UnboundedReceiver<Work>) {
        while let Some(first) = work.blocking_recv() {
            let mut group = Vec::new();
            gather(first, &mut work, &mut group, |ask| {
                let segment = self.segment.as_ref().map(|segment| segment.name.clone()).unwrap_or_default();
                let _ = ask.send((self.places.clone(), segment));
            });
            self.handle(group);
        }
        self.spare.discard();
    }

    /// Writes `requests`, before the writer has a thread of its own.
    pub fn write_now(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        self.handle(requests);
        let full = (!self.owed.is_empty()).then(|| Error::Full { path: self.storage.path().to_owned() });
        self.failed.clone().or(full).map_or(Ok(()), Err)
    }

    fn handle(&mut self, group: Vec<Request>) {
        if self.spare.is_short() {
            // There may be room again.
            self.spare.prepare();
        }
        let mut all = std::mem::take(&mut self.owed);
        all.extend(group);
        let mut rest = self.turn_away(all);
        while !rest.is_empty() {
            let next = rest.split_off(batch_end(&rest));
            rest = match self.write_batch(rest) {
                Ok(()) => next,
                Err(error) => self.hold_back(next, &error),
            };
        }
        self.full.store(self.failed.is_none() && (self.spare.is_short() || !self.owed.is_empty()), Ordering::Release);
    }

    /// Refuses what asks for new work while there is no room for the next segment. What is under way
    /// has the rest of this one.
    fn turn_away(&mut self, all: Vec<Request>) -> Vec<Request> {
        if !all.iter().any(Request::accepts) || !self.spare.is_short() {
            return all;
        }
        let (refused, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(Request::accepts);
        let full = Error::Full { path: self.storage.path().to_owned() };
        refused.into_iter().for_each(|request| request.refuse(&full));
        rest
    }

    fn write_batch(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            let closed = Error::Closed(error.to_string());
            requests.into_iter().for_each(|request| request.refuse(&closed));
            return Ok(());
        }
        let mut batch = Batch::of(requests, self.next_seq, &self.places);
        let written = self.write(&mut batch);
        match &written {
            Ok(()) => self.accept(batch),
            Err(error) => {
                self.owed.extend(batch.pushed_again());
                for (done, _) in batch.waiting {
                    let _ = done.send(Err(error.clone()));
                }
                self.give_up_unless_full(error);
            }
        }
        written
    }

    /// What came after a batch that could not be written must not be there without it.
    fn hold_back(&mut self, rest: Vec<Request>, error: &Error) -> Vec<Request> {
        for request in rest {
            if request.done.is_some() {
                request.refuse(error);
            } else {
                self.owed.push(request);
            }
        }
        self.give_up_unless_full(error);
        Vec::new()
    }

    /// Room may come back; after anything else nobody knows what the disk holds.
    fn give_up_unless_full(&mut self, error: &Error) {
        let owed = self.owed.iter().map(|request| request.entries.len()).sum::<usize>();
        if self.failed.is_none() && (!matches!(error, Error::Full { .. }) || owed > MAX_OWED) {
            tracing::error!(%error, "the journal takes no more records");
            self.failed = Some(error.clone());
        }
    }

    /// Closes the batch with its commit line, and makes both durable.
    fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.records.is_empty() {
            return Ok(());
        }
        batch.close(self.next_seq, &self.before)?;
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
        let header = Header { first: self.next_seq, at: Utc::now(), processes: self.places.clone() };
        let header = line::write_header(&header).map_err(|error| Error::Closed(error.to_string()))?;
        let used = header.len() as u64;
        let made = self.spare.become_segment(&name, &header, used + needed);
        let (file, len) = made.map_err(|error| io_error("creating", &*self.storage, &name, &error))?;
        self.segment = Some(Segment { name, file, used, len });
        self.spare.prepare();
        Ok(())
    }

    fn accept(&mut self, batch: Batch) {
        if !batch.records.is_empty() {
            self.before = batch.as_before(self.next_seq);
            self.next_seq += batch.records.len() as u64;
            let segment = self.segment.as_ref().map(|segment| segment.name.as_str()).unwrap_or_default();
            batch.settle(&mut self.places, segment);
        }
        for record in batch.records {
            // Nobody may be listening, and that is fine.
            let _ = self.records.send(record);
        }
        for (done, seq) in batch.waiting {
            let _ = done.send(Ok(seq));
        }
        #[cfg(feature = "index")]
        self.recall.iter().for_each(|recall| recall.ring());
    }
}

/// How many of the first of `requests` are written together.
fn batch_end(requests: &[Request]) -> usize {
    match requests.iter().position(Request::restates) {
        Some(0) => 1,
        Some(place) => place,
        None => requests.len(),
    }
}

/// `first` and what else is there, up to a batch's size. Where nobody waits for any of it, a little
/// more time is given for someone who does. Questions are answered on the way.
fn gather(
    first: Work,
    work: &mut mpsc::UnboundedReceiver<Work>,
    group: &mut Vec<Request>,
    answer: impl Fn(oneshot::Sender<(BTreeMap<String, Place>, String)>),
) {
    let mut patience = IDLE_FLUSH;
    let mut size = 0;
    let mut next = Some(first);
    loop {
        while let Some(work) = next.take().or_else(|| work.try_recv().ok()) {
            match work {
                Work::Places(ask) => answer(ask),
                Work::Append(request) => {
                    // A rough measure is enough: it only bounds how long a batch can grow.
                    size += 512 * request.entries.len();
                    group.push(request);
                }
            }
            if size >= MAX_BATCH_BYTES {
                return;
            }
        }
        if patience.is_zero() || work.is_closed() || group.is_empty() || group.iter().any(|request| request.done.is_some()) {
            return;
        }
        let nap = Duration::from_millis(2);
        std::thread::sleep(nap);
        patience = patience.saturating_sub(nap);
    }
}
