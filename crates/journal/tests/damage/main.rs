//! Damage is found at every start and harms whom it hits, and what a start builds upon is durable.

#![cfg(test)]

mod durable;
mod lines;
mod torn;

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

/// Puts half a line after the last one.
fn tear(storage: &MemoryStorage) {
    storage.damage(&last_segment(storage), |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != b'\n').expect("a line") + 2;
        bytes.splice(used.min(bytes.len()).., *b"{\"seq\":99,\"pro");
    });
}

/// Flips a bit in the line that closes the last batch of a segment.
fn damage_last_commit(storage: &MemoryStorage, segment: &str) {
    let bytes = storage.read(segment).expect("read");
    let commit = b"{\"commit\"";
    let last = bytes.windows(commit.len()).rposition(|window| window == commit).expect("a commit line");
    storage.damage(segment, |bytes| bytes[last + 20] ^= 4);
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
