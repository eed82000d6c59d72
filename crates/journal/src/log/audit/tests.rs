//! What an audit finds: everything, and nothing where nothing is wrong.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::log::Log;
use crate::{Entry, MemoryStorage};

/// Short, so that a few records need several segments.
const SEGMENT: u64 = 2048;

/// Two lives of a log of two processes, with a checkpoint.
async fn written() -> MemoryStorage {
    let storage = MemoryStorage::default();
    for life in 0..2 {
        let (log, _) = Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens");
        for round in 0..4 {
            for process in ["a", "b"] {
                let note = Entry::Note { layer: "test".into(), run: None, body: json!([life, round]) };
                log.process(process).append(vec![note.clone(), note]).await.expect("appended");
            }
        }
        let layers = serde_json::Map::new();
        log.process("a").append(vec![Entry::Checkpoint { fold: Box::default(), layers }]).await.expect("appended");
    }
    storage
}

/// The place of the first line that contains `text`, in bytes.
fn line_with(bytes: &[u8], text: &str) -> std::ops::Range<usize> {
    let scanned = scan(bytes.to_vec(), Depth::Whole);
    let contains = |range: &std::ops::Range<usize>| String::from_utf8_lossy(&bytes[range.clone()]).contains(text);
    let range = scanned.lines.into_iter().map(|line| line.range).find(contains).expect("there is such a line");
    range.start..range.end + 1
}

#[tokio::test]
async fn a_sound_log_has_no_damage_and_is_counted() {
    let audit = audit_storage(&written().await).expect("read");
    assert_eq!((audit.damage.clone(), audit.torn.clone(), audit.refused.clone()), (Vec::new(), None, None));
    assert!(audit.segments > 3, "{audit:?}");
    assert_eq!((audit.records, audit.last_seq, audit.commits), (34, 34, 18));
    let expected = ProcessAudit { records: 18, first: 1, last: 18, checkpoints: 2, refuses: None };
    assert_eq!(audit.processes["a"], expected);
    assert_eq!(audit.processes["b"].last, 16);
}

#[tokio::test]
async fn a_bit_flipped_anywhere_is_found() {
    let sound = written().await;
    for name in sound.list().expect("listed") {
        // Every thirteenth, which over the segments comes to all parts of all kinds of lines.
        for at in (0..sound.read(&name).expect("read").len()).step_by(13) {
            let storage = written_again(&sound);
            storage.damage(&name, |bytes| bytes[at] ^= 4);
            let audit = audit_storage(&storage).expect("read");
            assert!(!audit.damage.is_empty() || audit.torn.is_some(), "byte {at} of {name}");
        }
    }
}

/// A copy that may be spoiled.
fn written_again(sound: &MemoryStorage) -> MemoryStorage {
    let copy = MemoryStorage::default();
    for name in sound.list().expect("listed") {
        let mut file = copy.create(&name).expect("created");
        file.write_at(0, &sound.read(&name).expect("read")).expect("written");
    }
    copy
}

#[tokio::test]
async fn a_damaged_line_that_costs_no_record_is_reported_as_such() {
    for line in ["{\"commit\"", "{\"segment\""] {
        let storage = written().await;
        let name = storage.list().expect("listed").remove(1);
        storage.damage(&name, |bytes| {
            let place = line_with(bytes, line);
            bytes[place.start + 15] ^= 1;
        });
        let audit = audit_storage(&storage).expect("read");
        let [damage] = audit.damage.as_slice() else { panic!("{:?}", audit.damage) };
        assert!(damage.what.ends_with("no record is lost with it") && damage.segment == name, "{damage:?}");
        assert!(damage.processes.is_empty(), "{damage:?}");
        assert_eq!(audit.records, 34);
    }
}

