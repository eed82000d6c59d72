//! A torn end: what it may have cost is marked, and a damaged checkpoint costs nothing.

#![cfg(test)]

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::DateTime;
use flyball_core_agent::{Change, TriggerEvent};
use flyball_journal::{Entry, Fault, Log, MemoryStorage, ProcessFold, Recovery, Storage, audit_storage};
use serde_json::{Map, json};

const SEGMENT: u64 = 8192;

fn open(storage: &MemoryStorage) -> (Arc<Log>, Recovery) {
    Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens")
}

fn event(id: &str) -> Entry {
    let mut event = TriggerEvent::new("t", "cron", DateTime::UNIX_EPOCH, json!({}));
    event.event_id = id.to_owned();
    Entry::accepted(event)
}

fn write(value: usize) -> Entry {
    let at = DateTime::UNIX_EPOCH;
    Entry::ContextUpdate { changes: vec![Change { key: "k".into(), value: json!(value), source: "test".into(), at }] }
}

fn fold(recovery: &Recovery, process: &str) -> ProcessFold {
    ProcessFold::of(&recovery.processes[process])
}

fn last_segment(storage: &MemoryStorage) -> String {
    storage.list().expect("listed").pop().expect("a segment")
}

/// Puts `text` after the last line.
fn append_garbage(storage: &MemoryStorage, text: &str) {
    storage.damage(&last_segment(storage), |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != b'\n').expect("a line") + 2;
        bytes.truncate(used);
        bytes.extend_from_slice(text.as_bytes());
    });
}

/// `a` has an open event, `b` has none.
async fn with_an_open_event() -> MemoryStorage {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    log.process("a").append(vec![event("e1"), event("e2")]).await.expect("appended");
    log.process("b").append(vec![write(1)]).await.expect("appended");
    storage
}

#[tokio::test]
async fn open_events_are_marked_where_a_torn_end_may_have_held_a_step_of_them() {
    let storage = with_an_open_event().await;
    append_garbage(&storage, "{\"seq\":4,\"proc");
    let (log, recovery) = open(&storage);
    assert!(recovery.torn.is_some());
    assert_eq!(fold(&recovery, "a").doubtful, ["e1", "e2"].map(str::to_owned).into());
    assert!(fold(&recovery, "b").doubtful.is_empty());
    drop(log);
    let (_, again) = open(&storage);
    assert!(again.torn.is_none(), "it was cut off");
    assert_eq!(again.last_seq, recovery.last_seq, "it is marked once");
    assert_eq!(fold(&again, "a").doubtful.len(), 2, "and stays marked");
}

#[tokio::test]
async fn a_sound_end_marks_nothing() {
    let (_, recovery) = open(&with_an_open_event().await);
    assert!(recovery.torn.is_none() && fold(&recovery, "a").doubtful.is_empty());
}

#[tokio::test]
async fn cut_off_at_any_operation_the_mark_is_not_lost_with_the_torn_end() {
    for stop in 0.. {
        let storage = with_an_open_event().await;
        append_garbage(&storage, "{\"seq\":4,\"proc");
        storage.set_faults(&[Fault::FailFrom(storage.operations() + stop)]);
        let opened = Log::open_storage(Arc::new(storage.clone()), SEGMENT);
        let done = opened.is_ok();
        drop(opened);
        let unsynced = storage.unsynced().len();
        for subset in 0..1_u32 << unsynced {
            let after = storage.power_cut(|index| subset & 1 << index != 0);
            let (_, recovery) = open(&after);
            assert_eq!(fold(&recovery, "a").doubtful.len(), 2, "operation {stop}, kept {subset:b}");
            assert!(recovery.damaged.is_empty(), "operation {stop}, kept {subset:b}");
        }
        if done {
            return assert!(stop > 5, "{stop} operations are too few to mean anything");
        }
    }
}

