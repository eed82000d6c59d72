//! One owner per log, and what its folder tells of it without being its owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::Error;
use crate::storage::SUFFIX;

/// Held for as long as the log is open; the system lets go of it when the process ends, however it does.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The lock's file in the log's folder.
const NAME: &str = "lock";

impl Lock {
    /// Takes the lock of the folder `dir`, or says who has it.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(NAME);
        let failed = |error: std::io::Error| Error::Io { action: "locking", path: path.clone(), cause: error.to_string() };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(Error::Locked { path: dir.to_owned(), holder: who(&holder) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // JSON, like everything else in the folder.
        let note = format!("{{\"pid\":{}}}\n", std::process::id());
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Whether a program that is alive has the log in the folder `dir` open, by the lock that the system lets go of with
/// its end.
pub fn is_held(dir: &Path) -> bool {
    // Taken for a moment where nobody has it; together with whoever else only asks.
    File::open(dir.join(NAME)).is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Whether there is a log in the folder `dir`, or a copy of one. Nothing is made there. Errors when it cannot be listed.
///
/// A log has its lock from its first moment on; a copy may have its segments alone, which have numbers for names.
pub fn is_log(dir: &Path) -> io::Result<bool> {
    let entries = std::fs::read_dir(dir)?;
    let names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    let numbered = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_segment = |name: &str| name.strip_suffix(SUFFIX).is_some_and(numbered);
    Ok(names.iter().any(|name| name == NAME || name.to_str().is_some_and(is_segment)))
}

/// What the lock's file says of its holder, in words.
fn who(note: &str) -> String {
    let note = serde_json::from_str::<serde_json::Value>(note).ok();
    match note.as_ref().and_then(|note| note["pid"].as_u64()) {
        Some(pid) => format!("pid {pid}"),
        None => "its pid is not known".to_owned(),
    }
}