#[tokio::test]
async fn a_damaged_record_is_laid_at_its_process_and_only_there() {
    let storage = written().await;
    let has_b = |name: &String| String::from_utf8_lossy(&storage.read(name).expect("read")).contains("\"process\":\"b\",");
    let name = storage.list().expect("listed").into_iter().rfind(has_b).expect("a segment");
    storage.damage(&name, |bytes| {
        let place = line_with(bytes, "\"process\":\"b\",");
        bytes[place.start + 15] ^= 1;
    });
    let audit = audit_storage(&storage).expect("read");
    assert!(audit.damage.iter().all(|damage| damage.processes == ["b"]), "{:?}", audit.damage);
    assert!(!audit.damage.is_empty());
    assert!(audit.processes["b"].refuses.is_some() && audit.processes["a"].refuses.is_none());
}

#[tokio::test]
async fn a_line_or_a_segment_that_is_gone_is_missed() {
    let sound = written().await;
    let names = sound.list().expect("listed");
    for text in ["\"process\":\"a\"", "{\"commit\"", "{\"segment\""] {
        let storage = written_again(&sound);
        storage.damage(&names[1], |bytes| drop(bytes.drain(line_with(bytes, text))));
        assert!(!audit_storage(&storage).expect("read").damage.is_empty(), "{text}");
    }
    let storage = written_again(&sound);
    storage.remove(&names[1]).expect("removed");
    let audit = audit_storage(&storage).expect("read");
    assert!(audit.damage.iter().any(|damage| damage.what.contains("missing")), "{:?}", audit.damage);
}

#[tokio::test]
async fn a_log_whose_old_segments_were_given_up_is_sound() {
    let storage = written().await;
    let names = storage.list().expect("listed");
    storage.remove(&names[0]).expect("removed");
    let audit = audit_storage(&storage).expect("read");
    assert_eq!(audit.damage, Vec::new());
    assert!(audit.processes["a"].first > 1);
}

#[tokio::test]
async fn what_follows_the_last_commit_is_torn_and_no_damage() {
    let storage = written().await;
    let name = storage.list().expect("listed").pop().expect("a segment");
    storage.damage(&name, |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != b'\n').expect("a line") + 2;
        bytes.truncate(used);
        bytes.extend_from_slice(b"{\"seq\":35,\"proc");
    });
    let audit = audit_storage(&storage).expect("read");
    assert_eq!(audit.damage, Vec::new());
    assert_eq!(audit.torn.expect("a torn end").readable, 0);
}

#[tokio::test]
async fn a_head_that_was_kept_tells_a_cut_end_and_a_chain_that_was_computed_anew() {
    let storage = written().await;
    let head = audit_storage(&storage).expect("read").head.expect("it has a head");
    let read_back: Anchor = head.to_string().parse().expect("it is as it was written");
    assert_eq!((read_back, head.seq), (head, 34));
    let against = |storage: &MemoryStorage, anchor: Anchor| look(storage, Some(anchor)).expect("read").anchor;
    assert_eq!(against(&storage, head), None);

    let (log, _) = Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("the log opens");
    let note = Entry::Note { layer: "test".into(), run: None, body: json!("later") };
    log.process("b").append(vec![note]).await.expect("appended");
    drop(log);
    let later = audit_storage(&storage).expect("read").head.expect("it has a head");
    assert_eq!((against(&storage, head), against(&storage, later)), (None, None), "what came later changes nothing");

    let cut = written_again(&storage);
    let newest = cut.list().expect("listed").pop().expect("there is one");
    cut.remove(&newest).expect("removed");
    assert!(audit_storage(&cut).expect("read").damage.is_empty(), "nothing else tells");
    assert!(against(&cut, later).expect("told").contains("cut off"));

    // The same records in another log: every chain fits, and all of it is another one.
    let other = written().await;
    assert!(audit_storage(&other).expect("read").damage.is_empty());
    assert!(against(&other, head).expect("told").contains("not what it was"));

    let oldest = cut.list().expect("listed").remove(0);
    cut.remove(&oldest).expect("removed");
    let early = Anchor { seq: 1, ..head };
    assert!(against(&cut, early).expect("told").contains("older than all"));
    let odd = Anchor { seq: 32, ..head };
    assert!(against(&storage, odd).expect("told").contains("not the one"));
    for wrong in ["", "7", "7:abc", "x:00000000000000000000000000000000", "7:0000000000000000000000000000000G"] {
        assert!(wrong.parse::<Anchor>().is_err(), "{wrong}");
    }
}
