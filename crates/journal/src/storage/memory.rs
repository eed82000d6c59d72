//! Segments that live in memory, for `backend: memory` and for tests.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{SegmentFile, Storage};

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A folder in memory. Clones share it, so a test can open a log again over what was written.
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    path: PathBuf,
    files: Files,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self { path: PathBuf::from("(memory)"), files: Files::default() }
    }
}

impl MemoryStorage {
    /// Changes a segment's bytes behind the log's back, as a fault would.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(bytes) = lock(&self.files).get_mut(name) {
            change(bytes);
        }
    }

    /// A copy that goes its own way from here on.
    pub fn fork(&self) -> Self {
        let files = lock(&self.files).clone();
        Self { path: self.path.clone(), files: Arc::new(Mutex::new(files)) }
    }
}

impl Storage for MemoryStorage {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.files).keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        lock(&self.files).get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str, _len: u64) -> io::Result<Box<dyn SegmentFile>> {
        lock(&self.files).insert(name.to_owned(), Vec::new());
        Ok(Box::new(OpenFile { name: name.to_owned(), files: Arc::clone(&self.files) }))
    }

    fn cut(&self, name: &str, len: u64) -> io::Result<()> {
        self.damage(name, |bytes| bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX)));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.files).remove(name);
        Ok(())
    }
}

struct OpenFile {
    name: String,
    files: Files,
}

impl SegmentFile for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = lock(&self.files);
        let file = files.entry(self.name.clone()).or_default();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        file.resize(file.len().max(start + bytes.len()), b'\n');
        file[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lock(files: &Files) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    files.lock().expect("no holder of the files panics")
}
