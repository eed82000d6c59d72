//! Drops on disk: where they lie, what they hold, how they are put and moved.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::drop_name::{self, Month};
use crate::error::Doing;
use crate::validate::{MAX_DROP_BYTES, Report, validate};
use crate::{Error, Pipeline};

/// Where a drop lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Inbox,
    Quarantine,
}

impl Place {
    pub(crate) const ALL: [Self; 2] = [Self::Inbox, Self::Quarantine];

    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Quarantine => "quarantine",
        }
    }
}

/// A drop that was read.
#[derive(Debug)]
pub(crate) struct RawDrop {
    pub name: String,
    pub place: Place,
    pub arrived: SystemTime,
    pub sha256: String,
    pub report: Report,
}

impl RawDrop {
    /// How the warehouse calls it.
    pub(crate) fn source(&self) -> String {
        format!("{}/{}", self.place.folder(), self.name)
    }
}

impl Pipeline {
    /// Reads every drop that lies in `place`, by name.
    pub(crate) fn drops(&self, place: Place) -> Result<Vec<RawDrop>, Error> {
        let mut drops = Vec::new();
        for name in names_in(&self.folder(place))? {
            // A drop that another process moves away while we look is simply gone.
            drops.extend(self.drop_in(place, &name)?);
        }
        Ok(drops)
    }

    /// Reads one drop, if it is there.
    pub(crate) fn drop_in(&self, place: Place, name: &str) -> Result<Option<RawDrop>, Error> {
        let path = self.folder(place).join(drop_name::check(name)?);
        let doing = || format!("reading {}", path.display());
        let meta = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            meta => meta.doing(doing)?,
        };
        if !meta.is_file() {
            return Err(Error::Refused(format!("{name} is no regular file")));
        }
        let mut bytes = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.and_then(|file| file.take(MAX_DROP_BYTES + 1).read_to_end(&mut bytes)).doing(doing)?,
        };
        let report = if bytes.len() as u64 > MAX_DROP_BYTES {
            let problem = format!("the file is larger than {MAX_DROP_BYTES} bytes and was not read");
            Report { file_problems: vec![problem], ..Report::default() }
        } else {
            validate(&bytes, Month::announced_by(name))
        };
        let arrived = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(RawDrop { name: name.to_owned(), place, arrived, sha256, report }))
    }
}

/// The names of the drops in a folder, sorted. Folders, links and names that no tool would take are not drops.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, Error> {
    let doing = || format!("listing {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).doing(doing)? {
        let entry = entry.doing(doing)?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if let (true, Ok(name)) = (is_file, entry.file_name().into_string())
            && drop_name::check(&name).is_ok()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Puts a drop into a folder so that nobody ever sees half of it.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let target = folder.join(drop_name::check(name)?);
    let half = folder.join(format!(".{name}.part"));
    let doing = || format!("writing {}", target.display());
    let mut file = File::create(&half).doing(doing)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).doing(doing)?;
    fs::rename(&half, &target).doing(doing)?;
    sync_folder(folder)
}

/// Makes renames in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).doing(|| format!("syncing {}", folder.display()))
}
