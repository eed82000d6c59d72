//! Looking back through the index comes to what looking back over all records comes to, whatever became
//! of the index and of the log.

#![cfg(test)]
#![cfg(feature = "index")]

mod lookback;

use std::fs;
use std::path::Path;

use flyball_journal::{Entry, History};
use lookback::world::{World, copy};
use lookback::{Dice, answers};

/// Runs that are asked for.
const RUNS: usize = 12;

/// Holds the answers to all questions against those that all records give. `indexed` says whether the
/// index can be used.
fn compare(journal: &Path, indexed: bool, what: &str) -> History {
    let mut history = History::open(journal).unwrap();
    assert_eq!(history.is_indexed(), indexed, "{what}");
    let mut whole = History::without_index(journal).unwrap();
    let runs = answers::runs(&mut whole, &mut Dice::new(what.len() as u64), RUNS);
    let expected = answers::all(&mut whole, &runs);
    let found = answers::all(&mut history, &runs);
    assert_eq!(expected.len(), found.len(), "{what}");
    for ((question, expected), (_, found)) in expected.iter().zip(&found) {
        assert!(expected == found, "{what}: {question}\n{}", differing(expected, found));
    }
    assert_eq!(history.is_indexed(), indexed, "{what}");
    history
}

/// Where two answers part.
fn differing(expected: &str, found: &str) -> String {
    let at = expected.bytes().zip(found.bytes()).position(|(one, other)| one != other).unwrap_or(0);
    let part = |text: &str| text.chars().skip(at.saturating_sub(200)).take(400).collect::<String>();
    format!("{}\nis expected, and\n{}\nis found", part(expected), part(found))
}

/// The same, of an index that was thrown away: all of the log is read again.
fn compare_made_anew(world: &World, what: &str) {
    let history = History::open(world.journal()).unwrap();
    assert!(history.bytes_read() >= size(world), "{what}: {} bytes were read", history.bytes_read());
    drop(history);
    compare(world.journal(), true, what);
}

