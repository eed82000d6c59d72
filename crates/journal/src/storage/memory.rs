//! A disk in memory, which can do what disks do: forget what was not synced, tear a write, fail,
//! run full, and go bad. For `backend: memory` and for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{SUFFIX, SegmentFile, Storage};

/// A folder in memory. Clones share it, so a test can open a log again over what was written.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    path: PathBuf,
    disk: Arc<Mutex<Disk>>,
}

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th operation that changes or syncs something fails, from 0.
    FailOperation(u64),
    /// Every one from the n-th on fails.
    FailFrom(u64),
    /// The n-th operation, if it is a write, writes only half and fails.
    TearOperation(u64),
    /// The n-th operation finds no room on the disk, whatever it is.
    NoRoom(u64),
    /// The same, and of a write the first so many bytes are there.
    NoRoomAfter(u64, usize),
    /// The n-th operation, a sync, fails, and what it was to make durable is forgotten: it is seen, and no later sync
    /// writes it.
    ForgetSync(u64),
    /// No write finds room; what takes none works.
    Full,
    /// The files may hold this many bytes together.
    Capacity(u64),
}

/// Something that a power cut may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// Bytes written to a file.
    Write,
    /// A file's new name, or its removal.
    Name,
}

#[derive(Debug, Clone, Default)]
struct Disk {
    /// What every file holds, by a number that outlives its names: as whoever reads it sees it.
    files: BTreeMap<u64, File>,
    /// The names as they are seen, and as they are durable.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<NameChange>,
    next_file: u64,
    operations: u64,
    /// A power cut may lose parts of a write, cut at multiples of this.
    page: Option<u64>,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone, Default)]
struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
}

impl File {
    fn write(&mut self, offset: u64, bytes: Vec<u8>) {
        put(&mut self.seen, offset, &bytes);
        self.writes.push((offset, bytes));
    }

    fn sync(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.writes) {
            put(&mut self.durable, offset, &bytes);
        }
    }
}

#[derive(Debug, Clone)]
enum NameChange {
    Put(String, u64),
    Move(String, String),
    Remove(String),
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self { path: PathBuf::from("(memory)"), disk: Arc::default() }
    }
}

impl MemoryStorage {
    /// A disk on which a power cut may lose any pages of `page` bytes of what was not synced, and not
    /// only whole writes.
    pub fn with_pages(page: u64) -> Self {
        let storage = Self::default();
        storage.lock().page = Some(page);
        storage
    }

    /// Lets things go wrong from now on, in place of what did before.
    pub fn set_faults(&self, faults: &[Fault]) {
        self.lock().faults = faults.to_vec();
    }

    /// How many operations that change or sync something there were.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Changes a file's bytes behind the log's back, as a bad disk would.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.lock();
        if let Some(file) = disk.names.get(name).copied().and_then(|number| disk.files.get_mut(&number)) {
            change(&mut file.seen);
            file.durable.clone_from(&file.seen);
            file.writes.clear();
        }
    }

    /// What a process finds after the last one was killed: everything that was written.
    pub fn fork(&self) -> Self {
        let mut disk = self.lock().clone();
        disk.faults.clear();
        Self { path: self.path.clone(), disk: Arc::new(Mutex::new(disk)) }
    }

    /// What was written or renamed and is not synced, in order.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let disk = self.lock();
        let writes = disk.files.values().flat_map(|file| &file.writes).map(|_| Unsynced::Write);
        writes.chain(disk.name_changes.iter().map(|_| Unsynced::Name)).collect()
    }

    /// What a machine finds after a power cut: what was synced, and of what was not, those that
    /// `kept` says of their place in [`unsynced`](MemoryStorage::unsynced).
    pub fn power_cut(&self, mut kept: impl FnMut(usize) -> bool) -> Self {
        let mut disk = self.lock().clone();
        let mut index = 0;
        let mut keep = || {
            index += 1;
            kept(index - 1)
        };
        for file in disk.files.values_mut() {
            for (offset, bytes) in std::mem::take(&mut file.writes) {
                if keep() {
                    put(&mut file.durable, offset, &bytes);
                }
            }
            file.seen.clone_from(&file.durable);
        }
        let mut names = disk.durable_names.clone();
        for change in std::mem::take(&mut disk.name_changes) {
            if keep() {
                apply(&mut names, &change);
            }
        }
        disk.names.clone_from(&names);
        disk.durable_names = names;
        disk.faults.clear();
        Self { path: self.path.clone(), disk: Arc::new(Mutex::new(disk)) }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no holder of the disk panics")
    }
}

/// What the faults make of an operation.
enum Verdict {
    Do,
    /// A write fails in its midst.
    Tear,
    /// A write fails when so many bytes are written, since there is no more room.
    NoRoomAfter(usize),
}

impl Verdict {
    /// What of `bytes` is written, and the answer.
    fn of_write(self, bytes: &[u8]) -> (&[u8], io::Result<()>) {
        match self {
            Self::Do => (bytes, Ok(())),
            Self::Tear => (&bytes[..bytes.len() / 2], Err(io::Error::other("simulated short write"))),
            Self::NoRoomAfter(count) => (&bytes[..count.min(bytes.len())], Err(io::ErrorKind::StorageFull.into())),
        }
    }

