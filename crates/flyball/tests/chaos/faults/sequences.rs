//! F06, F07, F16 on the log itself: every sequence of up to four operations, cut off at every step of its
//! last one, with every subset of what was not synced.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball::core_agent::{Change, TriggerEvent};
use flyball::journal::{Entry, Fault as Broken, Log, MemoryStorage, ProcessFold, Retention};
use serde_json::{Map, json};

use crate::memory::{block_on, open};
use crate::tally::{Plan, Tally};

const THREADS: usize = 8;

/// Short, so that a large record makes a new segment.
const SEGMENT: u64 = 1500;

/// Of more unsynced writes than this, some subsets are tried and not all.
const ALL_SUBSETS_OF: usize = 6;

/// What is asked of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A small record, waited for.
    Append,
    /// One that does not fit into what is left of the segment.
    Large,
    /// A record that nobody waits for.
    Push,
    Checkpoint,
    Compact,
}

use Step::{Append, Checkpoint, Compact, Large, Push};

const STEPS: [Step; 5] = [Append, Large, Push, Checkpoint, Compact];

/// A sequence that is cut off.
struct Cut {
    steps: Vec<Step>,
    /// At which operation of its last step.
    stop: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, cut off at operation {} of the last", self.steps, self.stop)
    }
}

/// Tries the sequences that end in one of `last`.
pub fn cut_off(plan: &Plan, tally: &Tally, last: &[Step]) {
    tally.part(format!(
        "sequences of up to four of {STEPS:?} that end in {last:?}, cut off at every operation of it, every unsynced subset"
    ));
    let base = base();
    let mut cuts = Vec::new();
    for steps in sequences(4).into_iter().filter(|steps| last.contains(&steps[steps.len() - 1])) {
        let operations = block_on(operations(&base, &steps));
        cuts.extend((0..=operations).map(|stop| Cut { steps: steps.clone(), stop }));
    }
    let cuts = plan.sample(cuts, 60);
    tally.each_of_many(THREADS, &cuts, |cut, judged| {
        let (disk, known) = block_on(play(&base, cut));
        for kept in subsets(disk.unsynced().len()) {
            let after = disk.power_cut(|index| kept >> (index % 64) & 1 != 0);
            judged(format!("{cut}, kept {kept:b}"), &|| block_on(judge(&after, &known)));
        }
    });
}

/// A sequence in whose first step the disk runs full for a moment.
struct Full {
    steps: [Step; 3],
    /// At which operation, and for how many bytes of it there still is room.
    stop: u64,
    room: usize,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, room for {} bytes of operation {} of the first", self.steps, self.room, self.stop)
    }
}

/// Tries the sequences of three in which a write finds room for some of its bytes, once, and all that comes next does.
pub fn out_of_room(plan: &Plan, tally: &Tally) {
    tally.part("a log that finds room for a part of its n-th write, every n, then for all; then it is killed");
    let base = base();
    // What a large record leaves behind is longer than what comes in its place.
    let (mut large, mut others) = (Vec::new(), Vec::new());
    for steps in sequences(3) {
        let Ok(steps) = <[Step; 3]>::try_from(steps) else { continue };
        let operations = block_on(operations(&base, &steps[..1]));
        let all = if steps[0] == Large { &mut large } else { &mut others };
        let rooms = [0, 100, 700, usize::MAX];
        all.extend((0..operations).flat_map(|stop| rooms.map(|room| Full { steps, stop, room })));
    }
    for (all, some) in [(large, 150), (others, 30)] {
        tally.each(THREADS, &plan.sample(all, some), |full| block_on(goes_on(&base, full)));
    }
}

/// What was refused is not there, what was promised is, and nothing was being written when the process was killed.
async fn goes_on(base: &(MemoryStorage, Known), full: &Full) -> Result<(), String> {
    let (disk, mut known) = (base.0.fork(), base.1.clone());
    let (log, _) = open(&disk, SEGMENT).expect("it opens");
    disk.set_faults(&[Broken::NoRoomAfter(disk.operations() + full.stop, full.room)]);
    for step in full.steps {
        let before = known.asked.len();
        match ask(&log, step, &mut known).await {
            Ok(()) => {}
            Err(flyball::journal::Error::Full { .. }) => known.asked.truncate(before),
            // It was no write but a sync, and nobody knows what is there.
            Err(_) => {
                log.close();
                return judge(&disk.fork(), &known).await;
            }
        }
    }
    log.close();
    let (_, recovery) = open(&disk.fork(), SEGMENT).map_err(|error| format!("it does not open: {error}"))?;
    if let Some(torn) = recovery.torn {
        return Err(format!("nothing was being written, and its end is torn: {torn:?} (P10)"));
    }
    judge(&disk, &known).await
}

fn sequences(longest: usize) -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = vec![Vec::new()];
    let mut start = 0;
    for _ in 0..longest {
        let end = all.len();
        for index in start..end {
            for step in STEPS {
                let mut longer = all[index].clone();
                longer.push(step);
                all.push(longer);
            }
        }
        start = end;
    }
    all.split_off(1)
}

fn subsets(unsynced: usize) -> Vec<u64> {
    if unsynced <= ALL_SUBSETS_OF {
        return (0..1 << unsynced).collect();
    }
    let bits = unsynced.min(63) as u64;
    let all = (1 << bits) - 1;
    let single = (0..bits).map(|bit| 1 << bit);
    let missing = (0..bits).map(|bit| all & !(1 << bit));
    let firsts = (0..bits).map(|bit| (1 << bit) - 1);
    [0, all].into_iter().chain(single).chain(missing).chain(firsts).collect()
}