/// The log's bytes, blank ends included.
fn size(world: &World) -> u64 {
    world.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// A log of some segments, closed, with an index that is up to date.
fn indexed(seed: u64) -> World {
    let mut world = World::new(seed);
    world.grow(60);
    world.close();
    compare(world.journal(), true, "at first");
    world
}

#[test]
fn the_answers_are_the_same_while_a_log_grows_is_torn_and_loses_its_oldest_segments() {
    let (mut dropped, mut carried) = (0, 0);
    for seed in 0..6 {
        let mut world = World::new(seed);
        let mut dice = Dice::new(seed + 1_000);
        world.grow(3);
        for step in 0..12 {
            match dice.below(7) {
                0 => world.close(),
                1 => world.tear(),
                2 => dropped += world.compact(8),
                3 => dropped += world.compact(2),
                _ => world.grow(1 + dice.below(30)),
            }
            if dice.one_in(2) {
                let mut history = compare(world.journal(), true, &format!("seed {seed}, step {step}"));
                let oldest = world.first_record();
                carried += history.all().unwrap().iter().filter(|record| record.seq < oldest).count();
            }
        }
    }
    assert!(dropped > 20 && carried > 20, "{dropped} segments dropped and {carried} records carried on are too few");
}

#[test]
fn an_index_whose_files_are_damaged_cut_or_gone_is_made_anew() {
    let mut dice = Dice::new(5);
    let world = indexed(1);
    let files = world.index_files();
    assert!(files.len() > 3, "{files:?}");
    let whole = tempfile::tempdir().unwrap();
    copy(&world.index(), whole.path());
    for path in &files {
        for harm in ["garbage", "cut", "longer", "gone"] {
            fs::remove_dir_all(world.index()).unwrap();
            copy(whole.path(), &world.index());
            let mut bytes = fs::read(path).unwrap();
            match harm {
                "garbage" => (0..8).for_each(|_| {
                    let at = dice.below(bytes.len());
                    bytes[at] ^= 1 << dice.below(8);
                }),
                "cut" => bytes.truncate(dice.below(bytes.len())),
                _ => bytes.push(b'x'),
            }
            if harm == "gone" {
                fs::remove_file(path).unwrap()
            } else {
                fs::write(path, bytes).unwrap()
            }
            let what = format!("{} {harm}", path.display());
            match path.ends_with("lock") {
                // It says nothing that anybody relies upon.
                true => drop(compare(world.journal(), true, &what)),
                false => compare_made_anew(&world, &what),
            }
        }
    }
    fs::remove_dir_all(world.index()).unwrap();
    compare_made_anew(&world, "the folder is gone");
}

#[test]
fn an_index_of_another_version_is_made_anew() {
    let world = indexed(2);
    let seal = world.index().join("seal.json");
    let text = fs::read_to_string(&seal).unwrap();
    assert!(text.contains("\"version\":2,"), "{text}");
    fs::write(&seal, text.replace("\"version\":2,", "\"version\":3,")).unwrap();
    compare_made_anew(&world, "another version");
}

#[test]
fn an_index_that_knows_more_than_the_log_or_is_of_another_one_is_made_anew() {
    let mut world = World::new(3);
    world.grow(40);
    world.close();
    let before = tempfile::tempdir().unwrap();
    copy(world.journal(), before.path());
    world.grow(40);
    world.close();
    compare(world.journal(), true, "with all records");
    // What a power cut may do: the index is further than the log.
    world.segments().iter().for_each(|path| fs::remove_file(path).unwrap());
    copy(before.path(), world.journal());
    compare(world.journal(), true, "with fewer records");
    world.grow(30);
    compare(world.journal(), true, "with other records under the same numbers");

    // What was synced last is not there, and nobody was there since.
    let last = world.segments().pop().unwrap();
    world.close();
    drop(History::open(world.journal()).unwrap());
    let text = fs::read_to_string(&last).unwrap();
    let used = text.trim_end().len();
    let batch = text[..used].rfind("{\"commit\"").and_then(|commit| text[..commit].rfind("}\n")).unwrap() - 20;
    let blank = "\n".repeat(text.len() - batch);
    fs::write(&last, text[..batch].to_owned() + &blank).unwrap();
    compare(world.journal(), true, "with a batch that was never written");
    world.grow(10);
    compare(world.journal(), true, "with a life after that");

    let mut other = World::new(33);
    other.grow(70);
    other.close();
    copy(&world.index(), &other.index());
    compare(other.journal(), true, "with the index of another log");

    let [mut short, mut long] = [World::new(0), World::new(0)];
    let entry = Entry::ContextUpdate { changes: Vec::new() };
    short.append("monitor", vec![entry.clone()]);
    long.append("analyst", vec![entry.clone(); 3]);
    drop(History::open(short.journal()).unwrap());
    copy(&short.index(), &long.index());
    compare(long.journal(), true, "with the index of another log whose segment has the same name");
}

#[test]
fn whatever_a_kill_leaves_of_an_index_is_made_anew() {
    let mut world = World::new(4);
    world.grow(80);
    let left = tempfile::tempdir().unwrap();
    let copies = std::thread::scope(|scope| {
        let looking = scope.spawn(|| (0..4).for_each(|_| drop(History::open(world.journal()).unwrap())));
        let mut copies = 0;
        while copies < 3 || copies < 10 && !looking.is_finished() {
            copy(world.journal(), &left.path().join(copies.to_string()));
            copies += 1;
        }
        copies
    });
    let open = History::open(world.journal()).unwrap();
    let last = left.path().join(copies.to_string());
    copy(world.journal(), &last);
    drop(open);
    let after = History::open(&last).unwrap();
    assert!(after.bytes_read() >= size(&world), "{} bytes were read", after.bytes_read());
    drop(after);
    for killed in 0..=copies {
        compare(&left.path().join(killed.to_string()), true, &format!("kill {killed} of {copies}"));
    }
}

#[test]
fn two_who_look_at_once_get_the_same_answers() {
    let world = indexed(5);
    let first = History::open(world.journal()).unwrap();
    assert!(first.is_indexed());
    compare(world.journal(), false, "while somebody else has the index");
    drop(first);
    let next = compare(world.journal(), true, "afterwards");
    assert!(next.is_indexed());
    drop(next);
    std::thread::scope(|scope| {
        let ask = || {
            let mut history = History::open(world.journal()).unwrap();
            history.newest(None, usize::MAX, |_| true).unwrap().len()
        };
        let both = [scope.spawn(ask), scope.spawn(ask)].map(|thread| thread.join().unwrap());
        assert_eq!(both[0], both[1]);
    });
}

#[test]
fn where_no_index_can_be_made_the_log_is_read_and_nothing_is_changed() {
    let mut world = World::new(6);
    world.grow(40);
    fs::write(world.journal().join("index"), "in the way").unwrap();
    compare(world.journal(), false, "a file is in the way");
    assert_eq!(fs::read_to_string(world.journal().join("index")).unwrap(), "in the way");
}

#[test]
fn an_index_that_somebody_else_has_open_is_left_alone() {
    let world = indexed(7);
    let file = fs::File::options().write(true).open(world.index().join("sled/db")).unwrap();
    file.lock().unwrap();
    compare(world.journal(), false, "sled's file is locked");
    drop(file);
    let history = History::open(world.journal()).unwrap();
    assert!(history.is_indexed() && history.bytes_read() < size(&world), "it is as it was");
}

#[test]
fn whoever_looks_while_a_log_is_written_finds_whole_records_and_no_gap() {
    let mut world = World::new(8);
    world.grow(20);
    let journal = world.journal().to_owned();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let looks = std::thread::spawn(move || {
        let mut looks = Vec::new();
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) || looks.is_empty() {
            let mut history = History::open(&journal).unwrap();
            looks.push(history.newest(None, usize::MAX, |_| true).unwrap());
        }
        looks
    });
    for round in 0..12 {
        world.grow(15);
        if round % 3 == 2 {
            world.compact(12);
        }
    }
    drop(stop);
    let looks = looks.join().unwrap();
    let mut latest = std::collections::BTreeMap::new();
    for look in &looks {
        for pair in look.windows(2) {
            assert!(pair[0].seq < pair[1].seq, "each record once, in order");
        }
        for record in look.iter() {
            assert_eq!(latest.entry(record.seq).or_insert(record), &record, "a record never changes");
        }
        let of_log: Vec<u64> = look.iter().map(|record| record.seq).collect();
        assert!(!of_log.is_empty());
    }
    compare(world.journal(), true, "in the end");
}

