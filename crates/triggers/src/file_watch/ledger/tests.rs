//! Looks at real files, one after the other.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

fn open(root: &Path, cursor: &Cursor) -> Ledger {
    let filter = Filter::new(root.to_owned(), &["*".to_owned()], true).unwrap();
    Ledger::open(Arc::new(filter), cursor).unwrap()
}

/// Looks at these, which the system said nothing of.
fn look(ledger: &mut Ledger, paths: &[PathBuf]) -> Looked {
    ledger.look(paths.iter().map(|path| (path.clone(), Vec::new())).collect()).unwrap()
}

#[cfg(unix)]
#[test]
fn what_is_in_a_directory_that_cannot_be_read_is_not_gone_and_is_looked_at_again() {
    let dir = tempfile::tempdir().unwrap();
    let (root, aside) = (dir.path().join("drops"), dir.path().join("aside"));
    let file = root.join("a");
    fs::create_dir(&root).unwrap();
    fs::write(&file, "1").unwrap();
    let mut ledger = open(&root, &Cursor::new());
    // A link to itself cannot be read, not even by root.
    fs::rename(&root, &aside).unwrap();
    std::os::unix::fs::symlink(&root, &root).unwrap();
    for path in [&root, &file] {
        let looked = look(&mut ledger, std::slice::from_ref(path));
        assert!(looked.changes.is_empty() && looked.found.is_empty(), "{looked:?}");
        assert!(ledger.unclear().any(|unclear| unclear == path));
    }
    fs::remove_file(&root).unwrap();
    fs::rename(&aside, &root).unwrap();
    fs::write(&file, "22").unwrap();
    let again: Vec<PathBuf> = ledger.unclear().cloned().collect();
    let looked = look(&mut ledger, &again);
    assert_eq!(looked.changes.iter().map(|change| change.event).collect::<Vec<_>>(), [WatchEvent::Modified]);
    assert_eq!(ledger.unclear().count(), 0);
}
