//! What is dropped, what is kept, and that nothing changes for those who go on.

use std::sync::Arc;

use chrono::TimeDelta;
use flyball_core_agent::{Change, TriggerEvent};
use serde_json::json;

use super::*;
use crate::storage::Storage;
use crate::{Fault, MemoryStorage, ProcessFold, Recovery};

/// Short, so that a few records need several segments.
const SEGMENT: u64 = 1500;

fn open(storage: &MemoryStorage) -> (Arc<Log>, Recovery) {
    Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens")
}

fn write(value: usize) -> Entry {
    let at = DateTime::UNIX_EPOCH;
    Entry::ContextUpdate { changes: vec![Change { key: "k".into(), value: json!(value), source: "test".into(), at }] }
}

fn event(id: &str) -> Entry {
    let mut event = TriggerEvent::new("t", "cron", DateTime::UNIX_EPOCH, json!({}));
    event.event_id = id.to_owned();
    Entry::accepted(event)
}

fn fold(storage: &MemoryStorage, process: &str) -> ProcessFold {
    let (recovery, _) = recover::read::<Vec<crate::Record>>(storage, Extent::Needed).expect("read");
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
    ProcessFold::of(&recovery.processes[process])
}

/// An idle process with an open event, and a busy one that writes `rounds` times 20 records with a checkpoint each.
async fn written(rounds: usize) -> (MemoryStorage, Arc<Log>) {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    log.process("idle").append(vec![event("open"), write(7)]).await.expect("appended");
    for round in 0..rounds {
        work(&log, round).await;
    }
    (storage, log)
}

async fn work(log: &Arc<Log>, round: usize) {
    for step in 0..20 {
        log.process("busy").append(vec![write(100 * round + step)]).await.expect("appended");
    }
    let fold = ProcessFold::of(&log.records("busy").expect("read"));
    let entry = Entry::Checkpoint { fold: Box::new(fold), layers: serde_json::Map::new() };
    log.process("busy").append(vec![entry]).await.expect("appended");
}

const SMALL: Retention = Retention { max_bytes: Some(3 * SEGMENT), max_age: None };

#[tokio::test]
async fn a_log_that_looks_no_keys_up_keeps_nothing_for_them() {
    let (_storage, log) = written(6).await;
    log.process("busy").rely_on_recall(Utc::now() + TimeDelta::days(3));
    let done = log.compact(&SMALL, Utc::now()).expect("compacted");
    assert!(!done.dropped.is_empty(), "{done:?}");
}

#[tokio::test]
async fn what_is_dropped_costs_nobody_anything() {
    let (storage, log) = written(6).await;
    let before = ["busy", "idle"].map(|process| fold(&storage, process));
    let segments = storage.list().expect("listed").len();
    let done = log.compact(&SMALL, Utc::now()).expect("compacted");
    assert!(done.dropped.len() * 2 > segments, "{done:?} of {segments}");
    assert!(done.carried.contains(&"idle".to_owned()), "the idle one's records were in the oldest segment");
    assert_eq!(["busy", "idle"].map(|process| fold(&storage, process)), before);
    log.process("idle").append(vec![write(8)]).await.expect("its chain goes on");
    drop(log);
    let (_, recovery) = open(&storage);
    assert!(recovery.damaged.is_empty() && recovery.torn.is_none(), "{recovery:?}");
    assert_eq!(fold(&storage, "idle").context_state()["k"], json!(8));
    let audit = crate::audit_storage(&storage).expect("read");
    assert_eq!(audit.damage, Vec::new());
    assert!(audit.processes.values().all(|process| process.refuses.is_none()), "{audit:?}");
}

#[tokio::test]
async fn compacted_again_and_again_a_log_stays_small_and_what_it_holds_the_same() {
    let (storage, log) = written(2).await;
    for round in 2..12 {
        work(&log, round).await;
        log.compact(&SMALL, Utc::now()).expect("compacted");
        let sizes = storage.list().expect("listed").iter().map(|name| storage.len(name).expect("sized")).sum::<u64>();
        assert!(sizes < 20 * SEGMENT, "round {round}: {sizes} bytes");
        let idle = fold(&storage, "idle");
        assert_eq!((idle.entries, idle.open_events.len()), (2, 1), "round {round}");
        assert_eq!(fold(&storage, "busy").context_state()["k"], json!(100 * round + 19));
    }
}

