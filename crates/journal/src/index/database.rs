//! A sled database that can be made again at any time: one owner, and no surprise from its files.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::seal::Seal;
use crate::Error;
use crate::log::follow::Halt;
use crate::log::lock::Lock;

/// An open database. It is sealed when it is dropped, unless something failed meanwhile; what has no
/// seal is made anew by the next one who opens it.
pub(super) struct Database {
    dir: PathBuf,
    version: u32,
    db: Option<sled::Db>,
    _lock: Lock,
}

/// What was there when a database was opened.
#[derive(Debug)]
pub(super) enum Found {
    /// What was left there.
    Whole,
    /// Nothing.
    Nothing,
    /// Something that cannot be used, and is gone by now; why.
    Spoiled(String),
}

/// Pages that sled keeps in memory, in bytes. Beyond it reads them again.
const CACHE: u64 = 64 << 20;

/// sled's threads let go of its file soon after it is closed; without that its files are not sealed.
const SETTLE: Duration = Duration::from_millis(5);
const MAX_SETTLES: u32 = 400;

impl Database {
    /// Opens the database in the folder `dir`, made if it is not there. `version` says what its entries
    /// mean. An error says that it cannot be used now: it may not be written, or somebody has it open.
    pub fn open(dir: &Path, version: u32) -> Result<(Self, Found), Halt> {
        let failed = |error: &io::Error| failed(dir, error);
        fs::create_dir_all(dir).map_err(|error| failed(&error))?;
        let lock = Lock::take(dir).map_err(Halt::Failed)?;
        let mut database = Self { dir: dir.to_owned(), version, db: None, _lock: lock };
        if !database.is_closed() {
            return Err(failed(&io::Error::other("somebody has it open")));
        }
        let found = database.look();
        // From here on its files change: without a seal nobody takes them for whole.
        remove_file(&database.seal_file()).map_err(|error| failed(&error))?;
        if !matches!(found, Found::Whole) {
            remove_folder(&database.folder()).map_err(|error| failed(&error))?;
        }
        match database.start() {
            Ok(()) => Ok((database, found)),
            Err(Halt::Wrong(why)) => {
                database.clear()?;
                Ok((database, Found::Spoiled(why)))
            }
            Err(halt) => Err(halt),
        }
    }

    /// The entries.
    pub fn tree(&self) -> Result<&sled::Tree, Halt> {
        let db = self.db.as_ref().ok_or_else(|| Halt::Wrong("it is closed".into()))?;
        Ok(db)
    }

    /// Makes it empty.
    pub fn clear(&mut self) -> Result<(), Halt> {
        if let Some(db) = self.db.take() {
            let _ = guarded(|| drop(db));
        }
        remove_folder(&self.folder()).map_err(|error| failed(&self.dir, &error))?;
        self.start()
    }

    /// Something is wrong with it: it is not sealed.
    pub fn forsake(&mut self) {
        if let Some(db) = self.db.take() {
            let _ = guarded(|| drop(db));
        }
    }

    fn look(&self) -> Found {
        let folder = self.folder();
        match Seal::read(&self.seal_file()) {
            Ok(Some(seal)) => match Seal::of(&folder, self.version) {
                Ok(now) => seal.differs(&now).map_or(Found::Whole, Found::Spoiled),
                Err(error) => Found::Spoiled(error.to_string()),
            },
            Ok(None) if folder.exists() => Found::Spoiled("it was not closed in order".into()),
            Ok(None) => Found::Nothing,
            Err(error) => Found::Spoiled(format!("its seal cannot be read: {error}")),
        }
    }

    fn start(&mut self) -> Result<(), Halt> {
        // Nothing is written in the background: a crash costs the seal anyway.
        let config = sled::Config::new().path(self.folder()).cache_capacity(CACHE).flush_every_ms(None);
        self.db = Some(guarded(|| config.open())?.map_err(|error| trouble(&self.dir, error))?);
        Ok(())
    }

    fn seal(&mut self) -> io::Result<()> {
        let Some(db) = self.db.take() else { return Ok(()) };
        let closed = guarded(|| {
            let flushed = db.flush();
            drop(db);
            flushed
        });
        closed.map_err(|_| io::Error::other("sled panicked"))?.map_err(io::Error::other)?;
        if !(0..MAX_SETTLES).any(|_| self.is_closed() || pause()) {
            return Err(io::Error::other("sled does not let go of its file"));
        }
        Seal::of(&self.folder(), self.version)?.write(&self.seal_file())
    }

    /// sled holds a lock on its file for as long as any of its threads may write to it.
    fn is_closed(&self) -> bool {
        File::open(self.folder().join("db")).map_or(true, |file| file.try_lock().is_ok())
    }

    fn folder(&self) -> PathBuf {
        self.dir.join("sled")
    }

    fn seal_file(&self) -> PathBuf {
        self.dir.join("seal.json")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.seal() {
            tracing::debug!(%error, index = %self.dir.display(), "an index was not closed in order, and will be made anew");
        }
    }
}

fn pause() -> bool {
    std::thread::sleep(SETTLE);
    false
}

/// What sled's error means for whoever has the database in `dir`.
pub(super) fn trouble(dir: &Path, error: sled::Error) -> Halt {
    match error {
        sled::Error::Io(error) => failed(dir, &error),
        other => Halt::Wrong(other.to_string()),
    }
}

/// Does something with sled, which may panic where a disk fails it.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Halt> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Halt::Wrong("sled panicked".into()))
}

fn failed(dir: &Path, error: &io::Error) -> Halt {
    Halt::Failed(Error::Io { action: "opening the index in", path: dir.to_owned(), cause: error.to_string() })
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
