//! The segment that is made ahead: it shortens the change to a new one, and where there is no room
//! for it, it tells that the disk is full while what is under way can still be written to its end.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::storage::{SPARE, SegmentFile, Storage, create_spare, fill, not_synced};

type Made = io::Result<Box<dyn SegmentFile>>;

pub(super) struct Spare {
    storage: Arc<dyn Storage>,
    len: u64,
    /// It is made in a thread of its own, so that nobody waits for it. Without, operations come in
    /// the same order every time.
    aside: bool,
    state: State,
    tried: Option<Instant>,
}

/// On a full disk it is tried again after this time: each try takes what room is left for a moment.
const TRY_AGAIN: Duration = Duration::from_secs(1);

enum State {
    None,
    Making(JoinHandle<Made>),
    Ready(Box<dyn SegmentFile>),
    Failed(io::Error),
}

impl Spare {
    pub fn new(storage: Arc<dyn Storage>, len: u64, aside: bool) -> Self {
        Self { storage, len, aside, state: State::None, tried: None }
    }

    /// Begins to make one, unless there is one or it is being made.
    pub fn prepare(&mut self) {
        self.look();
        let failed_just_now = || self.aside && self.tried.is_some_and(|tried| tried.elapsed() < TRY_AGAIN);
        match self.state {
            State::Making(_) | State::Ready(_) => return,
            State::Failed(_) if failed_just_now() => return,
            State::None | State::Failed(_) => self.tried = Some(Instant::now()),
        }
        let (storage, len) = (Arc::clone(&self.storage), self.len);
        let make = move || create_spare(&*storage, len);
        self.state = if self.aside {
            let thread = std::thread::Builder::new().name("flyball-spare".into());
            thread.spawn(make).map_or_else(State::Failed, State::Making)
        } else {
            make().map_or_else(State::Failed, State::Ready)
        };
    }

    /// There was no room for one when it was last tried.
    pub fn is_short(&mut self) -> bool {
        self.look();
        matches!(&self.state, State::Failed(error) if error.kind() == io::ErrorKind::StorageFull)
    }

    /// Makes the spare file the segment `name`, which begins with `head` and has room for `len`
    /// bytes or more. When it returns, segment and name are durable.
    pub fn become_segment(&mut self, name: &str, head: &[u8], len: u64) -> io::Result<(Box<dyn SegmentFile>, u64)> {
        let mut file = self.take()?;
        fill(&mut *file, self.len, len)?;
        file.write_at(0, head)?;
        file.sync().map_err(|error| not_synced(&error))?;
        // The name comes last: a crash leaves a whole segment or none.
        self.storage.rename(SPARE, name)?;
        self.storage.sync_names().map_err(|error| not_synced(&error))?;
        Ok((file, len.max(self.len)))
    }

    /// Gives its room back. A spare that is left behind by a crash is used up by the next life.
    pub fn discard(&mut self) {
        if let State::Ready(_) | State::Making(_) = self.wait() {
            // If it stays, it costs room and nothing else.
            let _ = self.storage.remove(SPARE);
        }
    }

    fn take(&mut self) -> Made {
        match self.wait() {
            State::Ready(file) => Ok(file),
            _ => create_spare(&*self.storage, self.len),
        }
    }

    fn wait(&mut self) -> State {
        match std::mem::replace(&mut self.state, State::None) {
            State::Making(thread) => joined(thread),
            state => state,
        }
    }

    fn look(&mut self) {
        if matches!(&self.state, State::Making(thread) if thread.is_finished()) {
            self.state = self.wait();
        }
    }
}

fn joined(thread: JoinHandle<Made>) -> State {
    match thread.join() {
        Ok(made) => made.map_or_else(State::Failed, State::Ready),
        Err(_) => State::Failed(io::Error::other("the thread that makes the next segment panicked")),
    }
}
