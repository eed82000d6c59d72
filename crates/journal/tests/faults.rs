//! What a log promises when the disk does not: acknowledged is kept, and nothing is made up.

#![cfg(test)]

use std::sync::Arc;

use flyball_journal::{Entry, Error, Fault, Log, MemoryStorage, Recovery};
use futures::FutureExt;
use serde_json::json;

/// Small enough that a few records need several segments.
const SEGMENT: u64 = 600;

fn note(number: usize) -> Entry {
    Entry::Note { layer: "test".into(), run: None, body: json!(number) }
}

fn open(storage: &MemoryStorage) -> Result<(Arc<Log>, Recovery), Error> {
    Log::open_storage(Arc::new(storage.clone()), SEGMENT)
}

fn numbers(recovery: &Recovery) -> Vec<u64> {
    let records = recovery.processes.get("p").cloned().unwrap_or_default();
    let number = |entry: Entry| match entry {
        Entry::Note { body, .. } => body.as_u64().expect("a number"),
        other => panic!("nobody wrote {other:?}"),
    };
    records.into_iter().map(|record| number(record.entry)).collect()
}

/// Appends 0, 1, 2 … until one fails or there are `count`; returns how many were acknowledged.
async fn append(storage: &MemoryStorage, count: usize) -> (usize, Option<Error>) {
    let log = match open(storage) {
        Ok((log, _)) => log,
        Err(error) => return (0, Some(error)),
    };
    let journal = log.process("p");
    for number in 0..count {
        if let Err(error) = journal.append(vec![note(number)]).await {
            return (number, Some(error));
        }
    }
    (count, None)
}

/// After anything: what was acknowledged is there, at most one more, and the log goes on.
async fn assert_sound(storage: &MemoryStorage, acknowledged: usize, what: &str) {
    let (log, recovery) = open(storage).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = numbers(&recovery);
    assert!(found.len() >= acknowledged, "{what}: {acknowledged} were acknowledged, {found:?} are there");
    assert!(found.len() <= acknowledged + 1, "{what}: {found:?} of {acknowledged}");
    assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>(), "{what}");
    assert!(recovery.damaged.is_empty(), "{what}: {:?}", recovery.damaged);
    log.process("p").append(vec![note(found.len())]).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(log);
    let after = open(storage).unwrap_or_else(|error| panic!("{what}: {error}")).1;
    assert_eq!(numbers(&after).len(), found.len() + 1, "{what}: the next append is readable");
    assert!(after.torn.is_none(), "{what}");
}

#[tokio::test]
async fn a_power_cut_at_any_operation_with_any_part_of_what_was_not_synced_loses_nothing_acknowledged() {
    let mut cuts = 0;
    for stop in 0.. {
        let storage = MemoryStorage::default();
        storage.set_faults(&[Fault::FailFrom(stop)]);
        let (acknowledged, error) = append(&storage, 4).await;
        let unsynced = storage.unsynced().len();
        assert!(unsynced < 16, "the subsets can be counted");
        for subset in 0..1_u32 << unsynced {
            let after = storage.power_cut(|index| subset & 1 << index != 0);
            assert_sound(&after, acknowledged, &format!("cut at operation {stop}, kept {subset:b}")).await;
            cuts += 1;
        }
        if error.is_none() {
            break;
        }
    }
    assert!(cuts > 50, "{cuts} cuts are too few to mean anything");
}

#[tokio::test]
async fn an_operation_that_fails_or_tears_fails_closed_and_a_new_life_goes_on() {
    for stop in 0.. {
        for fault in [Fault::FailOperation(stop), Fault::TearOperation(stop)] {
            let storage = MemoryStorage::default();
            storage.set_faults(&[fault]);
            let (acknowledged, error) = append(&storage, 4).await;
            if storage.operations() <= stop {
                assert!(error.is_none());
                return;
            }
            assert_sound(&storage.fork(), acknowledged, &format!("{fault:?}")).await;
        }
    }
}

#[tokio::test]
async fn after_a_failed_sync_nothing_more_is_accepted_in_this_life() {
    let storage = MemoryStorage::default();
    let (log, _) = Log::open_storage(Arc::new(storage.clone()), 100 * SEGMENT).expect("the log opens");
    let journal = log.process("p");
    journal.append(vec![note(0)]).await.expect("appended");
    // There is room in the segment: a write, then the sync.
    storage.set_faults(&[Fault::FailOperation(storage.operations() + 1)]);
    assert!(matches!(journal.append(vec![note(1)]).await, Err(Error::Io { action: "syncing", .. })));
    let why = log.failed().await;
    assert!(matches!(why, Error::Io { action: "syncing", .. }), "whoever asks is told: {why}");
    let refused = journal.append(vec![note(2)]).await.expect_err("the writer has ended");
    assert!(matches!(refused, Error::Closed(_)), "{refused}");
    assert!(refused.to_string().contains("simulated failure"), "it says why: {refused}");
}