    /// The answer of an operation that is done at once, or not at all.
    fn of_no_write(self) -> io::Result<()> {
        match self {
            Self::Do | Self::Tear => Ok(()),
            Self::NoRoomAfter(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl Disk {
    /// Counts an operation that adds `growth` bytes, and says whether it works.
    fn operate(&mut self, growth: u64) -> io::Result<Verdict> {
        let this = self.operations;
        self.operations += 1;
        let used: u64 = self.files.values().map(|file| file.seen.len() as u64).sum();
        for fault in &self.faults {
            match *fault {
                Fault::FailOperation(n) if n == this => return Err(io::Error::other("simulated failure")),
                Fault::FailFrom(n) if n <= this => return Err(io::Error::other("simulated failure")),
                Fault::TearOperation(n) if n == this => return Ok(Verdict::Tear),
                Fault::NoRoom(n) if n == this => return Err(io::ErrorKind::StorageFull.into()),
                Fault::NoRoomAfter(n, bytes) if n == this => return Ok(Verdict::NoRoomAfter(bytes)),
                Fault::Capacity(bytes) if used + growth > bytes => return Err(io::ErrorKind::StorageFull.into()),
                _ => {}
            }
        }
        Ok(Verdict::Do)
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        let number = *self.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.files.get_mut(&number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, change: NameChange) -> io::Result<()> {
        self.operate(0)?.of_no_write()?;
        apply(&mut self.names, &change);
        self.name_changes.push(change);
        // A file without a name is gone for whoever looks, and its room is free; unless a power cut
        // may bring back a name that it had.
        let (named, durable, changes) = (&self.names, &self.durable_names, &self.name_changes);
        let put = |change: &NameChange, number| matches!(change, NameChange::Put(_, known) if *known == number);
        self.files.retain(|number, _| {
            named.values().chain(durable.values()).any(|known| known == number)
                || changes.iter().any(|change| put(change, *number))
        });
        Ok(())
    }
}

impl Storage for MemoryStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().filter(|name| name.ends_with(SUFFIX)).cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.lock().file(name)?.seen.clone())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(self.lock().file(name)?.seen.len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let mut disk = self.lock();
        let number = disk.next_file;
        disk.next_file += 1;
        disk.files.insert(number, File::default());
        disk.rename(NameChange::Put(name.to_owned(), number))?;
        Ok(Box::new(OpenFile { number, disk: Arc::clone(&self.disk) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.file(from)?;
        disk.rename(NameChange::Move(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.lock();
        disk.file(name)?;
        disk.rename(NameChange::Remove(name.to_owned()))
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut disk = self.lock();
        disk.operate(0)?.of_no_write()?;
        disk.durable_names = disk.names.clone();
        disk.name_changes.clear();
        Ok(())
    }

    fn cut(&self, name: &str, len: u64) -> io::Result<()> {
        self.end_with(name, len, &[])
    }

    fn end_with(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.operate(0)?.of_no_write()?;
        let file = disk.file(name)?;
        file.write(offset, bytes.to_vec());
        file.sync();
        let len = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(bytes.len());
        file.seen.truncate(len);
        file.durable.truncate(len);
        Ok(())
    }
}

struct OpenFile {
    number: u64,
    disk: Arc<Mutex<Disk>>,
}

impl OpenFile {
    fn with<T>(&self, work: impl FnOnce(&mut Disk, u64) -> io::Result<T>) -> io::Result<T> {
        work(&mut self.disk.lock().expect("no holder of the disk panics"), self.number)
    }
}

impl SegmentFile for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|disk, number| {
            if disk.faults.contains(&Fault::Full) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = disk.files.get(&number).map_or(0, |file| file.seen.len() as u64);
            let verdict = disk.operate((offset + bytes.len() as u64).saturating_sub(len))?;
            let page = disk.page;
            let file = disk.files.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
            let (bytes, done) = verdict.of_write(bytes);
            put(&mut file.seen, offset, bytes);
            file.writes.extend(pieces(offset, bytes, page));
            done
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.with(|disk, number| {
            let forgets = disk.faults.contains(&Fault::ForgetSync(disk.operations));
            disk.operate(0)?.of_no_write()?;
            let file = disk.files.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
            if forgets {
                file.writes.clear();
                return Err(io::Error::other("simulated failure of a sync"));
            }
            file.sync();
            Ok(())
        })
    }
}

/// A write as the parts of it that may be lost one by one.
fn pieces(offset: u64, bytes: &[u8], page: Option<u64>) -> Vec<(u64, Vec<u8>)> {
    let Some(page) = page else { return vec![(offset, bytes.to_vec())] };
    let (mut start, mut rest) = (offset, bytes);
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let len = usize::try_from(page - start % page).unwrap_or(usize::MAX).min(rest.len());
        pieces.push((start, rest[..len].to_vec()));
        (start, rest) = (start + len as u64, &rest[len..]);
    }
    pieces
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    if file.len() < start + bytes.len() {
        // What lies between the end and a later write reads as zeros, as on a real disk.
        file.resize(start + bytes.len(), 0);
    }
    file[start..start + bytes.len()].copy_from_slice(bytes);
}

fn apply(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Put(name, number) => drop(names.insert(name.clone(), *number)),
        NameChange::Move(from, to) => {
            if let Some(number) = names.remove(from) {
                names.insert(to.clone(), number);
            }
        }
        NameChange::Remove(name) => drop(names.remove(name)),
    }
}
