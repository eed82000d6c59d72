//! How a database's files are known to be the ones that were left behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a database's folder held when it was closed in order. sled checks parts of its files by itself,
/// but what it cannot read it may leave out without a word, or panic over. So it is given no file that
/// is not as it left it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seal {
    /// What the database's entries mean.
    version: u32,
    /// Each file's length and CRC-32C, by its path in the folder.
    files: BTreeMap<String, (u64, u32)>,
}

/// Files are read in parts of this size.
const PART: usize = 1 << 20;

impl Seal {
    /// The seal of the files that are in `folder` now.
    pub fn of(folder: &Path, version: u32) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        add(folder, "", &mut files)?;
        Ok(Self { version, files })
    }

    /// The seal in `file`; none if there is no such file.
    pub fn read(file: &Path) -> io::Result<Option<Self>> {
        match fs::read(file) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts the seal into `file`, whole or not at all. What a power cut makes of it is found when it is
    /// held against the files.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let draft = file.with_extension("new");
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::rename(&draft, file)
    }

    /// Why the files that `now` is of are not to be used, if they are not.
    pub fn differs(&self, now: &Self) -> Option<String> {
        if self.version != now.version {
            return Some(format!("it is of version {}, and this is {}", self.version, now.version));
        }
        let all = self.files.keys().chain(now.files.keys());
        let other = all.into_iter().find(|name| self.files.get(*name) != now.files.get(*name))?;
        Some(format!("its file {other} is not what was written"))
    }
}

fn add(folder: &Path, prefix: &str, files: &mut BTreeMap<String, (u64, u32)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, sum(&entry.path())?);
        }
    }
    Ok(())
}

fn sum(file: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(file)?;
    let (mut len, mut sum, mut part) = (0, 0, vec![0; PART]);
    loop {
        match file.read(&mut part)? {
            0 => return Ok((len, sum)),
            read => (len, sum) = (len + read as u64, crc32c::crc32c_append(sum, &part[..read])),
        }
    }
}
