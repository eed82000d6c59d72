//! Segments as files of a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{SegmentFile, Storage};

/// A folder on a disk.
#[derive(Debug)]
pub struct FileStorage {
    dir: PathBuf,
}

/// How segments' names end.
pub(crate) const SUFFIX: &str = ".jsonl";

impl FileStorage {
    /// The folder `dir`, made if it is not there.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

impl Storage for FileStorage {
    fn path(&self) -> &Path {
        &self.dir
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().filter(|name| name.ends_with(SUFFIX)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.dir.join(name))
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Box<dyn SegmentFile>> {
        // Written under another name first: a crash leaves a whole segment or none.
        let draft = self.dir.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
        // Newlines, and written rather than reserved: a file that does not grow syncs twice as
        // fast, and blank lines keep a segment valid for whoever reads it while it is written.
        let blank = [b'\n'; 64 * 1024];
        let mut left = len;
        while left > 0 {
            let part = left.min(blank.len() as u64);
            file.write_all(&blank[..part as usize])?;
            left -= part;
        }
        file.sync_all()?;
        fs::rename(&draft, self.dir.join(name))?;
        self.sync_dir()?;
        Ok(Box::new(OpenFile { file }))
    }

    fn cut(&self, name: &str, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(self.dir.join(name))?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.dir.join(name))?;
        self.sync_dir()
    }
}

struct OpenFile {
    file: File,
}

impl SegmentFile for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
