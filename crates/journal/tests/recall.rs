//! An event that comes again is known within the window, however many came since: beyond a process's memory
//! by the index of keys.

#![cfg(test)]
#![cfg(feature = "index")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use flyball_core_agent::TriggerEvent;
use flyball_journal::{DEDUP_WINDOW, Entry, Journal, Log, ProcessFold, Recalled, Retention};
use serde_json::{Map, json};
use tempfile::TempDir;

/// Keys that the process remembers by itself.
const MEMORY: usize = 8;

/// Nothing here takes so long, whatever else the machine does.
const LONG: Duration = Duration::from_secs(60);

/// A process that takes events in as the runtime does.
struct Process {
    log: Arc<Log>,
    journal: Arc<dyn Journal>,
    fold: ProcessFold,
    runtime: tokio::runtime::Runtime,
}

impl Process {
    fn open(dir: &Path) -> Self {
        let (log, recovery) = Log::open(dir).unwrap();
        let records = recovery.processes.get("p").cloned().unwrap_or_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { journal: log.process("p"), log, fold: ProcessFold::remembering(MEMORY, &records), runtime }
    }

    fn append(&mut self, entry: Entry) {
        let appended = self.runtime.block_on(self.journal.append(vec![entry.clone()])).unwrap();
        self.fold.apply(appended.seq, appended.at, &entry);
    }

    /// What becomes of an event that is offered once.
    fn offer(&mut self, event: &TriggerEvent) -> Recalled {
        let recalled = self.fold.recall(event, &*self.journal);
        if recalled == Recalled::Never {
            self.append(Entry::accepted(event.clone()));
            self.append(Entry::Expired { event_id: event.event_id.clone(), why: "done".into() });
        }
        recalled
    }

    /// What becomes of an event that is offered until it is answered.
    fn offer_again(&mut self, event: &TriggerEvent) -> Recalled {
        let start = Instant::now();
        loop {
            match self.offer(event) {
                Recalled::NotYet if start.elapsed() < LONG => std::thread::sleep(Duration::from_millis(1)),
                answer => return answer,
            }
        }
    }

    fn checkpoint(&mut self) {
        let entry = Entry::Checkpoint { fold: Box::new(self.fold.clone()), layers: Map::new() };
        self.append(entry);
    }
}

fn event(number: usize) -> TriggerEvent {
    let mut event = TriggerEvent::new(if number.is_multiple_of(2) { "even" } else { "odd" }, "webhook", Utc::now(), json!({}));
    event.dedup_key = Some(format!("key {number}"));
    event
}

/// The same event as it comes a second time: under another id.
fn again(event: &TriggerEvent) -> TriggerEvent {
    TriggerEvent { event_id: format!("{} again", event.event_id), ..event.clone() }
}

fn assert_known(process: &mut Process, events: &[TriggerEvent]) {
    for event in events {
        let recalled = process.offer_again(&again(event));
        assert_eq!(recalled, Recalled::As(event.event_id.clone()), "{:?} is taken for a new one", event.dedup_key);
    }
}

fn assert_new(process: &mut Process, events: &[TriggerEvent]) {
    for event in events {
        assert_eq!(process.offer_again(event), Recalled::Never, "{:?} is taken for an old one", event.dedup_key);
    }
}

fn index(dir: &Path) -> PathBuf {
    dir.join("index/dedup")
}

/// What a kill leaves: everything as it is, in another folder.
fn killed(dir: &Path) -> TempDir {
    let left = TempDir::new().unwrap();
    copy(dir, left.path());
    left
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            fs::write(to, bytes).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { files.extend(self::files(&entry.path())) } else { files.push(entry.path()) }
    }
    files.sort();
    files
}

#[test]
fn what_was_taken_in_is_known_however_many_came_since() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let events: Vec<TriggerEvent> = (0..200).map(event).collect();
    assert_new(&mut process, &events);
    assert_known(&mut process, &events);
    let other = TriggerEvent { trigger_id: "other".into(), ..again(&events[0]) };
    assert_eq!(process.offer_again(&other), Recalled::Never, "another trigger's keys are others");
}

