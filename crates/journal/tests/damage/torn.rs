//! Where a torn end begins, and that nothing else passes for one.

use super::*;

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
