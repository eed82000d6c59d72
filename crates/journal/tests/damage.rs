//! Damage is found at every start and harms whom it hits, and what a start builds upon is durable.

#![cfg(test)]

use std::sync::Arc;

use chrono::DateTime;
use flyball_core_agent::{Change, TriggerEvent};
use flyball_journal::{Entry, Fault, Log, MemoryStorage, ProcessFold, Recovery, Storage};
use serde_json::{Map, json};

const SEGMENT: u64 = 1500;

fn open(storage: &MemoryStorage) -> (Arc<Log>, Recovery) {
    Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens")
}

fn write(value: usize) -> Entry {
    let at = DateTime::UNIX_EPOCH;
    Entry::ContextUpdate { changes: vec![Change { key: "k".into(), value: json!(value), source: "test".into(), at }] }
}

fn event() -> Entry {
    Entry::accepted(TriggerEvent::new("t", "cron", DateTime::UNIX_EPOCH, json!({})))
}

async fn append(log: &Arc<Log>, process: &str, entries: Vec<Entry>) {
    log.process(process).append(entries).await.expect("appended");
}

async fn checkpoint(log: &Arc<Log>, process: &str) {
    let fold = Box::new(ProcessFold::of(&log.records(process).expect("read")));
    append(log, process, vec![Entry::Checkpoint { fold, layers: Map::new() }]).await;
}

/// Flips a bit in the `nth` line that contains `text`, from 0.
fn damage_line(storage: &MemoryStorage, text: &str, nth: usize) {
    let mut seen = 0;
    for name in storage.list().expect("listed") {
        let bytes = storage.read(&name).expect("read");
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let hit = line.windows(text.len()).any(|window| window == text.as_bytes());
            if hit && seen == nth {
                return storage.damage(&name, |bytes| bytes[start + 20] ^= 4);
            }
            seen += usize::from(hit);
            start += line.len();
        }
    }
    panic!("there are no {nth} lines with {text}");
}

/// `a` and `b` share the first segments; then `b` alone goes on, with checkpoints.
async fn with_an_idle_one() -> MemoryStorage {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    for number in 0..4 {
        append(&log, "a", vec![write(number)]).await;
        append(&log, "b", vec![write(number)]).await;
    }
    storage
}

async fn go_on(storage: &MemoryStorage, process: &str) {
    let (log, _) = open(storage);
    for round in 0..3 {
        for number in 0..10 {
            append(&log, process, vec![write(100 * round + number)]).await;
        }
        checkpoint(&log, process).await;
    }
}

#[tokio::test]
async fn damage_is_found_again_when_nobody_else_needs_its_segment_any_more() {
    for line in [0, 1, 3] {
        let storage = with_an_idle_one().await;
        damage_line(&storage, "\"process\":\"a\"", line);
        for life in 0..3 {
            go_on(&storage, "b").await;
            let recovery = open(&storage.fork()).1;
            assert!(recovery.damaged.contains_key("a"), "record {line}, life {life}: {:?}", recovery.processes.get("a"));
            assert!(!recovery.damaged.contains_key("b"), "record {line}, life {life}: {:?}", recovery.damaged);
            assert!(life == 0 || recovery.segments.1 < recovery.segments.0, "not all of it is read");
        }
    }
}

#[tokio::test]
async fn a_process_of_which_nothing_is_whole_is_not_taken_for_a_new_one() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    append(&log, "b", vec![write(1)]).await;
    append(&log, "a", vec![event()]).await;
    append(&log, "b", vec![write(2)]).await;
    drop(log);
    damage_line(&storage, "\"process\":\"a\"", 0);
    for life in 0..2 {
        go_on(&storage, "b").await;
        assert!(open(&storage.fork()).1.damaged.contains_key("a"), "life {life}");
    }
}

/// Puts half a line after the last one.
fn tear(storage: &MemoryStorage) {
    let last = storage.list().expect("listed").pop().expect("a segment");
    storage.damage(&last, |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != b'\n').expect("a line") + 2;
        bytes.splice(used.min(bytes.len()).., *b"{\"seq\":99,\"pro");
    });
}

#[tokio::test]
async fn a_torn_end_beside_damage_costs_nobody_more_than_the_damage() {
    let storage = with_an_idle_one().await;
    let (log, _) = open(&storage);
    append(&log, "a", vec![event()]).await;
    append(&log, "b", vec![event()]).await;
    drop(log);
    damage_line(&storage, "\"process\":\"a\"", 1);
    tear(&storage);
    let (log, first) = open(&storage);
    assert!(first.torn.is_some() && first.damaged.contains_key("a") && !first.damaged.contains_key("b"), "{first:?}");
    assert_eq!(ProcessFold::of(&first.processes["b"]).doubtful.len(), 1, "it runs, and may have lost a step");
    append(&log, "b", vec![write(7)]).await;
    drop(log);
    let again = open(&storage).1;
    assert_eq!(again.damaged.keys().collect::<Vec<_>>(), ["a"], "{:?}", again.damaged);
    assert_eq!(again.processes["b"].len(), first.processes["b"].len() + 1);
}

