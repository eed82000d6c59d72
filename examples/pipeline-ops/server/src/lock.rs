//! One writer at a time, over all server processes of a pipeline.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Error;
use crate::error::Doing;

/// A call gives up after this time; a load of a thousand drops takes less.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// How often a held lock is tried again.
const TRY_EVERY: Duration = Duration::from_millis(20);

/// The right to change the pipeline, until it is dropped. It dies with its process, whatever kills it.
#[derive(Debug)]
pub struct Guard {
    _file: File,
}

/// Waits for the right to change the pipeline.
pub(crate) fn exclusive(path: &Path) -> Result<Guard, Error> {
    wait_for(path, File::try_lock)
}

/// Waits until nobody changes the pipeline, and keeps it so.
pub(crate) fn shared(path: &Path) -> Result<Guard, Error> {
    wait_for(path, File::try_lock_shared)
}

fn wait_for(path: &Path, attempt: fn(&File) -> Result<(), TryLockError>) -> Result<Guard, Error> {
    let doing = || format!("locking {}", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(path).doing(doing)?;
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        match attempt(&file) {
            Ok(()) => return Ok(Guard { _file: file }),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(TRY_EVERY),
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
            Err(TryLockError::Error(error)) => return Err(error).doing(doing),
        }
    }
}
