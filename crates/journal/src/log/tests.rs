//! Behaviour of a log over memory: what comes back, what is cut, what is found to be damaged.

use std::sync::Arc;

use super::*;
use crate::{MemoryStorage, ProcessFold};
use serde_json::json;

const SEGMENT: u64 = 4096;

fn note(text: &str) -> Entry {
    Entry::Note { layer: "test".into(), run: None, body: json!(text) }
}

fn open(storage: &MemoryStorage) -> (Arc<Log>, Recovery) {
    Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens")
}

/// `count` records for each of the processes, one group each.
async fn fill(storage: &MemoryStorage, processes: &[&str], count: usize) {
    let (log, _) = open(storage);
    for index in 0..count {
        for process in processes {
            log.process(process).append(vec![note(&format!("{process} {index}"))]).await.expect("appended");
        }
    }
}

fn bodies(recovery: &Recovery, process: &str) -> Vec<String> {
    let records = recovery.processes.get(process).cloned().unwrap_or_default();
    let body = |record: &Record| match &record.entry {
        Entry::Note { body, .. } => body.as_str().unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    records.iter().map(body).collect()
}

#[tokio::test]
async fn what_was_appended_comes_back_in_order_and_numbered_without_gaps() {
    let storage = MemoryStorage::default();
    fill(&storage, &["a", "b"], 30).await;
    let (_, recovery) = open(&storage);
    assert_eq!(bodies(&recovery, "a"), (0..30).map(|i| format!("a {i}")).collect::<Vec<_>>());
    let numbers: Vec<u64> = recovery.processes["b"].iter().map(|record| record.n).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<_>>());
    assert_eq!(recovery.last_seq, 60);
    assert!(storage.list().expect("listed").len() > 2, "the log went on in further segments");
    assert!(recovery.torn.is_none() && recovery.damaged.is_empty());
}

#[tokio::test]
async fn a_pushed_entry_keeps_its_place_before_what_is_appended_later() {
    let storage = MemoryStorage::default();
    {
        let (log, _) = open(&storage);
        let journal = log.process("a");
        journal.push(note("first")).expect("pushed");
        journal.append(vec![note("second")]).await.expect("appended");
    }
    assert_eq!(bodies(&open(&storage).1, "a"), ["first", "second"]);
}

#[tokio::test]
async fn an_entry_nobody_waits_for_is_written_when_the_log_closes() {
    let storage = MemoryStorage::default();
    {
        let (log, _) = open(&storage);
        log.process("a").push(note("alone")).expect("pushed");
        log.close();
        assert!(log.process("a").push(note("late")).is_err(), "a closed log takes nothing");
    }
    assert_eq!(bodies(&open(&storage).1, "a"), ["alone"]);
}

