//! Where a log's bytes go: the few operations that it needs, and no more.

mod file;
mod memory;

use std::io;
use std::path::Path;

pub use file::FileStorage;
pub use memory::{Fault, MemoryStorage, Unsynced};

/// How segments' names end.
pub(crate) const SUFFIX: &str = ".jsonl";

/// How a segment's name ends while it is being made.
const DRAFT: &str = ".new";

/// A folder of segments.
///
/// Segments are written once, from front to back, by one writer. Nothing in one is ever changed.
pub trait Storage: Send + Sync {
    /// Where this is, for messages.
    fn path(&self) -> &Path;

    /// The names of all segments, in the order of their first records.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's bytes.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

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
}

/// A file that is being written.
pub trait SegmentFile: Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written is durable. After an error nothing is known of it, and
    /// trying again proves nothing.
    fn sync(&mut self) -> io::Result<()>;
}

/// Makes a segment that begins with `head` and has room for `len` bytes, all the rest of them
/// newlines. When it returns, segment and name are durable.
///
/// Newlines, and written rather than reserved: a file that does not grow syncs twice as fast, and
/// blank lines keep a segment valid for whoever reads it while it is written.
pub(crate) fn create_segment(storage: &dyn Storage, name: &str, head: &[u8], len: u64) -> io::Result<Box<dyn SegmentFile>> {
    // Under another name first: a crash leaves a whole segment or none.
    let draft = format!("{name}{DRAFT}");
    let mut file = storage.create(&draft)?;
    file.write_at(0, head)?;
    let blank = vec![b'\n'; BLANK_WRITE.min(len) as usize];
    let mut written = head.len() as u64;
    while written < len {
        let part = BLANK_WRITE.min(len - written);
        file.write_at(written, &blank[..part as usize])?;
        written += part;
    }
    file.sync()?;
    storage.rename(&draft, name)?;
    storage.sync_names()?;
    Ok(file)
}

/// A segment is filled in writes of this many bytes.
const BLANK_WRITE: u64 = 256 * 1024;