#[tokio::test]
async fn what_is_young_or_small_enough_is_kept() {
    let (storage, log) = written(4).await;
    let segments = storage.list().expect("listed");
    for keep in [
        Retention { max_bytes: None, max_age: None },
        Retention { max_bytes: Some(1 << 30), max_age: Some(Duration::from_secs(60)) },
    ] {
        assert_eq!(log.compact(&keep, Utc::now()).expect("compacted"), Compacted::default());
    }
    let by_age = Retention { max_bytes: None, max_age: Some(Duration::from_secs(60)) };
    let done = log.compact(&by_age, Utc::now() + TimeDelta::minutes(2)).expect("compacted");
    assert!(done.dropped.len() > 3 && done.dropped[0] == segments[0], "{done:?}");
}

#[tokio::test]
async fn a_process_whose_checkpoint_is_not_old_enough_keeps_what_it_needs() {
    let (storage, log) = written(1).await;
    for step in 0..40 {
        log.process("busy").append(vec![write(step)]).await.expect("appended");
    }
    let busy = ["busy", "idle"].map(|process| fold(&storage, process));
    let done = log.compact(&Retention { max_bytes: Some(0), max_age: None }, Utc::now()).expect("compacted");
    assert!(!done.dropped.is_empty(), "both were carried on: {done:?}");
    assert_eq!(["busy", "idle"].map(|process| fold(&storage, process)), busy);
}

#[tokio::test]
async fn cut_off_at_any_operation_a_compaction_leaves_a_log_that_holds_the_same() {
    let (sound, log) = written(4).await;
    drop(log);
    let before = ["busy", "idle"].map(|process| fold(&sound, process));
    let mut cuts = 0;
    for stop in 0.. {
        let storage = sound.fork();
        let (log, _) = open(&storage);
        let start = storage.operations();
        storage.set_faults(&[Fault::FailFrom(start + stop)]);
        let result = log.compact(&SMALL, Utc::now());
        let unsynced = storage.unsynced().len();
        assert!(unsynced < 12, "the subsets can be counted");
        for subset in 0..1_u32 << unsynced {
            let after = storage.power_cut(|index| subset & 1 << index != 0);
            let (log, recovery) = open(&after);
            assert!(recovery.damaged.is_empty(), "operation {stop}, kept {subset:b}: {:?}", recovery.damaged);
            let mut after_cut = ["busy", "idle"].map(|process| fold(&after, process));
            // A torn end leaves a mark in the records, and nothing else is different.
            for (fold, before) in after_cut.iter_mut().zip(&before) {
                (fold.entries, fold.doubtful) = (before.entries, before.doubtful.clone());
            }
            assert_eq!(after_cut, before, "operation {stop}, kept {subset:b}");
            log.compact(&SMALL, Utc::now()).expect("it is done again");
            cuts += 1;
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(cuts > 30, "{cuts} cuts are too few to mean anything");
}

#[tokio::test]
async fn on_a_full_disk_what_nobody_needs_is_dropped_and_makes_room() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    for round in 0..3 {
        work(&log, round).await;
    }
    // It would have to be carried on, for which there is no room.
    log.process("idle").append(vec![event("open"), write(7)]).await.expect("appended");
    for round in 3..6 {
        work(&log, round).await;
    }
    let before = ["busy", "idle"].map(|process| fold(&storage, process));
    storage.set_faults(&[Fault::Full]);
    let done = log.compact(&SMALL, Utc::now()).expect("compacted");
    assert!(!done.dropped.is_empty() && done.kept_for.contains(&"idle".to_owned()), "{done:?}");
    storage.set_faults(&[]);
    assert_eq!(["busy", "idle"].map(|process| fold(&storage, process)), before);
}
