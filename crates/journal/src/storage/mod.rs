//! Where a log's bytes go: the few operations that it needs, and no more.

mod file;
mod folder;
mod memory;

use std::io;
use std::path::Path;

pub use file::FileStorage;
pub use folder::make_folder;
pub(crate) use folder::sync_entries;
pub use memory::{Fault, MemoryStorage, Unsynced};

/// How segments' names end.
pub(crate) const SUFFIX: &str = ".jsonl";

/// A folder of segments.
///
/// Segments are written once, from front to back, by one writer. Nothing in one is changed that was made durable.
pub trait Storage: Send + Sync {
    /// Where this is, for messages.
    fn path(&self) -> &Path;

    /// The names of all segments, in the order of their first records.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's bytes.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Up to `len` of a file's bytes, from `offset`; fewer where it ends before.
    fn read_part(&self, name: &str, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.read(name)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..start);
        bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// How many bytes a file has.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// An empty file of that name, in place of any there was.
    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>>;

    /// Gives a file another name, in place of any file that had it. Durable after [`sync_names`](Storage::sync_names).
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Durable after [`sync_names`](Storage::sync_names).
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when every file's being there, under its name, is durable.
    fn sync_names(&self) -> io::Result<()>;

    /// Shortens a file to its first `len` bytes, durably.
    fn cut(&self, name: &str, len: u64) -> io::Result<()>;

    /// Ends a file with `bytes`, which stand there already at `offset`, durably. They are written once more: where a
    /// sync of them failed, the system may have them in memory only and take them for written.
    fn end_with(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A file that is being written.
pub trait SegmentFile: Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written is durable. After an error nothing is known of it, and
    /// trying again proves nothing.
    fn sync(&mut self) -> io::Result<()>;
}

/// The name of the file that becomes the next segment. No segment is named so.
pub(crate) const SPARE: &str = "spare.new";

/// Makes a file of `len` newlines under the name [`SPARE`]. When it returns, its bytes are durable.
///
/// Newlines, and written rather than reserved: a file that does not grow syncs twice as fast, and
/// blank lines keep a segment valid for whoever reads it while it is written.
pub(crate) fn create_spare(storage: &dyn Storage, len: u64) -> io::Result<Box<dyn SegmentFile>> {
    let make = || {
        let mut file = storage.create(SPARE)?;
        fill(&mut *file, 0, len)?;
        file.sync()?;
        Ok(file)
    };
    make().inspect_err(|_| {
        // Half a file would keep from others the room that is left.
        let _ = storage.remove(SPARE);
    })
}

/// Writes newlines from `from` up to `to`.
pub(crate) fn fill(file: &mut dyn SegmentFile, from: u64, to: u64) -> io::Result<()> {
    let blank = vec![b'\n'; BLANK_WRITE.min(to.saturating_sub(from)) as usize];
    let mut written = from;
    while written < to {
        let part = BLANK_WRITE.min(to - written);
        file.write_at(written, &blank[..part as usize])?;
        written += part;
    }
    Ok(())
}

/// The error of a sync as one that nobody takes for a lack of room, which may come back: whatever it was, nobody
/// knows what the disk holds of what was written, and a second sync that works says nothing of it.
pub(crate) fn not_synced(error: &io::Error) -> io::Error {
    io::Error::other(error.to_string())
}

/// Makes a durable file `name` that holds `bytes`: after a crash it is there whole, or as it was before.
pub(crate) fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = format!("{name}.new");
    let mut file = storage.create(&draft)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    storage.rename(&draft, name)?;
    storage.sync_names()
}

/// Removes a file, durably.
pub(crate) fn remove(storage: &dyn Storage, name: &str) -> io::Result<()> {
    storage.remove(name)?;
    storage.sync_names()
}

/// A file is filled in writes of this many bytes.
const BLANK_WRITE: u64 = 256 * 1024;
