//! Journals that earlier versions wrote are read, and come to what they came to then.
//!
//! `tests/golden/` has a folder for each version of the format: a journal as it lay on the disk, and what it
//! says. They are never changed. Where a kind of entry is added, a further folder is added:
//! `cargo run -p flyball-journal --example golden -- crates/journal/tests/golden/v2` writes it.

#![cfg(test)]

#[path = "golden/said.rs"]
mod said;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flyball_journal::{Entry, Log, Record, audit, history, read};
use serde_json::{Value, json};

/// Each kind's place in [`Entry::KINDS`]. A new one does not compile before it has one here; then it is missing in
/// all folders, until there is one with it.
fn kind(entry: &Entry) -> usize {
    match entry {
        Entry::StateTransition { .. } => 0,
        Entry::TriggerEvent { .. } => 1,
        Entry::TriggerMoved { .. } => 2,
        Entry::InvocationStart { .. } => 3,
        Entry::ModelReply { .. } => 4,
        Entry::ToolCall { .. } => 5,
        Entry::ToolResult { .. } => 6,
        Entry::InvocationHeld { .. } => 7,
        Entry::Settled { .. } => 8,
        Entry::InvocationResult { .. } => 9,
        Entry::Error { .. } => 10,
        Entry::Expired { .. } => 11,
        Entry::Redelivered { .. } => 12,
        Entry::Dismissed { .. } => 13,
        Entry::TailLost { .. } => 14,
        Entry::ContextUpdate { .. } => 15,
        Entry::Note { .. } => 16,
        Entry::Checkpoint { .. } => 17,
        Entry::Carried { .. } => 18,
        Entry::Recovered { .. } => 19,
    }
}

fn versions() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = fs::read_dir(golden).expect("the folder is there").map(|entry| entry.expect("an entry").path());
    let mut versions: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions
}

/// A copy that may be written to.
fn copy(version: &Path) -> tempfile::TempDir {
    let copy = tempfile::TempDir::new().expect("a folder");
    for entry in fs::read_dir(version.join("journal")).expect("the journal is there") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
    }
    copy
}

/// What was said then and is not said now, and where. A later version may say more than an earlier one did.
fn missing(found: &Value, expected: &Value) -> Option<String> {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .find_map(|(key, expected)| missing(found.get(key)?, expected).map(|what| format!(".{key}{what}")))
            .or_else(|| expected.keys().find(|key| !found.contains_key(*key)).map(|key| format!(".{key} is gone"))),
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            let pairs = found.iter().zip(expected).enumerate();
            pairs.into_iter().find_map(|(n, (found, expected))| missing(found, expected).map(|what| format!("[{n}]{what}")))
        }
        _ => (found != expected).then(|| format!(": {found} was {expected}")),
    }
}

#[test]
fn each_versions_journal_is_whole_and_comes_to_what_it_came_to() {
    for version in versions() {
        let copy = copy(&version);
        let sound = audit(copy.path()).expect("it is read");
        assert!(sound.damage.is_empty() && sound.torn.is_none() && sound.refused.is_none(), "{}: {sound:?}", version.display());
        for process in sound.processes.keys() {
            let records = read(copy.path()).expect("it is read");
            let found = history::check(records.iter().filter(|record| record.process == *process));
            assert!(found.is_empty(), "{} {process}: {found:?}", version.display());
        }
        let path = version.join("says.json");
        let found = said::said(copy.path());
        let expected: Value = serde_json::from_str(&fs::read_to_string(path).expect("read")).expect("JSON");
        for part in ["records", "processes", "runs", "doubts"] {
            let missing = missing(&found[part], &expected[part]);
            assert!(missing.is_none(), "{}: {part}{}", version.display(), missing.unwrap_or_default());
        }
    }
}

#[test]
fn each_versions_journal_can_be_gone_on_with() {
    for version in versions() {
        let copy = copy(&version);
        let before = read(copy.path()).expect("it is read");
        let (log, recovery) = Log::open(copy.path()).expect("it is opened");
        for process in recovery.processes.keys() {
            let entry = Entry::Note { layer: "test".into(), run: None, body: json!("a newer version was here") };
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(log.process(process).append(vec![entry])).expect("appended");
        }
        log.close();
        assert!(audit(copy.path()).expect("it is read").damage.is_empty());
        assert_eq!(read(copy.path()).expect("it is read").len(), before.len() + recovery.processes.len());
    }
}

#[test]
fn every_kind_of_entry_is_in_one_of_them() {
    let records: Vec<Record> = versions().iter().flat_map(|version| read(copy(version).path()).expect("it is read")).collect();
    let raw = versions().iter().flat_map(|version| carried(copy(version).path())).collect::<Vec<usize>>();
    for record in &records {
        assert_eq!(Entry::KINDS[kind(&record.entry)], record.entry.kind());
    }
    let found: BTreeSet<usize> = records.iter().map(|record| kind(&record.entry)).chain(raw).collect();
    assert_eq!(found, (0..Entry::KINDS.len()).collect(), "write a further folder: see the top of this file");
}

/// Records that carry others on are taken apart when a log is read; they are seen as they were written.
fn carried(dir: &Path) -> Vec<usize> {
    let mut kinds = Vec::new();
    let walked: Result<(), std::convert::Infallible> = flyball_journal::raw_records(dir, |record, _| {
        kinds.push(kind(&record.entry));
        Ok(())
    })
    .expect("it is read");
    let Ok(()) = walked;
    kinds
}