#[tokio::test]
async fn cut_at_every_byte_the_log_opens_with_a_prefix_and_takes_what_comes_next() {
    let storage = MemoryStorage::default();
    fill(&storage, &["a"], 4).await;
    let name = storage.list().expect("listed").remove(0);
    let whole = storage.read(&name).expect("read");
    for cut in 0..whole.len() {
        let copy = storage.fork();
        copy.damage(&name, |bytes| bytes.truncate(cut));
        let kept = {
            let (log, recovery) = open(&copy);
            log.process("a").append(vec![note("next")]).await.expect("appended");
            bodies(&recovery, "a")
        };
        let (_, after) = open(&copy);
        assert!(after.torn.is_none() && after.damaged.is_empty(), "cut at {cut}: {after:?}");
        let expected: Vec<String> = (0..kept.len()).map(|i| format!("a {i}")).chain(["next".into()]).collect();
        assert_eq!(bodies(&after, "a"), expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_never_silent_and_harms_only_the_process_it_hits() {
    let storage = MemoryStorage::default();
    fill(&storage, &["a", "b"], 3).await;
    let name = storage.list().expect("listed").remove(0);
    let whole = storage.read(&name).expect("read");
    let intact = open(&storage.fork()).1;
    for at in 0..whole.len() {
        let copy = storage.fork();
        copy.damage(&name, |bytes| bytes[at] ^= 0x04);
        let (_, recovery) = open(&copy);
        let reported = recovery.torn.is_some() || !recovery.damaged.is_empty();
        for process in ["a", "b"] {
            let (now, was) = (bodies(&recovery, process), bodies(&intact, process));
            assert_eq!(now[..], was[..now.len()], "byte {at}: the rest is a prefix");
            let short = now.len() < was.len();
            assert!(!short || reported, "byte {at}: {process} lost records and nobody said so");
        }
        assert!(recovery.damaged.len() < 2, "byte {at}: {:?}", recovery.damaged);
    }
}

#[tokio::test]
async fn a_watcher_sees_records_once_they_are_durable() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    let mut watch = log.watch();
    log.process("a").append(vec![note("seen")]).await.expect("appended");
    assert_eq!(watch.try_recv().expect("a record").entry, note("seen"));
}

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, _) = Log::open(dir.path()).expect("the first opens");
    let error = Log::open(dir.path()).err().expect("the second does not").to_string();
    assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    drop(log);
    Log::open(dir.path()).expect("it is free again");
}

#[tokio::test]
async fn every_line_of_a_log_on_disk_is_json_or_blank_even_while_it_is_open() {
    let dir = tempfile::tempdir().expect("a folder");
    let (log, _) = Log::open(dir.path()).expect("the log opens");
    log.process("a").append(vec![note("x"), note("y")]).await.expect("appended");
    let segment = std::fs::read_dir(dir.path()).expect("listed").map(|e| e.expect("entry").path());
    let segment = segment.into_iter().find(|path| path.extension().is_some_and(|e| e == "jsonl")).expect("a segment");
    let text = std::fs::read_to_string(segment).expect("read");
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "the header, two records and their commit");
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
    assert_eq!(read(dir.path()).expect("read without owning").len(), 2);
}

/// The fold of everything, and of what recovery reads, which must be the same.
fn folds(storage: &MemoryStorage, process: &str) -> (ProcessFold, ProcessFold) {
    let (all, _) = recover::read::<Vec<crate::Record>>(storage, Extent::All).expect("read");
    let (needed, _) = recover::read::<Vec<crate::Record>>(storage, Extent::Needed).expect("read");
    assert!(all.damaged.is_empty() && needed.damaged.is_empty(), "{:?} {:?}", all.damaged, needed.damaged);
    (ProcessFold::of(&all.processes[process]), ProcessFold::of(&needed.processes[process]))
}

async fn checkpoint(log: &Arc<Log>, process: &str) {
    let fold = ProcessFold::of(&log.records(process).expect("read"));
    let entry = Entry::Checkpoint { fold: Box::new(fold), layers: serde_json::Map::new() };
    log.process(process).append(vec![entry]).await.expect("appended");
}

fn write(key: &str, value: usize) -> Entry {
    let at = chrono::DateTime::UNIX_EPOCH;
    let change = flyball_core_agent::Change { key: key.into(), value: json!(value), source: "test".into(), at };
    Entry::ContextUpdate { changes: vec![change] }
}

#[tokio::test]
async fn recovery_begins_at_each_processs_newest_checkpoint_and_comes_to_the_same() {
    let storage = MemoryStorage::default();
    for round in 0..6 {
        let (log, _) = open(&storage);
        for step in 0..20 {
            log.process("busy").append(vec![write("k", 100 * round + step)]).await.expect("appended");
        }
        if round == 0 {
            log.process("idle").append(vec![write("i", 7)]).await.expect("appended");
        }
        if round < 5 {
            checkpoint(&log, "busy").await;
        }
    }
    for process in ["busy", "idle"] {
        let (all, needed) = folds(&storage, process);
        assert_eq!(all.context_state(), needed.context_state());
        assert_eq!(all.entries, needed.entries, "{process}");
    }
    let (read, _) = recover::read::<Vec<crate::Record>>(&storage, Extent::Needed).expect("read");
    assert!(read.segments.1 * 2 < read.segments.0, "of {} segments {} were read", read.segments.0, read.segments.1);
    let (log, _) = open(&storage);
    log.process("idle").append(vec![write("i", 8)]).await.expect("the chain goes on where it was");
    drop(log);
    assert_eq!(folds(&storage, "idle").1.context_state()["i"], json!(8));
}

