//! Looks at real files, one after the other.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;

const LIMIT: usize = 2;

fn open(root: &Path, cursor: &Cursor) -> Ledger {
    let filter = Filter::new(root.to_owned(), &["*".to_owned()], true).unwrap();
    Ledger::open(Arc::new(filter), cursor, LIMIT).unwrap()
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

/// What the process keeps.
#[derive(Default)]
struct Process(Cursor);

impl Process {
    fn keep(&mut self, cursor: Option<Cursor>) {
        for (key, value) in cursor.unwrap_or_default() {
            if value.is_null() { drop(self.0.remove(&key)) } else { drop(self.0.insert(key, value)) }
        }
    }

    fn keeps(&self) -> Vec<&str> {
        self.0.keys().map(|path| path.rsplit('/').next().unwrap_or_default()).collect()
    }

    fn opened(&mut self, root: &Path) -> Ledger {
        let mut ledger = open(root, &self.0);
        self.keep(ledger.keep(&[]));
        ledger
    }

    /// Looks at everything, as a trigger does, and gives what happened.
    fn look(&mut self, ledger: &mut Ledger) -> Vec<WatchEvent> {
        let root = ledger.filter.root().to_owned();
        let found = look(ledger, &[root]).found;
        let looked = look(ledger, &found);
        for change in &looked.changes {
            self.keep(ledger.is_kept().then(|| change.cursor()));
        }
        self.keep(looked.keep);
        looked.changes.iter().map(|change| change.event).collect()
    }
}

fn directory(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in files {
        fs::write(dir.path().join(name), "1").unwrap();
    }
    dir
}

#[test]
fn a_cursor_is_taken_back_when_the_files_become_too_many_and_written_again_when_they_no_longer_are() {
    let dir = directory(&["a", "b"]);
    let mut process = Process::default();
    let mut ledger = process.opened(dir.path());
    assert_eq!(process.keeps(), ["", "a", "b"]);
    fs::write(dir.path().join("a"), "22").unwrap();
    fs::remove_file(dir.path().join("b")).unwrap();
    fs::write(dir.path().join("c"), "1").unwrap();
    fs::write(dir.path().join("d"), "1").unwrap();
    assert_eq!(process.look(&mut ledger).len(), 4);
    assert!(process.keeps().is_empty(), "{:?}", process.keeps());

    fs::remove_file(dir.path().join("a")).unwrap();
    assert_eq!(process.look(&mut ledger), [WatchEvent::Deleted]);
    assert_eq!(process.keeps(), ["", "c", "d"]);
    fs::remove_file(dir.path().join("c")).unwrap();
    let mut ledger = process.opened(dir.path());
    assert_eq!(process.look(&mut ledger), [WatchEvent::Deleted]);
}

#[test]
fn what_changed_while_too_many_files_were_there_is_not_found_by_the_next_start() {
    let dir = directory(&["a"]);
    let mut process = Process::default();
    let mut ledger = process.opened(dir.path());
    fs::write(dir.path().join("b"), "1").unwrap();
    fs::write(dir.path().join("c"), "1").unwrap();
    assert_eq!(process.look(&mut ledger), [WatchEvent::Created; 2]);
    fs::write(dir.path().join("a"), "22").unwrap();
    assert_eq!(process.look(&mut ledger), [WatchEvent::Modified]);
    let mut ledger = process.opened(dir.path());
    assert!(process.look(&mut ledger).is_empty());
}

#[test]
fn a_first_start_with_too_many_files_keeps_them_once_they_are_fewer() {
    let dir = directory(&["a", "b", "c"]);
    let mut process = Process::default();
    let mut ledger = process.opened(dir.path());
    assert!(process.keeps().is_empty());
    fs::remove_file(dir.path().join("c")).unwrap();
    assert_eq!(process.look(&mut ledger), [WatchEvent::Deleted]);
    assert_eq!(process.keeps(), ["", "a", "b"]);
}

#[test]
fn what_is_kept_without_a_word_that_it_is_whole_is_not_trusted_and_goes() {
    let dir = directory(&["a"]);
    let mut process = Process::default();
    let gone = dir.path().join("gone").to_string_lossy().into_owned();
    process.keep(Some(Cursor::from_iter([(gone, json!("1:2:3:4"))])));
    let mut ledger = process.opened(dir.path());
    assert_eq!(process.keeps(), ["", "a"]);
    assert!(process.look(&mut ledger).is_empty());
}