#[tokio::test]
async fn a_sync_that_finds_no_room_fails_closed_like_any_other() {
    let storage = MemoryStorage::default();
    let (log, _) = Log::open_storage(Arc::new(storage.clone()), 100 * SEGMENT).expect("the log opens");
    let journal = log.process("p");
    journal.append(vec![note(0)]).await.expect("appended");
    storage.set_faults(&[Fault::NoRoom(storage.operations() + 1)]);
    let big = Entry::Note { layer: "test".into(), run: None, body: json!("x".repeat(5000)) };
    assert!(matches!(journal.append(vec![big]).await, Err(Error::Io { action: "syncing", .. })));
    assert!(matches!(log.failed().await, Error::Io { action: "syncing", .. }));
    assert!(matches!(journal.append(vec![note(1)]).await, Err(Error::Closed(_))));
}

/// Numbers that look random, and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Appends records of all sizes to a disk that now and then has no room in the midst of a write or of a
/// sync. Says what was acknowledged, and how many were tried.
async fn append_without_room(storage: &MemoryStorage, segment: u64, dice: &mut Dice) -> (Vec<u64>, usize) {
    let (log, _) = Log::open_storage(Arc::new(storage.clone()), segment).expect("the log opens");
    let (journal, mut acknowledged) = (log.process("p"), Vec::new());
    for number in 0..12 {
        let operation = storage.operations() + dice.below(4);
        let fault = match dice.below(3) {
            0 => Some(Fault::NoRoom(operation)),
            1 => Some(Fault::NoRoomAfter(operation, usize::try_from(dice.below(1500)).expect("it is small"))),
            _ => None,
        };
        storage.set_faults(fault.as_slice());
        let padding = if dice.below(2) == 0 { String::new() } else { "x".repeat(dice.below(1200) as usize) };
        let layer = format!("test{padding}");
        match journal.append(vec![Entry::Note { layer, run: None, body: json!(number) }]).await {
            Ok(_) => acknowledged.push(number),
            Err(Error::Full { .. } | Error::Io { .. } | Error::Closed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (acknowledged, 12)
}

#[tokio::test]
async fn no_room_at_any_point_of_a_write_or_a_sync_loses_and_damages_nothing() {
    let mut kept = 0;
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let storage = if seed % 2 == 0 { MemoryStorage::default() } else { MemoryStorage::with_pages(64) };
        let segment = [600, 3000, 20_000][dice.below(3) as usize];
        let (acknowledged, tried) = append_without_room(&storage, segment, &mut dice).await;
        let after = if seed % 3 == 0 { storage.fork() } else { storage.power_cut(|_| dice.below(2) == 0) };
        let (log, recovery) = Log::open_storage(Arc::new(after.clone()), segment).expect("the log opens");
        assert!(recovery.damaged.is_empty(), "seed {seed}: {:?}", recovery.damaged);
        let found = numbers(&recovery);
        // What was refused last may be there all the same: nobody was told either way.
        assert!(
            found.starts_with(&acknowledged),
            "seed {seed}: {acknowledged:?} of {tried} were acknowledged, there are {found:?}"
        );
        assert!(found.len() <= acknowledged.len() + 1, "seed {seed}: {acknowledged:?} were acknowledged, there are {found:?}");
        kept += acknowledged.len();
        log.process("p").append(vec![note(99)]).await.expect("it goes on");
        drop(log);
        let again = open(&after).expect("it opens").1;
        assert!(again.damaged.is_empty() && again.torn.is_none(), "seed {seed}: {again:?}");
        assert_eq!(numbers(&again).len(), found.len() + 1, "seed {seed}");
    }
    assert!(kept > 1000, "{kept} acknowledged records are too few to mean anything");
}

#[tokio::test]
async fn a_full_disk_accepts_nothing_and_work_goes_on_by_itself_when_there_is_room() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage).expect("the log opens");
    let journal = log.process("p");
    storage.set_faults(&[Fault::Capacity(2 * SEGMENT)]);
    let mut accepted = 0;
    let full = loop {
        match journal.append(vec![note(accepted)]).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the disk never filled");
    };
    assert!(matches!(full, Error::Full { .. }), "{full}");
    assert!(log.failed().now_or_never().is_none(), "a disk that is full is no failure");
    storage.set_faults(&[]);
    journal.append(vec![note(accepted)]).await.expect("there is room again");
    log.close();
    assert!(log.failed().now_or_never().is_none(), "nor is the end");
    drop(log);
    let recovery = open(&storage.fork()).expect("the log opens").1;
    assert_eq!(numbers(&recovery).len(), accepted + 1);
}

#[tokio::test]
async fn what_was_pushed_while_the_disk_was_full_comes_before_what_is_appended_later() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage).expect("the log opens");
    let journal = log.process("p");
    journal.append(vec![note(0)]).await.expect("appended");
    storage.set_faults(&[Fault::Capacity(0)]);
    journal.push(note(1)).expect("pushed");
    let refused = journal
        .append(vec![Entry::ContextUpdate {
            changes: vec![flyball_core_agent::Change {
                key: "k".into(),
                value: serde_json::json!("x".repeat(200_000)),
                source: "t".into(),
                at: chrono::Utc::now(),
            }],
        }])
        .await;
    assert!(refused.is_err());
    storage.set_faults(&[]);
    journal.append(vec![note(2)]).await.expect("there is room again");
    drop(log);
    assert_eq!(numbers(&open(&storage.fork()).expect("the log opens").1), [0, 1, 2]);
}