#[tokio::test]
async fn any_pages_of_an_unsynced_batch_may_be_lost_and_nobody_is_damaged() {
    let mut cuts = 0;
    for size in [1, 4, 12] {
        let storage = MemoryStorage::with_pages(512);
        let (log, _) = Log::open_storage(Arc::new(storage.clone()), 1 << 16).expect("the log opens");
        log.process("a").append(vec![event("e1")]).await.expect("appended");
        log.process("b").append(vec![write(1)]).await.expect("appended");
        // The batch is written, and its sync fails.
        storage.set_faults(&[Fault::FailFrom(storage.operations() + 1)]);
        assert!(log.process("a").append((0..size).map(write).collect()).await.is_err());
        let unsynced = storage.unsynced().len();
        assert!(unsynced < 12, "the subsets can be counted");
        for subset in 0..1_u32 << unsynced {
            let after = storage.power_cut(|index| subset & 1 << index != 0);
            let (log, recovery) = Log::open_storage(Arc::new(after.clone()), 1 << 16).expect("the log opens");
            assert!(recovery.damaged.is_empty(), "{size} records, kept {subset:b}: {:?}", recovery.damaged);
            let fold = fold(&recovery, "a");
            assert_eq!(fold.open_events.len(), 1, "what was acknowledged is there");
            let written = fold.state_history.get("k").map_or(0, VecDeque::len);
            assert!(written == 0 || written == size, "{size} records, kept {subset:b}: all or nothing");
            assert!(written == size || subset + 1 < 1 << unsynced, "nothing was lost, and everything is there");
            assert_eq!(fold.doubtful.is_empty(), recovery.torn.is_none(), "{size} records, kept {subset:b}");
            log.process("a").append(vec![write(99)]).await.expect("the chain goes on");
            cuts += 1;
        }
    }
    assert!(cuts > 200, "{cuts} cuts are too few to mean anything");
}

async fn checkpoint(log: &Arc<Log>, process: &str) {
    let fold = ProcessFold::of(&log.records(process).expect("read"));
    let entry = Entry::Checkpoint { fold: Box::new(fold), layers: Map::new() };
    log.process(process).append(vec![entry]).await.expect("appended");
}

/// Three checkpoints of `a`, in segments of `segment` bytes.
async fn with_checkpoints(segment: u64) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let (log, _) = Log::open_storage(Arc::new(storage.clone()), segment).expect("the log opens");
    for round in 0..3 {
        for step in 0..30 {
            log.process("a").append(vec![write(100 * round + step)]).await.expect("appended");
            log.process("b").append(vec![write(step)]).await.expect("appended");
        }
        checkpoint(&log, "a").await;
    }
    log.process("a").append(vec![write(999)]).await.expect("appended");
    storage
}

/// The segment with the newest line that contains `text`, and the line's place in it.
fn newest_line(storage: &MemoryStorage, text: &str) -> (String, std::ops::Range<usize>) {
    let names = storage.list().expect("listed").into_iter().rev();
    let place = |name: String| {
        let bytes = storage.read(&name).expect("read");
        let text_at = bytes.windows(text.len()).rposition(|window| window == text.as_bytes())?;
        let start = bytes[..text_at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let end = start + bytes[start..].iter().position(|byte| *byte == b'\n')?;
        Some((name, start..end))
    };
    names.into_iter().find_map(place).expect("there is such a line")
}

#[tokio::test]
async fn a_damaged_checkpoint_costs_nothing() {
    let sound = with_checkpoints(SEGMENT).await;
    let before = open(&sound.fork()).1;
    let (name, line) = newest_line(&sound, "\"kind\":\"checkpoint\"");
    for at in line.step_by(97) {
        let storage = sound.fork();
        storage.damage(&name, |bytes| bytes[at] ^= 4);
        let (log, recovery) = open(&storage);
        assert!(recovery.damaged.is_empty(), "byte {at}: {:?}", recovery.damaged);
        assert!(recovery.mended["a"].contains("damaged"), "{:?}", recovery.mended);
        let (now, was) = (fold(&recovery, "a"), fold(&before, "a"));
        assert_eq!(now.context_state(), was.context_state());
        log.process("a").append(vec![write(1000)]).await.expect("the chain goes on");
        drop(log);
        assert_eq!(fold(&open(&storage).1, "a").context_state()["k"], json!(1000));
        assert!(!audit_storage(&storage).expect("read").damage.is_empty(), "whoever audits is told");
    }
}

#[tokio::test]
async fn damage_before_the_newest_checkpoint_in_its_own_segment_does_not_keep_a_process_from_starting() {
    let storage = with_checkpoints(1 << 18).await;
    let (name, checkpoint) = newest_line(&storage, "\"kind\":\"checkpoint\"");
    let bytes = storage.read(&name).expect("read");
    let needle = b"\"process\":\"a\",";
    let Some(before) = bytes[..checkpoint.start].windows(needle.len()).rposition(|window| window == needle) else {
        panic!("no record of it stands before the checkpoint in its segment")
    };
    storage.damage(&name, |bytes| bytes[before + 1] ^= 4);
    let recovery = open(&storage).1;
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
    assert!(recovery.mended.contains_key("a"));
    assert_eq!(fold(&recovery, "a").context_state()["k"], json!(999));
}
