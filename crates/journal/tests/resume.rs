//! What a runtime goes on with is what the records come to, whatever happened to the log: it is made while
//! they are read, and without those that nobody needs any more.

#![cfg(test)]
#![cfg(feature = "index")]
#![allow(dead_code, reason = "the logs are made for other questions too")]

mod lookback;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chrono::DateTime;
use flyball_journal::{FileStorage, Log, ProcessFold, Recovered, Recovery, Storage};
use lookback::Dice;
use lookback::world::{World, copy};
use tempfile::TempDir;

const SEGMENT: u64 = 2_000;

fn storage(dir: &Path) -> Arc<dyn Storage> {
    Arc::new(FileStorage::open(dir).unwrap())
}

/// Resumes one copy of the log in `dir`, opens another, and holds the two against each other.
fn compare(dir: &Path, what: &str) {
    let copies = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    copies.iter().for_each(|to| copy(dir, to.path()));
    let resumed = Log::resume_storage(storage(copies[0].path()), SEGMENT);
    let opened = Log::open_storage(storage(copies[1].path()), SEGMENT);
    let ((log, resumed), (_, opened)) = match (resumed, opened) {
        (Ok(resumed), Ok(opened)) => (resumed, opened),
        (resumed, opened) => {
            let errors = (resumed.err().map(|error| error.to_string()), opened.err().map(|error| error.to_string()));
            // Their folders have different names.
            assert!(errors.0.is_some() && errors.1.is_some(), "{what}: {errors:?}");
            return;
        }
    };
    same(&log, &resumed, &opened, what);
}

fn same(log: &Log, resumed: &Recovery<Recovered>, opened: &Recovery, what: &str) {
    assert_eq!(resumed.damaged, opened.damaged, "{what}");
    assert_eq!(resumed.mended, opened.mended, "{what}");
    assert_eq!(resumed.torn, opened.torn, "{what}");
    assert_eq!((resumed.last_seq, resumed.segments), (opened.last_seq, opened.segments), "{what}");
    assert!(resumed.processes.keys().eq(opened.processes.keys()), "{what}");
    for (process, records) in &opened.processes {
        let recovered = &resumed.processes[process];
        assert!(recovered.fold == ProcessFold::of(records), "{what}: {process} is not what its records say");
        let (mut read, mut records) = (log.records_of(recovered).unwrap(), records.clone());
        // What each start wrote has its own time.
        [&mut read, &mut records].into_iter().flatten().for_each(|record| record.at = DateTime::UNIX_EPOCH);
        assert!(read == records, "{what}: {process} has other records");
    }
}

fn world(seed: u64) -> World {
    let mut world = World::new(seed);
    let mut dice = Dice::new(seed + 1_000);
    for _ in 0..3 {
        world.grow(40 + dice.below(60));
        match dice.below(4) {
            0 => drop(world.compact(8)),
            1 => world.tear(),
            2 => world.close(),
            _ => {}
        }
    }
    world.close();
    world
}

#[test]
fn it_is_what_all_the_records_come_to() {
    for seed in 0..12 {
        compare(world(seed).journal(), &format!("seed {seed}"));
    }
}

#[test]
fn where_the_log_is_damaged_or_cut_both_say_the_same() {
    for seed in 0..4 {
        let world = world(seed);
        let mut dice = Dice::new(seed);
        for trial in 0..25 {
            let dir = TempDir::new().unwrap();
            copy(world.journal(), dir.path());
            let segments = world.segments();
            let segment = dir.path().join(dice.pick(&segments).file_name().unwrap());
            let mut bytes = fs::read(&segment).unwrap();
            let at = dice.below(bytes.len());
            if dice.one_in(3) {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << dice.below(8);
            }
            fs::write(&segment, bytes).unwrap();
            compare(dir.path(), &format!("seed {seed}, trial {trial}"));
        }
    }
}