#[tokio::test]
async fn damage_in_a_segment_that_recovery_skips_is_found_by_whoever_reads_all() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    for step in 0..40 {
        log.process("a").append(vec![write("k", step)]).await.expect("appended");
    }
    checkpoint(&log, "a").await;
    for step in 0..40 {
        log.process("a").append(vec![write("k", step)]).await.expect("appended");
    }
    drop(log);
    let first = storage.list().expect("listed").remove(0);
    let text = String::from_utf8(storage.read(&first).expect("read")).expect("text");
    let in_a_record = text.find("context_update").expect("a record");
    storage.damage(&first, |bytes| bytes[in_a_record] ^= 1);
    assert!(recover::read::<Vec<crate::Record>>(&storage, Extent::Needed).expect("read").0.damaged.is_empty());
    assert!(recover::read::<Vec<crate::Record>>(&storage, Extent::All).expect("read").0.damaged.contains_key("a"));
}

#[tokio::test]
async fn a_checkpoint_carries_open_events_runs_steps_and_dedup_keys() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    let journal = log.process("a");
    let mut event = flyball_core_agent::TriggerEvent::new("t", "cron", chrono::DateTime::UNIX_EPOCH, json!({}));
    event.dedup_key = Some("slot".into());
    let run = flyball_core_agent::RunId("r".into());
    let step = flyball_core_agent::StepId::turn(0);
    let reply = flyball_core_agent::Reply::say("hello");
    let entries = vec![
        Entry::accepted(event.clone()),
        Entry::InvocationStart { run: run.clone(), event_id: event.event_id.clone(), attempt: 1, again: None },
        Entry::ModelReply { run: run.clone(), step: step.clone(), reply: reply.clone() },
        Entry::InvocationHeld { run: run.clone(), why: "waits".into() },
    ];
    journal.append(entries).await.expect("appended");
    checkpoint(&log, "a").await;
    drop(log);
    let fold = ProcessFold::of(&open(&storage).1.processes["a"]);
    assert_eq!(fold.open_events.values().collect::<Vec<_>>(), [&event]);
    assert_eq!(fold.seen(&event), Some(event.event_id.as_str()));
    let open_run = &fold.open_runs[&run];
    assert_eq!((open_run.held.as_deref(), open_run.tape.reply(&step)), (Some("waits"), Some(reply)));
}

#[tokio::test]
async fn a_record_of_a_kind_that_is_not_known_refuses_to_open() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    log.process("a").append(vec![note("x")]).await.expect("appended");
    drop(log);
    let name = storage.list().expect("listed").remove(0);
    let record = Record {
        seq: 2,
        process: "a".into(),
        n: 2,
        epoch: 1,
        at: chrono::DateTime::UNIX_EPOCH,
        entry: Entry::ContextUpdate { changes: Vec::new() },
    };
    let text = serde_json::to_string(&record).expect("written").replace("context_update", "of_the_future!");
    let body = format!("{},\"hash\":\"{}\"", text.trim_end_matches('}'), hash::Hash::GENESIS.next(text.as_bytes()));
    let sealed = format!("{body},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(body.as_bytes()));
    storage.damage(&name, |bytes| bytes.extend_from_slice(sealed.as_bytes()));
    let error = Log::open_storage(Arc::new(storage), SEGMENT).err().expect("it does not open").to_string();
    assert!(error.contains("of_the_future!") && error.contains("newer"), "{error}");
}

