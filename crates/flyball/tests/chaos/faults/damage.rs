//! F03, F04, F05: a journal that is not what was written any more.
//!
//! The journal is that of a real run: one run is done, another was cut off between the intent of an
//! irreversible call, which arrived, and its result. After each damage the log is opened, both processes
//! are started and come to rest, and what they are and did is held against what was true.

use std::collections::BTreeSet;
use std::ops::Range;

use flyball::journal::{Entry, MemoryStorage, audit_storage};

use super::harm::Harm;
use crate::memory::{Life, PROCESSES, Recipe, Truth, block_on, bytes, nothing_twice, open, segments};
use crate::tally::{Plan, Tally};

/// They wait for the journal's writer more than they compute.
const THREADS: usize = 8;

const BLOCK: usize = 4096;

const PLAIN: Recipe = Recipe { segment: 4096, padding: 0, checkpoint: false, one_run: false, event_last: false };

const CHECKPOINT: Recipe = Recipe { checkpoint: true, segment: 1 << 16, ..PLAIN };

/// The journals that are damaged.
fn truths() -> Vec<(&'static str, Truth)> {
    vec![
        ("the intent is the last batch", Truth::made(PLAIN)),
        ("events came in after the intent", Truth::made(Recipe { event_last: true, ..PLAIN })),
        ("a checkpoint stands between the runs", Truth::made(CHECKPOINT)),
    ]
}

/// And one in which nothing of the process follows its checkpoint. It is not cut: its last two segments are all of it,
/// and so much that was durable goes with a torn end in no fault, so that nothing in the rest can tell what went.
fn truths_to_damage() -> Vec<(&'static str, Truth)> {
    let mut truths = truths();
    truths.push(("a checkpoint is the last batch", Truth::made(Recipe { one_run: true, ..CHECKPOINT })));
    truths
}

pub fn cut(plan: &Plan, tally: &Tally) {
    for (name, truth) in truths() {
        tally.part(format!("cut at a byte of the last two segments ({name})"));
        let names = segments(&truth.disk);
        let first = names.len().saturating_sub(2);
        let mut harms = Vec::new();
        for (index, segment) in names.iter().enumerate().skip(first) {
            for at in 0..truth.used(segment).len() {
                let mut afters = vec![Vec::new(), names[index + 1..].to_vec()];
                afters.dedup();
                harms.extend(afters.into_iter().map(|without| Harm::Cut { segment: segment.clone(), at, without }));
            }
        }
        strike(tally, &truth, &plan.sample(harms, 120));
    }
}

pub fn flips(plan: &Plan, tally: &Tally) {
    for (number, (name, truth)) in (0..).zip(truths_to_damage()) {
        let mut random = plan.random(number);
        let places = places(&truth);
        let mut flip = |(segment, at): &(String, usize)| (segment.clone(), *at, 1_u8 << random.below(8));
        tally.part(format!("one bit flipped at a byte ({name})"));
        let singles: Vec<Harm> = places.iter().map(|place| Harm::Flip(vec![flip(place)])).collect();
        strike(tally, &truth, &plan.sample(singles, 200));
        tally.part(format!("eight bits flipped anywhere ({name})"));
        let mut random_place = plan.random(100 + number);
        let mut eight = || {
            let some = (0..8).map(|_| flip(&places[random_place.below(places.len() as u64) as usize]));
            Harm::Flip(some.collect())
        };
        let eights: Vec<Harm> = (0..plan.count(60, 5_000)).map(|_| eight()).collect();
        strike(tally, &truth, &eights);
    }
    forged(plan, tally);
}

/// Every byte that was written, and some of the blank rest.
fn places(truth: &Truth) -> Vec<(String, usize)> {
    let of = |name: &String| {
        let end = (truth.used(name).len() + 64).min(bytes(&truth.disk, name).len());
        (0..end).map(|at| (name.clone(), at)).collect::<Vec<_>>()
    };
    segments(&truth.disk).iter().flat_map(of).collect()
}

