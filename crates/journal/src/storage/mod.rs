//! Where a log's bytes go: the few operations that it needs, and no more.

mod file;
mod memory;

use std::io;
use std::path::Path;

pub use file::FileStorage;
pub(crate) use file::SUFFIX;
pub use memory::MemoryStorage;

/// A folder of segments.
///
/// Segments are written once, from front to back, by one writer. Nothing in one is ever changed.
pub trait Storage: Send + Sync {
    /// Where this is, for messages.
    fn path(&self) -> &Path;

    /// The names of all segments, in the order of their first records.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A segment's bytes.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Makes a segment of `len` bytes, all of them newlines, in place of any of that name. When it
    /// returns, segment and name are durable.
    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>>;

    /// Shortens a segment to its first `len` bytes, durably.
    fn cut(&self, name: &str, len: u64) -> io::Result<()>;

    /// Removes a segment, durably.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A segment that is being written.
pub trait SegmentFile: Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything written is durable. After an error nothing is known of it, and
    /// trying again proves nothing.
    fn sync(&mut self) -> io::Result<()>;
}
