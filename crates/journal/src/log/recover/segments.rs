//! Reading segments side by side, and handing them on in their order.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, mpsc};

use super::{Gone, io_error};
use crate::log::scan::{Depth, Scanned, scan};
use crate::storage::Storage;

/// Segments that may be read ahead of the one that is looked at, for each thread: what lies in memory.
const AHEAD: usize = 2;

/// More threads than this wait for the one that looks.
const MAX_THREADS: usize = 8;

/// Gives `take` each of `names`, in order.
pub fn each<E: From<Gone>>(
    storage: &dyn Storage,
    names: &[String],
    depth: Depth,
    mut take: impl FnMut(&str, Scanned) -> Result<(), E>,
) -> Result<(), E> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(names.len());
    if threads < 2 {
        return names.iter().try_for_each(|name| take(name, one(storage, name, depth)?));
    }
    let pace = Pace::default();
    let next = AtomicUsize::new(0);
    let (done, scanned) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (done, pace, next) = (done.clone(), &pace, &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(index) else { return };
                    // Nobody listens any more where the one that looks gave up.
                    if !pace.wait_for(index, threads * AHEAD) || done.send((index, one(storage, name, depth))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        // Whatever happens in `take`: whoever waits here is waited for at the scope's end.
        let _end = End(&pace);
        let mut early = BTreeMap::new();
        (0..names.len()).try_for_each(|index| {
            let segment = loop {
                if let Some(segment) = early.remove(&index) {
                    break segment;
                }
                let Ok((place, segment)) = scanned.recv() else { return Err(Gone::Vanished.into()) };
                early.insert(place, segment);
            };
            pace.looked_at(index);
            take(&names[index], segment?)
        })
    })
}

fn one(storage: &dyn Storage, name: &str, depth: Depth) -> Result<Scanned, Gone> {
    match storage.read(name) {
        Ok(bytes) => Ok(scan(bytes, depth)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Gone::Vanished),
        Err(error) => Err(Gone::Failed(io_error("reading", storage, name, &error))),
    }
}

/// Keeps those who read from running too far ahead of the one that looks.
#[derive(Default)]
struct Pace {
    /// The segment that is looked at; `None` once nobody looks any more.
    looking: Mutex<Looking>,
    moved: Condvar,
}

#[derive(Default)]
struct Looking {
    at: usize,
    ended: bool,
}

impl Pace {
    /// Waits until `index` is less than `ahead` from what is looked at. `false` if nobody looks any more.
    fn wait_for(&self, index: usize, ahead: usize) -> bool {
        let looking = self.looking.lock().expect("no holder panics");
        let looking = self.moved.wait_while(looking, |looking| !looking.ended && index >= looking.at + ahead);
        !looking.expect("no holder panics").ended
    }

    fn looked_at(&self, index: usize) {
        self.looking.lock().expect("no holder panics").at = index;
        self.moved.notify_all();
    }
}

/// Nobody looks any more once this is dropped.
struct End<'a>(&'a Pace);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.looking.lock().expect("no holder panics").ended = true;
        self.0.moved.notify_all();
    }
}
