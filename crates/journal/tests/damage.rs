//! Damage is found at every start and harms whom it hits, and what a start builds upon is durable.

#![cfg(test)]

use std::ops::Range;
use std::sync::Arc;

use chrono::DateTime;
use flyball_core_agent::{Change, TriggerEvent};
use flyball_journal::{Entry, Fault, Log, MemoryStorage, ProcessFold, Record, Recovery, Storage, raw_records};
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
    storage.damage(&last_segment(storage), |bytes| {
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
async fn damage_that_a_torn_line_gives_away_is_found_again_though_nothing_was_written_meanwhile() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    append(&log, "a", vec![event()]).await;
    append(&log, "a", vec![write(7)]).await;
    drop(log);
    // As if the record's second half had never been written; but the next batch was begun, so it had been synced.
    let name = last_segment(&storage);
    let line = line_of(&storage, &name, "\"seq\":2", 0);
    storage.damage(&name, |bytes| bytes[line.start + line.len() / 2..line.end].fill(b'\n'));
    let torn_alone = open(&storage.fork()).1;
    assert!(torn_alone.torn.is_some() && torn_alone.damaged.is_empty(), "{torn_alone:?}");
    tear(&storage);
    for life in 0..3 {
        let (_, recovery) = open(&storage);
        assert!(recovery.damaged.contains_key("a"), "life {life}: {recovery:?}");
    }
    go_on(&storage, "b").await;
    assert_eq!(open(&storage).1.damaged.keys().collect::<Vec<_>>(), ["a"]);
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

/// Where the `nth` line that contains `text` begins in the segment, from 0, and how long it is.
fn line_of(storage: &MemoryStorage, segment: &str, text: &str, nth: usize) -> Range<usize> {
    let bytes = storage.read(segment).expect("read");
    let mut end = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| {
        end += line.len();
        (end - line.len()..end, line)
    });
    let mut hits = lines.filter(|(_, line)| line.windows(text.len()).any(|window| window == text.as_bytes()));
    hits.nth(nth).expect("there is such a line").0
}

fn last_segment(storage: &MemoryStorage) -> String {
    storage.list().expect("listed").pop().expect("a segment")
}

fn open_wide(storage: &MemoryStorage) -> Arc<Log> {
    Log::open_storage(Arc::new(storage.clone()), 1 << 16).expect("the log opens").0
}

#[tokio::test]
async fn a_hole_that_takes_the_lines_of_batches_before_with_it_is_damage_and_no_torn_end() {
    for blank in [b'\n', 0] {
        let storage = MemoryStorage::default();
        let log = open_wide(&storage);
        append(&log, "a", vec![write(1)]).await;
        append(&log, "a", vec![event()]).await;
        append(&log, "b", vec![write(2)]).await;
        append(&log, "b", vec![write(3)]).await;
        drop(log);
        let name = last_segment(&storage);
        let from = line_of(&storage, &name, "\"seq\":2", 0).start;
        let last = line_of(&storage, &name, "\"seq\":4", 0);
        storage.damage(&name, |bytes| bytes[from..last.start + last.len() / 2].fill(blank));
        for life in 0..3 {
            let (_, recovery) = open(&storage);
            assert!(recovery.damaged.contains_key("a"), "life {life}: {recovery:?}");
            assert_eq!(recovery.torn, None, "life {life}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_that_is_lost_with_the_record_before_it_hides_nothing() {
    for blank in [b'\n', 0] {
        let storage = MemoryStorage::default();
        let log = open_wide(&storage);
        append(&log, "a", vec![write(1)]).await;
        append(&log, "a", vec![event()]).await;
        checkpoint(&log, "a").await;
        append(&log, "b", vec![write(2)]).await;
        drop(log);
        let name = last_segment(&storage);
        let from = line_of(&storage, &name, "\"seq\":2", 0).start;
        let last = line_of(&storage, &name, "\"seq\":3", 0);
        storage.damage(&name, |bytes| bytes[from..last.start + last.len() / 2].fill(blank));
        for life in 0..3 {
            let recovery = open(&storage.fork()).1;
            assert!(recovery.damaged.contains_key("a"), "life {life}: {recovery:?}");
            go_on(&storage, "b").await;
        }
    }
}

#[tokio::test]
async fn a_loss_that_no_line_lays_at_a_door_is_found_at_every_start() {
    let storage = MemoryStorage::default();
    let log = open_wide(&storage);
    append(&log, "a", vec![write(1)]).await;
    append(&log, "b", vec![write(2)]).await;
    drop(log);
    // In a segment of its own: nobody needs it for what `b` is.
    let log = open_wide(&storage);
    append(&log, "b", vec![write(3)]).await;
    append(&log, "a", vec![event()]).await;
    append(&log, "b", vec![write(4)]).await;
    append(&log, "b", vec![write(5)]).await;
    append(&log, "b", vec![write(6)]).await;
    checkpoint(&log, "b").await;
    drop(log);
    let name = last_segment(&storage);
    let (from, to) = (line_of(&storage, &name, "\"seq\":4", 0).start, line_of(&storage, &name, "\"seq\":6", 0).start);
    storage.damage(&name, |bytes| bytes[from..to].fill(0));
    for life in 0..4 {
        let recovery = open(&storage.fork()).1;
        assert_eq!(recovery.damaged.keys().collect::<Vec<_>>(), ["a"], "life {life}: {:?}", recovery.damaged);
        go_on(&storage, "b").await;
    }
}

#[tokio::test]
async fn a_damaged_line_before_a_whole_checkpoint_keeps_nobody_from_going_on() {
    // The line that closes the batch before; its record too; the header of a segment that begins with the checkpoint.
    let cases: [(bool, &[(&str, usize)]); 3] =
        [(false, &[("\"commit\"", 2)]), (false, &[("\"commit\"", 2), ("\"seq\":3", 0)]), (true, &[("\"segment\"", 0)])];
    for (anew, lines) in cases {
        let storage = MemoryStorage::default();
        let log = open_wide(&storage);
        append(&log, "b", vec![write(0)]).await;
        append(&log, "a", vec![write(1)]).await;
        append(&log, "a", vec![event()]).await;
        let log = if anew {
            drop(log);
            open_wide(&storage)
        } else {
            log
        };
        checkpoint(&log, "a").await;
        drop(log);
        let name = last_segment(&storage);
        for (text, nth) in lines {
            let at = line_of(&storage, &name, text, *nth).start;
            storage.damage(&name, |bytes| bytes[at + 20] ^= 4);
        }
        for life in 0..3 {
            let (log, recovery) = open(&storage);
            assert!(recovery.damaged.is_empty(), "{lines:?}, life {life}: {:?}", recovery.damaged);
            assert_eq!(ProcessFold::of(&recovery.processes["a"]).open_events.len(), 1 + life, "{lines:?}, life {life}");
            append(&log, "a", vec![event()]).await;
            append(&log, "b", vec![write(9)]).await;
        }
    }
}

#[tokio::test]
async fn what_a_failed_sync_left_in_memory_is_written_again_before_anything_is_built_upon_it() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    append(&log, "a", vec![write(1)]).await;
    // The batch is one write and one sync.
    storage.set_faults(&[Fault::ForgetSync(storage.operations() + 1)]);
    log.process("a").append(vec![event()]).await.expect_err("it was not synced");
    drop(log);
    storage.set_faults(&[]);
    let (log, recovery) = open(&storage);
    assert_eq!(recovery.processes["a"].len(), 2, "it is read, though the disk does not have it");
    append(&log, "a", vec![write(2)]).await;
    let (_, recovery) = open(&storage.power_cut(|_| false));
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
    assert_eq!(recovery.processes["a"].len(), 3);
}

/// A torn line that stays because it gives damage away has the numbers of what is written after it.
#[tokio::test]
async fn a_torn_line_that_stays_is_told_to_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || Log::open(dir.path()).expect("the log opens");
    let (log, _) = open();
    append(&log, "a", vec![event()]).await;
    append(&log, "a", vec![write(7)]).await;
    append(&log, "b", vec![event()]).await;
    drop(log);
    let file = dir.path().join("00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).expect("read");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let hollow = |line: &str| line.split_at(line.len() / 2).0.to_owned() + &"\n".repeat(line.len() - line.len() / 2);
    // The second batch's record is half blank, and the third one's commit was never written.
    let kept: String = lines[..3].iter().map(|line| (*line).to_owned()).chain([hollow(lines[3])]).collect();
    std::fs::write(&file, kept + lines[4] + lines[5]).expect("written");
    let (log, recovery) = open();
    assert!(recovery.torn.is_some_and(|torn| torn.stays) && recovery.damaged.contains_key("a"), "{:?}", recovery.damaged);
    append(&log, "c", vec![event()]).await;
    drop(log);
    let mut told = Vec::new();
    let take = |record: &Record, _: &str| -> Result<(), ()> {
        told.push((record.seq, record.process.clone()));
        Ok(())
    };
    raw_records(dir.path(), take).expect("read").expect("taken");
    assert_eq!(told, [(1, "a".to_owned()), (3, "c".to_owned())]);
    assert!(open().1.damaged.contains_key("a"));
}

#[tokio::test]
async fn a_note_of_what_a_torn_end_cost_that_cannot_be_read_is_taken_for_the_worst_once() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    append(&log, "a", vec![event()]).await;
    append(&log, "b", vec![write(1)]).await;
    drop(log);
    storage.create("lost-tail.json").expect("made").write_at(0, b"{\"why\":").expect("written");
    for life in 0..2 {
        let (_, recovery) = open(&storage);
        let marks = |process: &str| {
            recovery.processes[process].iter().filter(|record| matches!(record.entry, Entry::TailLost { .. })).count()
        };
        assert_eq!((marks("a"), marks("b")), (1, 0), "life {life}");
        assert_eq!(ProcessFold::of(&recovery.processes["a"]).doubtful.len(), 1, "life {life}");
    }
}