/// Lines that somebody changed, and whose checksums he made right again (P18).
fn forged(plan: &Plan, tally: &Tally) {
    let truth = Truth::made(Recipe { segment: 1 << 16, ..PLAIN });
    tally.part("a line edited, doubled, removed or moved, with its own checksum and its batch's sum right");
    let mut forgeries = Vec::new();
    for segment in segments(&truth.disk) {
        let text = String::from_utf8(truth.used(&segment)).expect("a journal is text");
        let lines: Vec<&str> = text.lines().collect();
        // The last batch is followed by nothing that could speak for it.
        for index in 1..lines.len().saturating_sub(3) {
            for (what, mut lines) in forge(&lines, index) {
                add_up(&mut lines);
                let what = format!("line {} {what}", index + 1);
                forgeries.push(Harm::Forge { segment: segment.clone(), what, lines });
            }
        }
    }
    strike(tally, &truth, &plan.sample(forgeries, 40));
}

fn forge(lines: &[&str], index: usize) -> Vec<(&'static str, Vec<String>)> {
    let whole = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    let mut edited = whole();
    edited[index] = resealed(&other_digit(lines[index]));
    let mut removed = whole();
    removed.remove(index);
    let mut doubled = whole();
    doubled.insert(index, lines[index].to_owned());
    let mut moved = whole();
    moved.swap(index, index + 1);
    let mut reworded = whole();
    reworded[index] = resealed(&other_words(lines[index]));
    vec![("edited", edited), ("reworded", reworded), ("removed", removed), ("doubled", doubled), ("moved", moved)]
}

/// Makes the sums of batches right again: they are no secret either.
fn add_up(lines: &mut [String]) {
    let mut batch = Vec::new();
    for line in lines {
        if line.starts_with("{\"commit\":") {
            let (before, rest) = line.split_once("\"sum\":").expect("a commit has a sum");
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            *line = resealed(&format!("{before}\"sum\":{}{rest}", crc32c::crc32c(&batch)));
            batch.clear();
        } else if !line.starts_with("{\"segment\":") {
            batch.extend_from_slice(line.as_bytes());
            batch.push(b'\n');
        }
    }
}

/// The line with the last digit of its first number changed.
fn other_digit(line: &str) -> String {
    let start = line.find(|c: char| c.is_ascii_digit()).expect("a line has a number");
    let end = start + line[start..].find(|c: char| !c.is_ascii_digit()).expect("it ends");
    let digit = if line[..end].ends_with('7') { "8" } else { "7" };
    format!("{}{digit}{}", &line[..end - 1], &line[end..])
}

/// The line with the last digit of what a record says changed: its numbers and its hash stay what they were.
fn other_words(line: &str) -> String {
    let Some(end) = line.find(",\"hash\":") else { return other_digit(line) };
    let at = line[..end].rfind(|c: char| c.is_ascii_digit()).expect("a record has a time");
    let digit = if line[at..].starts_with('7') { "8" } else { "7" };
    format!("{}{digit}{}", &line[..at], &line[at + 1..])
}

/// A line with the checksum that fits it.
fn resealed(line: &str) -> String {
    let body = &line[..line.rfind(",\"crc\":").expect("a line has a checksum")];
    format!("{body},\"crc\":\"{:08x}\"}}", crc32c::crc32c(body.as_bytes()))
}

pub fn blocks(plan: &Plan, tally: &Tally) {
    for (name, event_last) in [("the intent is the last batch", false), ("events came in after the intent", true)] {
        let truth = Truth::made(Recipe { segment: 1 << 16, padding: 3000, event_last, ..PLAIN });
        let blocks = all_blocks(&truth);
        for (what, byte) in [("zeroed", 0), ("as it was made, blank", b'\n')] {
            tally.part(format!("a block of 4 KiB {what} ({name})"));
            let fill = |(segment, start, end): &(String, usize, usize)| Harm::Fill {
                segment: segment.clone(),
                range: *start..*end,
                byte,
            };
            strike(tally, &truth, &blocks.iter().map(fill).collect::<Vec<_>>());
        }
        tally.part(format!("a block of 4 KiB as it was at an earlier time ({name})"));
        strike(tally, &truth, &plan.sample(earlier(&truth, &blocks), 40));
        tally.part(format!("a block of 4 KiB that belongs elsewhere ({name})"));
        strike(tally, &truth, &plan.sample(misplaced(&truth, &blocks), 40));
    }
    stretches(plan, tally);
}