#[test]
fn what_the_index_has_not_reached_is_in_memory_or_answered_with_not_yet() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let mut events: Vec<TriggerEvent> = Vec::new();
    let mut known = 0;
    for number in 0..150 {
        // One after the other without a pause: the index is always a little behind.
        let new = event(number);
        assert_new(&mut process, std::slice::from_ref(&new));
        events.push(new);
        for back in [0, 1, MEMORY - 1, MEMORY, MEMORY + 1, 3 * MEMORY] {
            let Some(early) = events.len().checked_sub(back + 1).map(|at| events[at].clone()) else { continue };
            match process.offer(&again(&early)) {
                Recalled::As(id) => known += usize::from(id == early.event_id && back >= MEMORY),
                Recalled::NotYet => assert!(back >= MEMORY, "the last {MEMORY} are in memory"),
                Recalled::Never => panic!("event {number} - {back} is taken for a new one"),
            }
        }
    }
    assert!(known > 0, "the index never answered");
    assert_known(&mut process, &events);
}

#[test]
fn keys_are_known_in_every_later_life_however_the_last_one_ended() {
    let mut dir = TempDir::new().unwrap();
    let events: Vec<TriggerEvent> = (0..120).map(event).collect();
    for (life, part) in events.chunks(20).enumerate() {
        let mut process = Process::open(dir.path());
        assert_new(&mut process, part);
        assert_known(&mut process, &events[..20 * (life + 1)]);
        if life % 2 == 0 {
            process.checkpoint();
        }
        match life % 3 {
            0 => dir = killed(dir.path()),
            1 => drop(process),
            _ => {
                drop(process);
                fs::remove_dir_all(index(dir.path())).unwrap();
            }
        }
    }
    assert_known(&mut Process::open(dir.path()), &events);
}

#[test]
fn an_index_of_keys_that_is_damaged_is_made_anew() {
    let dir = TempDir::new().unwrap();
    let events: Vec<TriggerEvent> = (0..60).map(event).collect();
    assert_new(&mut Process::open(dir.path()), &events);
    for place in 0..files(&index(dir.path())).len() {
        for harm in 0..3 {
            let path = &files(&index(dir.path()))[place];
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            match harm {
                0 => bytes[middle] ^= 4,
                1 => bytes.truncate(middle),
                _ => bytes.clear(),
            }
            fs::write(path, bytes).unwrap();
            assert_known(&mut Process::open(dir.path()), &events);
        }
    }
}

#[test]
fn a_key_is_forgotten_after_the_window() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let events: Vec<TriggerEvent> = (0..40).map(event).collect();
    assert_new(&mut process, &events);
    let later = |by: TimeDelta| {
        let first = &events[0];
        TriggerEvent { timestamp: first.timestamp + by, ..again(first) }
    };
    assert_eq!(process.offer_again(&later(DEDUP_WINDOW)), Recalled::As(events[0].event_id.clone()));
    assert_eq!(process.offer_again(&later(DEDUP_WINDOW + TimeDelta::seconds(1))), Recalled::Never);
}

#[test]
fn keys_go_with_the_segments_that_the_journal_drops_and_no_earlier() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    // Large, so that they need several segments.
    let large = |number| TriggerEvent { payload: json!("x".repeat(200_000)), ..event(number) };
    let events: Vec<TriggerEvent> = (0..100).map(large).collect();
    for part in events.chunks(10) {
        assert_new(&mut process, part);
        process.checkpoint();
    }
    assert_known(&mut process, &events);
    let keep = Retention { max_bytes: Some(10 << 20), max_age: None };
    // Before the window is over a duplicate must be known, whatever the disk's share is.
    let done = process.log.compact(&keep, Utc::now() + DEDUP_WINDOW - TimeDelta::hours(1)).unwrap();
    assert_eq!((done.dropped.len(), done.kept_for), (0, vec!["p".to_owned()]));
    assert_known(&mut process, &events);
    let done = process.log.compact(&keep, Utc::now() + DEDUP_WINDOW + TimeDelta::hours(1)).unwrap();
    assert!(!done.dropped.is_empty(), "{done:?}");
    let oldest = fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok()));
    let oldest = oldest.min().unwrap();
    let records = flyball_journal::read(dir.path()).unwrap();
    let is_left = |event: &&TriggerEvent| {
        let takes_in =
            |entry: &Entry| matches!(entry, Entry::TriggerEvent { event: taken, .. } if taken.event_id == event.event_id);
        records.iter().any(|record| record.seq >= oldest && takes_in(&record.entry))
    };
    let (left, gone): (Vec<TriggerEvent>, Vec<TriggerEvent>) = events.iter().cloned().partition(|event| is_left(&event));
    assert!(gone.len() > 20 && left.len() > 20, "{} and {}", gone.len(), left.len());
    assert_known(&mut process, &left);
    assert_eq!(process.offer_again(&again(&gone[0])), Recalled::Never, "nobody knows of it any more");
}

