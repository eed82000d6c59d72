//! The one thread that writes: it takes what all processes want appended, writes it as one batch,
//! closes the batch with a commit line, syncs once, and tells everyone who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use tokio::sync::{broadcast, watch};

use super::batch::{Batch, Before, Chains};
use super::line::{self, Header};
use super::queue::{Queue, Work};
use super::recover::io_error;
use super::request::Request;
use super::segment::Segment;
use super::spare::Spare;
use crate::storage::Storage;
use crate::{Error, Record};

/// Records that may wait for room on a full disk. Processes that go on pushing without ever waiting
/// must not fill the memory instead; beyond this the log fails for good.
const MAX_OWED: usize = 10_000;

pub(super) struct Writer {
    storage: Arc<dyn Storage>,
    spare: Spare,
    segment: Option<Segment>,
    chains: Chains,
    next_seq: u64,
    records: broadcast::Sender<Arc<Record>>,
    before: Before,
    /// What nobody waited for when the disk was full. It goes before everything that came later: a
    /// record must not be there without those that it follows from.
    owed: Vec<Request>,
    /// Shown to processes, so that they begin nothing new.
    full: Arc<AtomicBool>,
    /// Once a write or a sync failed, nothing more is written: why.
    failed: watch::Sender<Option<Error>>,
    /// Wants to know when more is durable.
    #[cfg(feature = "index")]
    recall: Option<Arc<crate::index::Recall>>,
}

impl Writer {
    pub fn new(
        storage: Arc<dyn Storage>,
        spare: Spare,
        chains: Chains,
        last_seq: u64,
        records: broadcast::Sender<Arc<Record>>,
    ) -> Self {
        Self {
            storage,
            spare,
            segment: None,
            chains,
            next_seq: last_seq + 1,
            records,
            before: Before::default(),
            owed: Vec::new(),
            full: Arc::default(),
            failed: watch::Sender::new(None),
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

    /// Tells why nothing more is written, once that is so.
    pub fn failed(&self) -> watch::Receiver<Option<Error>> {
        self.failed.subscribe()
    }

    /// Works until the queue is closed and empty.
    pub fn run(mut self, queue: &Queue) {
        // Nobody shall wait for a writer that panicked.
        let _guard = Abandon { queue, failed: self.failed.clone() };
        while let Some(work) = queue.take() {
            let mut group = Vec::with_capacity(work.len());
            for work in work {
                match work {
                    Work::Append(request) => group.push(request),
                    Work::Places(ask) => drop(ask.send(self.chains.clone())),
                }
            }
            if !group.is_empty() {
                self.handle(group);
            }
        }
        self.spare.discard();
    }

    /// Writes `requests`, before the writer has a thread of its own.
    pub fn write_now(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        self.handle(requests);
        let full = (!self.owed.is_empty()).then(|| Error::Full { path: self.storage.path().to_owned() });
        self.failed.borrow().clone().or(full).map_or(Ok(()), Err)
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
        let failed = self.failed.borrow().is_some();
        self.full.store(!failed && (self.spare.is_short() || !self.owed.is_empty()), Ordering::Release);
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
        let failed = self.failed.borrow().as_ref().map(ToString::to_string);
        if let Some(why) = failed {
            let closed = Error::Closed(why);
            requests.into_iter().for_each(|request| request.refuse(&closed));
            return Ok(());
        }
        let mut batch = Batch::of(requests, self.next_seq, &self.chains);
        let written = self.write(&mut batch);
        match &written {
            Ok(()) => self.accept(batch),
            Err(error) => {
                self.owed.extend(batch.refuse(error));
                self.give_up_unless_full(error);
            }
        }
        if let Err(Error::Full { .. }) = &written
            && let Err(error) = self.clean()
        {
            // Where it finds no room either, it is done before the next batch.
            self.give_up_unless_full(&error);
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
        let failed = self.failed.borrow().is_some();
        if !failed && (!matches!(error, Error::Full { .. }) || owed > MAX_OWED) {
            tracing::error!(%error, "the journal takes no more records");
            self.failed.send_replace(Some(error.clone()));
        }
    }

    /// Closes the batch with its commit line, and makes both durable.
    fn write(&mut self, batch: &mut Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        // Before anything else is written, also into another segment: what is left of it would stand in its midst.
        self.clean()?;
        batch.close(&self.before);
        self.make_room(batch.bytes.len() as u64)?;
        let Some(segment) = &mut self.segment else { return Err(Error::Closed("no segment".into())) };
        let written = segment.write(&batch.bytes);
        written.map_err(|(action, error)| io_error(action, &*self.storage, segment.name(), &error))?;
        Ok(())
    }

    /// Blanks what a write left behind that found no room.
    fn clean(&mut self) -> Result<(), Error> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let cleaned = segment.clean();
        cleaned.map_err(|(action, error)| io_error(action, &*self.storage, segment.name(), &error))
    }

    fn make_room(&mut self, needed: u64) -> Result<(), Error> {
        if self.segment.as_ref().is_some_and(|segment| segment.has_room(needed)) {
            return Ok(());
        }
        let name: Arc<str> = format!("{:020}{}", self.next_seq, crate::storage::SUFFIX).into();
        let processes = self.chains.iter().map(|(process, place)| (process.to_string(), place.clone())).collect();
        let header = Header { first: self.next_seq, at: Utc::now(), processes };
        let header = line::write_header(&header).map_err(|error| Error::Closed(error.to_string()))?;
        let used = header.len() as u64;
        let made = self.spare.become_segment(&name, &header, used + needed);
        let (file, len) = made.map_err(|error| io_error("creating", &*self.storage, &name, &error))?;
        self.segment = Some(Segment::new(name, file, used, len));
        self.spare.prepare();
        Ok(())
    }

    fn accept(&mut self, batch: Batch) {
        if batch.is_empty() {
            batch.tell();
            return;
        }
        self.next_seq = batch.next_seq();
        if let Some(segment) = &self.segment {
            batch.settle(&mut self.chains, segment.name());
        }
        if self.records.receiver_count() > 0 {
            // The last of them may have gone meanwhile, and that is fine.
            batch.records().for_each(|record| drop(self.records.send(record)));
        }
        self.before = batch.tell();
        #[cfg(feature = "index")]
        self.recall.iter().for_each(|recall| recall.ring());
    }
}

/// When it goes, the queue is of no use any more.
struct Abandon<'a> {
    queue: &'a Queue,
    failed: watch::Sender<Option<Error>>,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.queue.abandon();
        if std::thread::panicking() {
            self.failed.send_replace(Some(Error::Closed("its writer ended badly".into())));
        }
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