/// Wherever a block may begin and end: each stretch of up to 4 KiB from the start of a line to the middle of one.
fn stretches(plan: &Plan, tally: &Tally) {
    for (name, truth) in truths_to_damage() {
        for (what, byte) in [("zeroed", 0), ("blank", b'\n')] {
            tally.part(format!("any lines up to the middle of one, 4 KiB at most, {what} ({name})"));
            let (mut delicate, mut others) = (Vec::new(), Vec::new());
            let names = segments(&truth.disk);
            for segment in &names {
                let text = truth.used(segment);
                let lines = lines_of(&text);
                for (number, line) in lines.iter().enumerate() {
                    for last in &lines[number..] {
                        // Of a long line little is enough.
                        let range = line.start..last.start + (last.len() / 2).min(150);
                        if range.len() > BLOCK {
                            break;
                        }
                        let is_last = names.last() == Some(segment) && last.start >= last_batch(&text, &lines);
                        let all = if is_last || is_checkpoint(&text[last.clone()]) { &mut delicate } else { &mut others };
                        all.push(Harm::Fill { segment: segment.clone(), range, byte });
                    }
                }
            }
            delicate.extend(plan.sample(others, 40));
            strike(tally, &truth, &delicate);
        }
    }
}

/// Where the batch begins that nothing follows.
fn last_batch(text: &[u8], lines: &[Range<usize>]) -> usize {
    let mut closed = lines.iter().filter(|line| text[line.start..].starts_with(b"{\"commit\":"));
    closed.nth_back(1).map_or(0, |line| line.end)
}

fn is_checkpoint(line: &[u8]) -> bool {
    line.windows(20).any(|part| part == b"\"kind\":\"checkpoint\",")
}

fn lines_of(text: &[u8]) -> Vec<Range<usize>> {
    let mut end = 0;
    let line = |line: &[u8]| {
        end += line.len();
        end - line.len()..end
    };
    text.split_inclusive(|byte| *byte == b'\n').map(line).collect()
}

/// The blocks in which something was written.
fn all_blocks(truth: &Truth) -> Vec<(String, usize, usize)> {
    let of = |name: &String| {
        let (used, len) = (truth.used(name).len(), bytes(&truth.disk, name).len());
        (0..used)
            .step_by(BLOCK)
            .map(move |start| (start, len.min(start + BLOCK)))
            .map(|(start, end)| (name.clone(), start, end))
            .collect::<Vec<_>>()
    };
    segments(&truth.disk).iter().flat_map(of).collect()
}

/// Each block, blank from each line on that begins in it.
fn earlier(truth: &Truth, blocks: &[(String, usize, usize)]) -> Vec<Harm> {
    let mut harms = Vec::new();
    for (segment, start, end) in blocks {
        let content = bytes(&truth.disk, segment);
        let lines = (*start..*end).filter(|at| content[*at] == b'\n' && at + 1 < truth.used(segment).len().min(*end));
        harms.extend(lines.map(|at| Harm::Fill { segment: segment.clone(), range: at + 1..*end, byte: b'\n' }));
    }
    harms
}

/// Each block in the place of each other one.
fn misplaced(truth: &Truth, blocks: &[(String, usize, usize)]) -> Vec<Harm> {
    let full: Vec<_> = blocks.iter().filter(|(_, start, end)| end - start == BLOCK).collect();
    let differ = |(a, at, to): &(String, usize, usize), (b, from, until): &(String, usize, usize)| {
        bytes(&truth.disk, a)[*at..*to] != bytes(&truth.disk, b)[*from..*until]
    };
    let pairs = full.iter().flat_map(|place| full.iter().map(move |from| (place, from)));
    let harm = |(place, from): (&&(String, usize, usize), &&(String, usize, usize))| Harm::Misplace {
        segment: place.0.clone(),
        at: place.1,
        from: (from.0.clone(), from.1..from.2),
    };
    pairs.filter(|(place, from)| differ(place, from)).map(harm).collect()
}

/// Judges what each of these leaves.
fn strike(tally: &Tally, truth: &Truth, harms: &[Harm]) {
    let older = harms.iter().filter(|harm| truth.is_older_than_this(&harm.done_to(truth))).count();
    if older > 0 {
        tally.note(format!(
            "{older} of the next leave a whole journal of an earlier time; nothing in it can tell, so only its state is judged"
        ));
    }
    tally.each(THREADS, harms, |harm| block_on(judge(truth, harm)).map_err(|error| shrunk(truth, harm, error)));
}

