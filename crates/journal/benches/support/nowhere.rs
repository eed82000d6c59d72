//! A disk that forgets: what is left of a log when nothing is written and nothing is waited for.

use std::io;
use std::path::Path;

use flyball_journal::{SegmentFile, Storage};

/// Takes everything and holds nothing.
pub struct Nowhere;

impl Storage for Nowhere {
    fn path(&self) -> &Path {
        Path::new("(nowhere)")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn read(&self, _name: &str) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn len(&self, _name: &str) -> io::Result<u64> {
        Ok(0)
    }

    fn create(&self, _name: &str) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(Self))
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&self, _name: &str, _len: u64) -> io::Result<()> {
        Ok(())
    }

    fn end_with(&self, _name: &str, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl SegmentFile for Nowhere {
    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