#[test]
fn of_a_long_log_little_is_read() {
    let mut world = World::new(9);
    world.grow(400);
    world.close();
    drop(History::open(world.journal()).unwrap());
    let mut whole = History::without_index(world.journal()).unwrap();
    let runs = answers::runs(&mut whole, &mut Dice::new(9), 20);
    let segment = size(&world) / world.segments().len() as u64;
    let limit = |history: &mut History, ask: &mut dyn FnMut(&mut History), segments: u64, what: &str| {
        let before = history.bytes_read();
        ask(history);
        let read = history.bytes_read() - before;
        assert!(read < segments * segment, "{what}: {read} bytes of {}, {} segments", size(&world), world.segments().len());
    };
    let mut history = History::open(world.journal()).unwrap();
    assert!(history.bytes_read() <= 2 * segment, "nothing is new, and {} bytes were read", history.bytes_read());
    for run in &runs {
        limit(&mut history, &mut |history| drop(history.find_run(&run.0[..2])), 1, "finding a run");
    }
    limit(&mut history, &mut |history| drop(history.names()), 1, "names");
    limit(&mut history, &mut |history| drop(history.newest_runs(None, 3)), 20, "the newest runs");
    limit(&mut history, &mut |history| drop(history.newest(None, 5, |_| true)), 40, "the newest records");
    limit(&mut history, &mut |history| drop(history.tree_of(&runs[0])), 60, "a run's tree");
    assert!(world.segments().len() > 200, "{} segments are too few to mean anything", world.segments().len());
}

#[test]
fn a_log_that_is_damaged_is_read_without_an_index() {
    for seed in 10..14 {
        let mut world = World::new(seed);
        world.grow(40);
        world.close();
        let mut dice = Dice::new(seed);
        let segments = world.segments();
        let path = &segments[dice.below(segments.len() - 1)];
        let mut bytes = fs::read(path).unwrap();
        let at = dice.below(bytes.len() - 100);
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
        compare(world.journal(), false, &format!("byte {at} of {}", path.display()));
    }
}

#[test]
fn a_log_of_which_a_segment_is_missing_is_read_without_an_index() {
    let world = indexed(14);
    let segments = world.segments();
    fs::remove_file(&segments[segments.len() / 2]).unwrap();
    compare(world.journal(), false, "a segment in the middle is gone");
}

#[test]
fn a_record_that_is_damaged_after_it_was_indexed_is_not_shown() {
    let world = indexed(15);
    let mut whole = History::without_index(world.journal()).unwrap();
    let runs = answers::runs(&mut whole, &mut Dice::new(1), 1);
    let records = whole.all().unwrap();
    let record = records.iter().rfind(|record| record.entry.run() == Some(&runs[0])).unwrap();
    let line = format!("{{\"seq\":{},", record.seq);
    for path in world.segments() {
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(&line, &line.replace("seq", "sec"))).unwrap();
    }
    let mut history = History::open(world.journal()).unwrap();
    assert!(history.is_indexed(), "nobody has looked there yet");
    let found = history.tree_of(&runs[0]).unwrap();
    assert!(found.iter().all(|found| found.seq != record.seq), "{record:?}");
    assert!(!history.is_indexed(), "from here on recovery has to say what can be relied upon");
}

#[test]
fn what_is_new_is_read_without_an_index_too() {
    let mut world = World::new(16);
    world.grow(60);
    let mut history = History::without_index(world.journal()).unwrap();
    let all = history.all().unwrap();
    for seq in [0, 1, all.len() as u64 / 2, all.last().unwrap().seq, 1_000_000] {
        let expected: Vec<_> = all.iter().filter(|record| record.seq > seq).cloned().collect();
        assert_eq!(history.after(seq).unwrap(), expected, "after {seq}");
    }
}
