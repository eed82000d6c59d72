//! Folders that are there after a power cut too.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What events and calls say lies in these folders: others have no business there.
const MODE: u32 = 0o700;

/// Makes the folder `dir`, and those above it that are not there, durably and for nobody but their owner. One
/// that is there is left as it is.
///
/// A folder's entry is durable once the folder above it is synced; without that, a power cut takes the whole
/// folder, however well its files were synced.
pub fn make_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = above(dir) {
        make_folder(parent)?;
    }
    match DirBuilder::new().mode(MODE).create(dir) {
        // Whoever was quicker may not have synced it yet.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if !dir.is_dir() {
                return Err(ErrorKind::NotADirectory.into());
            }
        }
        made => made?,
    }
    sync_entry(dir)
}

/// Makes the entries of `dir` and of the folder above it durable: whoever made them may have been killed before
/// he came to that.
pub fn sync_entries(dir: &Path) -> io::Result<()> {
    sync_entry(dir)?;
    above(dir).map_or(Ok(()), sync_entry)
}

fn sync_entry(dir: &Path) -> io::Result<()> {
    match File::open(above(dir).unwrap_or(Path::new("."))).and_then(|parent| parent.sync_all()) {
        // Then it is not ours, and was there before us.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The folder that has `dir`'s entry, where it is named.
fn above(dir: &Path) -> Option<&Path> {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_made_is_for_its_owner_and_what_was_there_stays_as_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        let known = dir.path().join("known");
        fs::create_dir(&known).expect("made");
        fs::set_permissions(&known, fs::Permissions::from_mode(0o755)).expect("set");
        let deep = known.join("a/b/c");
        make_folder(&deep).expect("made");
        make_folder(&deep).expect("it is there");
        assert_eq!(mode(&known), 0o755);
        for made in [&deep, &known.join("a/b"), &known.join("a")] {
            assert_eq!(mode(made), 0o700, "{}", made.display());
        }
        fs::write(known.join("file"), "in the way").expect("written");
        assert!(make_folder(&known.join("file")).is_err());
        sync_entries(&deep).expect("synced");
    }
}
