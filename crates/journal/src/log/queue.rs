//! What waits for the writer.
//!
//! The writer is woken when somebody waits for an answer, and takes along whatever nobody waits for.
//! That alone wakes it to look at the clock once: it is written out after a while.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::batch::Chains;
use super::request::Request;
use crate::Error;

/// What the writer is asked for.
pub(super) enum Work {
    Append(Request),
    /// Where every process stands.
    Places(tokio::sync::oneshot::Sender<Chains>),
}

/// A batch ends when it has this many bytes: whoever waits for it should not wait for more.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// What nobody waits for is written out after this time at the latest.
const IDLE_FLUSH: Duration = Duration::from_millis(50);

/// Between those who append and the one who writes.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    bytes: usize,
    /// How much of `work` somebody waits for.
    urgent: usize,
    /// When the oldest of `work` came, where nobody waits for any of it.
    since: Option<Instant>,
    sleeping: Sleeping,
    closed: bool,
}

/// What the writer sleeps for.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Sleeping {
    #[default]
    Not,
    ForAnything,
    ForSomethingUrgent,
}

impl Work {
    fn is_urgent(&self) -> bool {
        match self {
            Self::Append(request) => request.done.is_some(),
            Self::Places(_) => true,
        }
    }

    fn came(&mut self, now: DateTime<Utc>) {
        if let Self::Append(request) = self {
            request.at = now;
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Append(request) => request.weight(),
            Self::Places(_) => 0,
        }
    }
}

impl Queue {
    /// Adds something, and says when. Refused once the queue was closed.
    pub fn send(&self, mut work: Work) -> Result<DateTime<Utc>, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(super::closed());
        }
        let now = Utc::now();
        work.came(now);
        state.add(work);
        let wakes = match state.sleeping {
            Sleeping::Not => false,
            Sleeping::ForAnything => true,
            Sleeping::ForSomethingUrgent => state.is_urgent(),
        };
        if wakes {
            state.sleeping = Sleeping::Not;
            self.woken.notify_one();
        }
        Ok(now)
    }

    /// Takes nothing more. What is there is still handed out.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.woken.notify_one();
    }

    /// Takes nothing more, and whoever waits is told so.
    pub fn abandon(&self) {
        let abandoned = std::mem::replace(&mut *self.lock(), State { closed: true, ..State::default() });
        drop(abandoned);
    }

    /// Waits for work, and takes what goes into a batch. `None` once there is nothing more to come.
    pub fn take(&self) -> Option<Vec<Work>> {
        let mut state = self.lock();
        loop {
            if state.is_urgent() {
                return Some(state.take());
            }
            if state.closed {
                return if state.work.is_empty() { None } else { Some(state.take()) };
            }
            let Some(since) = state.since else {
                state.sleeping = Sleeping::ForAnything;
                state = self.woken.wait(state).expect("no holder of the queue panics");
                continue;
            };
            let Some(left) = IDLE_FLUSH.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) else {
                return Some(state.take());
            };
            state.sleeping = Sleeping::ForSomethingUrgent;
            state = self.woken.wait_timeout(state, left).expect("no holder of the queue panics").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the queue panics")
    }
}

impl State {
    fn add(&mut self, work: Work) {
        self.bytes += work.weight();
        self.urgent += usize::from(work.is_urgent());
        self.since.get_or_insert_with(Instant::now);
        self.work.push_back(work);
    }

    fn is_urgent(&self) -> bool {
        self.urgent > 0 || self.bytes >= MAX_BATCH_BYTES
    }

    fn take(&mut self) -> Vec<Work> {
        self.sleeping = Sleeping::Not;
        let (mut taken, mut bytes) = (Vec::with_capacity(self.work.len()), 0);
        while let Some(work) = self.work.pop_front() {
            bytes += work.weight();
            self.urgent -= usize::from(work.is_urgent());
            taken.push(work);
            if bytes >= MAX_BATCH_BYTES {
                break;
            }
        }
        self.bytes -= bytes;
        if self.work.is_empty() {
            self.since = None;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::Entry;

    fn push(text: &str) -> Work {
        let entry = Entry::Note { layer: "test".into(), run: None, body: text.into() };
        Work::Append(Request::push("p".into(), vec![entry]).expect("it can be written"))
    }

    #[test]
    fn what_nobody_waits_for_is_handed_out_after_a_while_and_what_is_waited_for_at_once() {
        let queue = Queue::default();
        queue.send(push("a")).expect("open");
        let start = Instant::now();
        assert_eq!(queue.take().expect("work").len(), 1);
        assert!(start.elapsed() >= IDLE_FLUSH);
        queue.send(push("b")).expect("open");
        let (ask, _told) = oneshot::channel();
        queue.send(Work::Places(ask)).expect("open");
        assert_eq!(queue.take().expect("work").len(), 2);
    }

    #[test]
    fn one_that_sleeps_is_woken_by_what_is_waited_for() {
        let queue = Arc::new(Queue::default());
        let taker = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || (queue.take().map(|work| work.len()), queue.take().map(|work| work.len()), queue.take().is_none())
        });
        std::thread::sleep(IDLE_FLUSH / 5);
        queue.send(push("a")).expect("open");
        std::thread::sleep(IDLE_FLUSH * 2);
        let (ask, _told) = oneshot::channel();
        queue.send(Work::Places(ask)).expect("open");
        std::thread::sleep(IDLE_FLUSH / 5);
        queue.close();
        assert_eq!(taker.join().expect("it ends"), (Some(1), Some(1), true));
    }

    #[test]
    fn a_batch_has_an_end_and_what_is_left_comes_with_the_next() {
        let queue = Queue::default();
        let big = "x".repeat(MAX_BATCH_BYTES / 2);
        for _ in 0..3 {
            queue.send(push(&big)).expect("open");
        }
        queue.close();
        assert!(queue.send(push("late")).is_err());
        assert_eq!((queue.take().map(|work| work.len()), queue.take().map(|work| work.len())), (Some(2), Some(1)));
        assert!(queue.take().is_none());
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_gone() {
        let queue = Queue::default();
        let (ask, told) = oneshot::channel();
        queue.send(Work::Places(ask)).expect("open");
        queue.abandon();
        assert!(told.blocking_recv().is_err());
        assert!(queue.send(push("late")).is_err() && queue.take().is_none());
    }
}