/// What was asked for, and what was promised.
#[derive(Debug, Default, Clone)]
struct Known {
    /// Values in their order.
    asked: Vec<u64>,
    /// So many of them are certainly there.
    promised: usize,
}

/// A log with a past that can be dropped: an idle process with an open event, and a busy one.
fn base() -> (MemoryStorage, Known) {
    let disk = MemoryStorage::default();
    let mut known = Known::default();
    block_on(async {
        let (log, _) = open(&disk, SEGMENT).expect("it opens");
        let mut event = TriggerEvent::new("t", "cron", DateTime::UNIX_EPOCH, json!({}));
        event.event_id = "open".into();
        log.process("idle").append(vec![Entry::accepted(event), write(7, 0)]).await.expect("appended");
        for _ in 0..2 {
            for _ in 0..6 {
                ask(&log, Append, &mut known).await.expect("appended");
            }
            ask(&log, Checkpoint, &mut known).await.expect("appended");
        }
        log.close();
    });
    (disk, known)
}

fn write(value: u64, padding: usize) -> Entry {
    let at = DateTime::UNIX_EPOCH;
    let change = |key: &str, value| Change { key: key.into(), value, source: "suite".into(), at };
    let mut changes = vec![change("k", json!(value))];
    if padding > 0 {
        changes.push(change("padding", json!("x".repeat(padding))));
    }
    Entry::ContextUpdate { changes }
}

async fn ask(log: &Arc<Log>, step: Step, known: &mut Known) -> Result<(), flyball::journal::Error> {
    let journal = log.process("busy");
    let next = known.asked.len() as u64;
    match step {
        Append | Large => {
            known.asked.push(next);
            journal.append(vec![write(next, if step == Large { 900 } else { 0 })]).await?;
            known.promised = known.asked.len();
        }
        Push => {
            known.asked.push(next);
            journal.push(write(next, 0))?;
        }
        Checkpoint => {
            journal.append(Vec::new()).await?;
            let fold = Box::new(ProcessFold::of(&log.records("busy")?));
            journal.append(vec![Entry::Checkpoint { fold, layers: Map::new() }]).await?;
            known.promised = known.asked.len();
        }
        Compact => drop(log.compact(&small(), Utc::now())?),
    }
    Ok(())
}

fn small() -> Retention {
    Retention { max_bytes: Some(2 * SEGMENT), max_age: None }
}

/// How many operations the last of `steps` takes.
async fn operations(base: &(MemoryStorage, Known), steps: &[Step]) -> u64 {
    let (disk, mut known) = (base.0.fork(), base.1.clone());
    let (log, _) = open(&disk, SEGMENT).expect("it opens");
    let (last, before) = steps.split_last().expect("there is a step");
    for step in before {
        ask(&log, *step, &mut known).await.expect("nothing is in the way");
    }
    let start = disk.operations();
    ask(&log, *last, &mut known).await.expect("nothing is in the way");
    log.close();
    disk.operations() - start
}

/// Plays a sequence up to its cut.
async fn play(base: &(MemoryStorage, Known), cut: &Cut) -> (MemoryStorage, Known) {
    let (disk, mut known) = (base.0.fork(), base.1.clone());
    let (log, _) = open(&disk, SEGMENT).expect("it opens");
    let (last, before) = cut.steps.split_last().expect("there is a step");
    for step in before {
        ask(&log, *step, &mut known).await.expect("nothing is in the way");
    }
    disk.set_faults(&[Broken::FailFrom(disk.operations() + cut.stop)]);
    // It fails, unless the cut comes after its end.
    let _ = ask(&log, *last, &mut known).await;
    log.close();
    (disk, known)
}

/// What was promised is there, what is there was asked for, in its order, and the log goes on.
async fn judge(disk: &MemoryStorage, known: &Known) -> Result<(), String> {
    let (log, recovery) = open(disk, SEGMENT).map_err(|error| format!("it does not open: {error}"))?;
    if !recovery.damaged.is_empty() {
        return Err(format!("damaged: {:?}", recovery.damaged));
    }
    let idle = ProcessFold::of(&recovery.processes["idle"]);
    if idle.open_events.len() != 1 || idle.context_state()["k"] != json!(7) {
        return Err(format!("the idle process is another: {idle:?}"));
    }
    let found = values(&recovery.processes["busy"]);
    if found.len() < known.promised || found[..] != known.asked[..found.len().min(known.asked.len())] {
        return Err(format!("{} of {:?} were promised, and {found:?} are there (P1)", known.promised, known.asked));
    }
    let next = found.len() as u64;
    log.process("busy").append(vec![write(next, 0)]).await.map_err(|error| format!("it takes nothing more: {error}"))?;
    log.compact(&small(), Utc::now()).map_err(|error| format!("it cannot be compacted: {error}"))?;
    log.close();
    let (_, again) = open(disk, SEGMENT).map_err(|error| format!("it does not open again: {error}"))?;
    if again.torn.is_some() || !again.damaged.is_empty() || values(&again.processes["busy"]).len() != found.len() + 1 {
        return Err(format!("what came next cannot be read: {:?} {:?}", again.torn, again.damaged));
    }
    Ok(())
}

fn values(records: &[flyball::journal::Record]) -> Vec<u64> {
    let fold = ProcessFold::of(records);
    let writes = fold.state_history.get("k").into_iter().flatten();
    writes.filter_map(|change| change.value.as_u64()).collect()
}