/// The failure of as little harm as still has one.
fn shrunk(truth: &Truth, harm: &Harm, error: String) -> String {
    for smaller in harm.smaller() {
        if let Err(error) = block_on(judge(truth, &smaller)) {
            return shrunk(truth, &smaller, format!("also after {smaller}: {error}"));
        }
    }
    if let Some(dir) = std::env::var_os("CHAOS_KEEP") {
        keep(&std::path::PathBuf::from(dir).join(flyball::core_agent::short_hash(error.as_bytes())), truth, harm);
    }
    error
}

/// Writes the journal as it was, and as it is after the harm, to a folder where somebody can look at it.
fn keep(dir: &std::path::Path, truth: &Truth, harm: &Harm) {
    for (name, disk) in [("before", truth.disk.clone()), ("after", harm.done_to(truth))] {
        let dir = dir.join(name).join("journal");
        std::fs::create_dir_all(&dir).expect("a folder can be made");
        segments(&disk)
            .iter()
            .for_each(|name| std::fs::write(dir.join(name), bytes(&disk, name)).expect("a file can be written"));
    }
    std::fs::write(dir.join("harm"), harm.to_string()).expect("a file can be written");
}

async fn judge(truth: &Truth, harm: &Harm) -> Result<(), String> {
    let disk = harm.done_to(truth);
    let older = truth.is_older_than_this(&disk);
    if harm.must_be_found() {
        let audit = audit_storage(&disk).map_err(|error| error.to_string())?;
        if audit.damage.is_empty() && audit.torn.is_none() && audit.refused.is_none() {
            return Err("whoever audits finds nothing (P18)".into());
        }
    }
    // A life cuts off what is torn, so this is asked before.
    let most = PROCESSES.map(|process| truth.may_be_torn(&disk, process).filter(|_| !older));
    let outside = truth.outside.fork();
    let begun = Life::begin(&disk, truth.segment, &outside).await;
    // What this version does not understand, it refuses to read at all: that is loud enough.
    let Ok((life, recovery)) = begun else { return Ok(()) };
    // What was mended had lost nothing.
    let reported = recovery.torn.is_some() || !recovery.damaged.is_empty();
    let none = Vec::new();
    for (process, most) in PROCESSES.into_iter().zip(most) {
        let records = recovery.processes.get(process).unwrap_or(&none);
        let damaged = recovery.damaged.contains_key(process);
        match (damaged, life.refused.get(process)) {
            (true, None) => return Err(format!("{process} is damaged and was started (P10)")),
            (false, Some(why)) => return Err(format!("{process} is not damaged and was not started: {why} (P10)")),
            // It does not run, whatever of it could be read.
            (true, Some(_)) => continue,
            (false, None) => {}
        }
        let missing = truth.prefixes.missing(process, records)?;
        if missing > 0 && !reported && !older {
            return Err(format!("the last {missing} records of {process} are gone, and nobody says so (P10)"));
        }
        if most.is_some_and(|most| missing > most) {
            return Err(format!(
                "{missing} records of {process} are gone that were durable, and it is started all the same (P10)"
            ));
        }
    }
    life.quiet().await?;
    if !older {
        nothing_twice(&outside)?;
    }
    life.end().await;
    goes_on(&disk, truth, &recovery.damaged.keys().cloned().collect()).await
}

/// The first appends after the damage can be read, and damage is what it was.
async fn goes_on(disk: &MemoryStorage, truth: &Truth, damaged: &BTreeSet<String>) -> Result<(), String> {
    let (log, recovery) = open(disk, truth.segment).map_err(|error| format!("it does not open again: {error}"))?;
    let now: BTreeSet<String> = recovery.damaged.keys().cloned().collect();
    if recovery.torn.as_ref().is_some_and(|torn| !torn.stays) || now != *damaged {
        return Err(format!("opened again, it is torn or damaged anew: {:?} {now:?}, it was {damaged:?}", recovery.torn));
    }
    for process in PROCESSES.into_iter().filter(|name| !damaged.contains(*name)) {
        let count = || log.records(process).map(|records| records.len()).map_err(|error| error.to_string());
        let before = count()?;
        let note = Entry::Note { layer: "suite".into(), run: None, body: serde_json::json!("next") };
        log.process(process).append(vec![note]).await.map_err(|error| format!("{process} takes no further record: {error}"))?;
        let after = count()?;
        if after != before + 1 {
            return Err(format!("the next record of {process} cannot be read: {before} records, then {after}"));
        }
    }
    Ok(())
}
