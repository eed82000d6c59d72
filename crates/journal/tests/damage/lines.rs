//! Damaged lines: found at every start, and laid at the door of whom they harm.

use super::*;

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