#[tokio::test]
async fn a_torn_end_does_not_make_a_damaged_process_whole() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    for _ in 0..3 {
        append(&log, "a", vec![event()]).await;
        append(&log, "b", vec![event()]).await;
    }
    drop(log);
    // The line that closes a segment's last batch: the next segment says that more was there.
    damage_last_commit(&storage, &storage.list().expect("listed")[0]);
    let before = open(&storage.fork()).1.damaged.into_keys().collect::<Vec<_>>();
    assert!(!before.is_empty());
    tear(&storage);
    for life in 0..3 {
        let damaged = open(&storage).1.damaged;
        assert_eq!(damaged.keys().cloned().collect::<Vec<_>>(), before, "life {life}: {damaged:?}");
    }
}

/// Flips a bit in the line that closes the last batch of a segment.
fn damage_last_commit(storage: &MemoryStorage, segment: &str) {
    let bytes = storage.read(segment).expect("read");
    let commit = b"{\"commit\"";
    let last = bytes.windows(commit.len()).rposition(|window| window == commit).expect("a commit line");
    storage.damage(segment, |bytes| bytes[last + 20] ^= 4);
}

#[tokio::test]
async fn a_torn_end_begins_in_the_last_segment_and_takes_no_trace_of_damage_before_it_away() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    while storage.list().expect("listed").len() < 2 {
        append(&log, "a", vec![event()]).await;
    }
    drop(log);
    let names = storage.list().expect("listed");
    damage_last_commit(&storage, &names[0]);
    damage_last_commit(&storage, &names[1]);
    for life in 0..3 {
        let (_, recovery) = open(&storage);
        assert!(recovery.damaged.contains_key("a"), "life {life}: {:?}", recovery.torn);
        assert_eq!(recovery.torn.is_some(), life == 0, "life {life}: {:?}", recovery.torn);
        assert!(recovery.torn.is_none_or(|torn| torn.segment == names[1]), "life {life}");
    }
}

#[tokio::test]
async fn damage_before_a_checkpoint_does_not_harm_those_who_share_its_batch() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    // One batch: what nobody waits for goes along with what is waited for.
    log.process("b").push(write(1)).expect("pushed");
    append(&log, "a", vec![write(1)]).await;
    append(&log, "b", vec![write(2)]).await;
    checkpoint(&log, "a").await;
    drop(log);
    go_on(&storage, "a").await;
    damage_line(&storage, "\"process\":\"a\"", 0);
    let recovery = open(&storage).1;
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
}

#[tokio::test]
async fn what_a_killed_process_wrote_and_did_not_sync_is_durable_before_it_is_built_upon() {
    // A batch that fills its segment to the last byte, so that no blank rest is cut off.
    let large = Entry::Note { layer: "test".into(), run: None, body: json!("x".repeat(3000)) };
    for stop in 0.. {
        let storage = MemoryStorage::default();
        storage.set_faults(&[Fault::FailFrom(stop)]);
        let (log, _) = Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("nothing is there to be read");
        let appended = log.process("a").append(vec![large.clone()]).await;
        drop(log);
        let killed = storage.fork();
        let (log, recovery) = open(&killed);
        let known = recovery.processes.get("a").map_or(0, Vec::len);
        append(&log, "a", vec![write(1)]).await;
        let after = open(&killed.power_cut(|_| false)).1;
        assert!(after.damaged.is_empty(), "operation {stop}: {:?}", after.damaged);
        assert_eq!(after.processes["a"].len(), known + 1, "operation {stop}");
        if appended.is_ok() {
            return assert!(stop > 4, "{stop} operations are too few to mean anything");
        }
    }
}

#[tokio::test]
async fn dirt_in_a_segments_blank_end_costs_the_next_segment_nothing() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    let mut number = 0;
    while storage.list().expect("listed").len() < 2 {
        append(&log, "a", vec![write(number)]).await;
        number += 1;
    }
    append(&log, "a", vec![write(number)]).await;
    log.close();
    let segments = storage.list().expect("listed");
    let first = storage.read(&segments[0]).expect("read");
    let used = first.iter().rposition(|byte| *byte != b'\n').expect("something was written") + 2;
    assert!(used + 10 < first.len(), "the first segment has a blank end");
    storage.damage(&segments[0], |bytes| bytes[used + 5] ^= 0x80);
    // The last commit, too: what it closed is torn.
    storage.damage(&segments[1], |bytes| {
        let end = bytes.iter().rposition(|byte| *byte != b'\n').expect("something was written");
        bytes[end - 3] ^= 4;
    });
    let (_, once) = open(&storage);
    assert!(once.torn.is_some() && once.damaged.is_empty(), "{once:?}");
    let (_, again) = open(&storage);
    assert!(again.torn.is_none() && again.damaged.is_empty(), "{again:?}");
    assert_eq!(again.processes["a"].len(), once.processes["a"].len(), "nothing more is lost");
    assert_eq!(again.processes["a"].len(), number, "all but the last");
}