#[test]
fn lines_that_are_written_by_hand_are_those_that_serde_would_write() {
    let at: chrono::DateTime<chrono::Utc> = "2026-01-02T03:04:05.060708Z".parse().expect("a time");
    let entry = note("\"quoted\"");
    let record = Record { seq: 7, process: "a \"b\"\n".into(), n: 3, epoch: 1, at, entry };
    let body = serde_json::to_vec(&record.entry).expect("written");
    let at = line::timestamp(at);
    let envelope = line::Envelope { seq: record.seq, process: &record.process, n: record.n, at: &at };
    let mut out = Vec::new();
    let hash = line::write_record(&mut out, &envelope, &body, hash::Hash::GENESIS);
    let text = serde_json::to_string(&record).expect("written");
    assert!(out.starts_with(text.trim_end_matches('}').as_bytes()), "{text}");
    let read = line::Line::Record { record: Box::new(record), hash };
    assert_eq!(line::read(out.trim_ascii_end()), Ok(read));

    let closing = line::Closing { first: 7, last: 7, before: 5, restates: Some("a \"b\"\n") };
    let (start, heads) = (out.len(), [("a \"b\"\n", hash), ("c", hash::Hash::GENESIS)]);
    line::write_commit(&mut out, &closing, heads.into_iter());
    let commit = line::Commit {
        first: 7,
        last: 7,
        before: 5,
        sum: crc32c::crc32c(&out[..start]),
        heads: heads.into_iter().map(|(process, hash)| (process.to_owned(), hash)).collect(),
        restates: Some("a \"b\"\n".into()),
    };
    let text = serde_json::to_string(&json!({ "commit": commit })).expect("written");
    assert_eq!(line::read(out[start..].trim_ascii_end()), Ok(line::Line::Commit(commit)), "{text}");
}

/// JSON with lists `levels` deep.
fn nested(levels: usize) -> serde_json::Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn what_is_nested_too_deep_to_be_read_back_is_refused_and_leaves_no_line() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    let deep = |levels| Entry::Note { layer: "test".into(), run: None, body: nested(levels) };
    for levels in [request::MAX_ENTRY_LEVELS, 300] {
        let error = log.process("a").append(vec![deep(levels)]).await.expect_err("refused");
        assert!(matches!(error, Error::TooDeep { .. }), "{error}");
        assert!(log.process("a").push(deep(levels)).is_err());
    }
    log.process("a").append(vec![deep(request::MAX_ENTRY_LEVELS - 1), note(&"[{".repeat(500))]).await.expect("taken");
    drop(log);
    assert_eq!(open(&storage).1.processes["a"].len(), 2);
}

#[test]
fn a_log_that_holds_what_an_older_version_let_in_is_read_as_a_whole() {
    let storage = MemoryStorage::default();
    let at = line::timestamp(chrono::DateTime::UNIX_EPOCH);
    let mut lines = Vec::new();
    let entry = Entry::Note { layer: "test".into(), run: None, body: nested(250) };
    let body = serde_json::to_vec(&entry).expect("written");
    let envelope = line::Envelope { seq: 1, process: "a", n: 1, at: &at };
    let hash = line::write_record(&mut lines, &envelope, &body, hash::Hash::GENESIS);
    let closing = line::Closing { first: 1, last: 1, before: 1, restates: None };
    line::write_commit(&mut lines, &closing, std::iter::once(("a", hash)));
    let header = line::write_header(&line::Header { first: 1, ..Default::default() }).expect("written");
    crate::storage::put(&storage, "00000000000000000001.jsonl", &[header, lines].concat()).expect("written");
    let (_, recovery) = open(&storage.fork());
    assert!(recovery.damaged.is_empty() && recovery.torn.is_none(), "{recovery:?}");
    assert_eq!(recovery.processes["a"][0].entry, entry);
    let (_, resumed) = Log::resume_storage(Arc::new(storage), SEGMENT).expect("it opens");
    assert_eq!(resumed.processes["a"].fold.entries, 1);
}