#[test]
fn a_process_that_is_calm_again_keeps_nothing_of_the_others() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let old = |number| TriggerEvent { timestamp: Utc::now() - DEDUP_WINDOW - TimeDelta::hours(1), ..event(number) };
    let events: Vec<TriggerEvent> = (0..4 * MEMORY).map(old).collect();
    assert_new(&mut process, &events);
    let large = Entry::Note { layer: "test".into(), run: None, body: json!("x".repeat(200_000)) };
    for _ in 0..60 {
        process.append(large.clone());
        process.checkpoint();
    }
    let done = process.log.compact(&Retention { max_bytes: Some(5 << 20), max_age: None }, Utc::now()).unwrap();
    assert!(!done.dropped.is_empty(), "{done:?}");
}

#[test]
fn below_half_of_its_memory_a_process_needs_no_index() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let events: Vec<TriggerEvent> = (0..MEMORY / 2 - 1).map(event).collect();
    assert_new(&mut process, &events);
    assert_known(&mut process, &events);
    drop(process);
    assert!(!dir.path().join("index").exists());
}

#[test]
fn where_no_index_can_be_made_nothing_is_taken_for_new_and_it_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::open(dir.path());
    let events: Vec<TriggerEvent> = (0..40).map(event).collect();
    assert_new(&mut process, &events);
    drop(process);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    fs::write(dir.path().join("index"), "in the way").unwrap();
    let mut process = Process::open(dir.path());
    assert_known(&mut process, &events[events.len() - MEMORY..]);
    for _ in 0..50 {
        assert_eq!(process.offer(&again(&events[0])), Recalled::NotYet, "memory alone cannot tell");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_file(dir.path().join("index")).unwrap();
    assert_known(&mut process, &events);
}

#[test]
fn the_damage_of_one_process_costs_the_others_no_key() {
    let dir = TempDir::new().unwrap();
    let events: Vec<TriggerEvent> = (0..90).map(event).collect();
    for part in events.chunks(30) {
        let mut process = Process::open(dir.path());
        for event in part {
            assert_new(&mut process, std::slice::from_ref(event));
            let note = Entry::Note { layer: "test".into(), run: None, body: json!("somebody else") };
            process.runtime.block_on(process.log.process("other").append(vec![note])).unwrap();
        }
    }
    let segment = fs::read_dir(dir.path()).unwrap().flatten().map(|entry| entry.path());
    let segment = segment.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.windows(13).position(|bytes| bytes == b"somebody else").unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    for _ in 0..2 {
        let _ = fs::remove_dir_all(index(dir.path()));
        let (log, recovery) = Log::open(dir.path()).unwrap();
        assert_eq!(recovery.damaged.keys().collect::<Vec<_>>(), ["other"]);
        drop(log);
        let mut process = Process::open(dir.path());
        assert_known(&mut process, &events);
        let more: Vec<TriggerEvent> = (1000..1020).map(event).collect();
        let more: Vec<TriggerEvent> =
            more.into_iter().map(|event| TriggerEvent { dedup_key: Some(event.event_id.clone()), ..event }).collect();
        assert_new(&mut process, &more);
        assert_known(&mut process, &more);
    }
}
