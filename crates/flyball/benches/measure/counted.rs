//! A folder of segments that counts what the log does with it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use flyball::journal::{DEFAULT_SEGMENT_BYTES, FileStorage, Log, Recovered, Recovery, SegmentFile, Storage};

/// What was done so far. A batch is one write and one sync; making a segment is counted apart.
#[derive(Debug, Default)]
pub struct Count {
    batches: AtomicU64,
    bytes: AtomicU64,
    segments: AtomicU64,
    sizes: Mutex<Vec<usize>>,
}

/// The figures of one moment.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Batches that were synced, which is how often a commit line was written.
    pub batches: u64,
    /// Bytes of batches.
    pub bytes: u64,
    /// Segments that were made.
    pub segments: u64,
}

impl Count {
    pub fn figures(&self) -> Figures {
        Figures {
            batches: self.batches.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
        }
    }

    /// The sizes of the batches since this was last asked, in bytes.
    pub fn take_sizes(&self) -> Vec<usize> {
        std::mem::take(&mut *self.sizes())
    }

    fn sizes(&self) -> MutexGuard<'_, Vec<usize>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    pub fn since(self, before: Self) -> Self {
        Self {
            batches: self.batches - before.batches,
            bytes: self.bytes - before.bytes,
            segments: self.segments - before.segments,
        }
    }
}

/// Opens the log in `dir` over files, as the product does, and counts.
pub fn open(dir: &Path) -> Result<(Arc<Log>, Recovery<Recovered>, Arc<Count>)> {
    over(Box::new(FileStorage::open(dir).with_context(|| format!("opening {}", dir.display()))?))
}

/// The same over any storage.
pub fn over(inner: Box<dyn Storage>) -> Result<(Arc<Log>, Recovery<Recovered>, Arc<Count>)> {
    let count = Arc::new(Count::default());
    let (log, recovery) = Log::resume_storage(Arc::new(Counted { inner, count: Arc::clone(&count) }), DEFAULT_SEGMENT_BYTES)?;
    Ok((log, recovery, count))
}

struct Counted {
    inner: Box<dyn Storage>,
    count: Arc<Count>,
}

struct CountedFile {
    inner: Box<dyn SegmentFile>,
    count: Arc<Count>,
    /// The file was synced once: it is a whole segment, and what follows are batches.
    made: bool,
}

impl Storage for Counted {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.inner.len(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        let inner = self.inner.create(name)?;
        Ok(Box::new(CountedFile { inner, count: Arc::clone(&self.count), made: false }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.inner.sync_names()
    }

    fn cut(&self, name: &str, len: u64) -> io::Result<()> {
        self.inner.cut(name, len)
    }

    fn end_with(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.end_with(name, offset, bytes)
    }
}

impl SegmentFile for CountedFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)?;
        // Its first line is written when the spare file becomes a segment.
        self.made &= offset > 0;
        if self.made {
            self.count.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.count.sizes().push(bytes.len());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.inner.sync()?;
        let counter = if self.made { &self.count.batches } else { &self.count.segments };
        counter.fetch_add(1, Ordering::Relaxed);
        self.made = true;
        Ok(())
    }
}
