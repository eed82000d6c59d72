//! Flyball inside this program, over a disk in memory that does what it is told to, and with an outside
//! that remembers every call.

mod crash;
mod life;
mod outside;
mod prefix;
mod truth;

pub use crash::{Known, Scenario, in_order, nothing_twice};
pub use life::{Life, PROCESSES, Plan, block_on, event};
pub use outside::Outside;
pub use prefix::Prefixes;
pub use truth::{Recipe, Truth};

use std::sync::Arc;

use flyball::journal::{Error, Log, MemoryStorage, Recovered, Recovery, Storage};

/// Opens the log on `disk`.
pub fn open(disk: &MemoryStorage, segment: u64) -> Result<(Arc<Log>, Recovery), Error> {
    Log::open_storage(Arc::new(disk.clone()), segment)
}

/// Opens the log on `disk` as a runtime does.
pub fn resume(disk: &MemoryStorage, segment: u64) -> Result<(Arc<Log>, Recovery<Recovered>), Error> {
    Log::resume_storage(Arc::new(disk.clone()), segment)
}

/// The names of a disk's segments, oldest first.
pub fn segments(disk: &MemoryStorage) -> Vec<String> {
    disk.list().expect("a disk in memory lists its files")
}

/// A file's bytes.
pub fn bytes(disk: &MemoryStorage, name: &str) -> Vec<u8> {
    disk.read(name).expect("a file of a disk in memory can be read")
}
