//! F15, F17, F20: whose log it is, its index, and an owner that stands still for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flyball::journal::{Entry, ProcessFold, Record};
use serde_json::Value;

use super::kill::{LIMIT, Seen, rest_and_judge, tail};
use crate::real::{Node, Options, Outside, Running, Sender};
use crate::tally::{Plan, Tally};

pub fn two_owners(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let seen = Seen::default();
    let trials: Vec<u64> = (0..plan.count(2, 40)).collect();
    tally.part("a second runtime is started on a log that has an owner");
    tally.each(2, &trials, |_| second(&outside, &seen));
    tally.part("two runtimes are started on one log at the same time");
    tally.each(1, &trials, |_| race(&outside, &seen));
}

fn second(outside: &Outside, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let mut first = node.start();
    if !first.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let mut sender = Sender::new("o");
    sender.send(node.hook(), "all", 0);
    refused(&node, first.pid())?;
    // Standing still is not being gone.
    first.freeze()?;
    let still = refused(&node, first.pid());
    first.signal("CONT");
    still?;
    if !sender.send(node.hook(), "act", 0) {
        return Err(format!("the first one takes no more: {:?}", sender.promises().refused));
    }
    first.quiet(LIMIT)?;
    first.end()?;
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)
}

/// A second one ends and names the first.
fn refused(node: &Node, first: u32) -> Result<(), String> {
    let second = node.ask(&["run", "agents", "--listen", "127.0.0.1:0"]);
    let names = second.stderr.contains(&format!("pid {first}"));
    match second.code {
        Some(1) if names => Ok(()),
        code => Err(format!("a second runtime ended with {code:?} and said: {}", second.stderr)),
    }
}

fn race(outside: &Outside, seen: &Seen) -> Result<(), String> {
    let node = Node::new(outside, &Options::default());
    let mut both = [node.start(), node.start()];
    // One of them comes up, and so the other has ended.
    let ended = crate::binary::eventually(LIMIT, || {
        let ended: Vec<Option<i32>> = both.iter_mut().map(Running::ended).collect();
        ended.iter().any(Option::is_some).then_some(ended)
    });
    let ended = ended.ok_or("both live")?;
    let lives = ended.iter().position(Option::is_none).ok_or_else(|| format!("none lives: {ended:?} {}", tail(&node.said())))?;
    if !both[lives].ready(LIMIT) {
        return Err(format!("the one that lives does not come up: {}", tail(&node.said())));
    }
    let mut sender = Sender::new("o");
    sender.send(node.hook(), "act", 0);
    let [a, b] = both;
    let (mut one, mut other) = if lives == 0 { (a, b) } else { (b, a) };
    other.kill9();
    one.quiet(LIMIT)?;
    one.end()?;
    rest_and_judge(&node, std::slice::from_mut(&mut sender), seen)
}

pub fn index(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let node = Node::new(&outside, &Options::default());
    let mut sender = Sender::new("i");
    let mut running = node.start();
    assert!(running.ready(LIMIT), "it does not come up: {}", tail(&node.said()));
    for what in ["all", "act", "say"] {
        sender.send(node.hook(), what, 0);
    }
    running.quiet(LIMIT).expect("it comes to rest");
    running.end().expect("it ends in order");
    let before = answers(&node);
    let indexes = indexes(&node.data());
    assert!(!indexes.is_empty(), "no index is built: there is no folder `index` in the data directory");
    tally.part("the index tells of every run");
    tally.trial("before anything is done to it", || every_run(&node));
    tally.part("the index is missing, or bytes of it are others: every answer is the same");
    let mut random = plan.random(17);
    for number in 0..plan.count(3, 60) {
        for index in &indexes {
            if number % 3 == 0 {
                let _ = fs::remove_dir_all(index);
            } else {
                spoil(index, &mut random);
            }
        }
        tally.trial(number, || {
            let now = answers(&node);
            let differs = before.iter().find(|(question, answer)| now.get(*question) != Some(answer));
            differs.map_or(Ok(()), |(question, answer)| {
                Err(format!("flyball {question} said {} and says {}", tail(answer), tail(&now[question])))
            })
        });
        let mut running = node.start();
        tally.trial(format!("{number}, started"), || {
            if running.ready(LIMIT) { Ok(()) } else { Err(format!("it does not come up: {}", tail(&node.said()))) }
        });
        let _ = running.end();
    }
}

/// What is told of the runs is what the journal has: answers that are all the same may all be wrong.
fn every_run(node: &Node) -> Result<(), String> {
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let begun = records.iter().filter(|record| matches!(record.entry, Entry::InvocationStart { .. })).count();
    let told: Value =
        serde_json::from_str(&node.ask(&["runs", "-n", "1000", "-o", "json"]).stdout).map_err(|error| error.to_string())?;
    match told.as_array().map_or(0, Vec::len) {
        told if told == begun && told > 0 => Ok(()),
        told => Err(format!("{begun} runs are in the journal, and {told} are told (P9)")),
    }
}

/// What the commands say that look back.
fn answers(node: &Node) -> BTreeMap<String, String> {
    let run = node.ask(&["runs", "-o", "json"]).stdout;
    let first = run.split("\"run\": \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned();
    // Without a number all is read, and no index asked.
    let questions = [
        vec!["runs", "-n", "2", "-o", "json"],
        vec!["replay", &first, "--verify"],
        vec!["why", &first],
        vec!["indoubt"],
        vec!["logs"],
    ];
    // What a later start adds at the end is no difference.
    questions.iter().map(|args| (args.join(" "), node.ask(args).stdout.lines().take(12).collect::<Vec<_>>().join("\n"))).collect()
}

fn indexes(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
    folders.flat_map(|path| if path.ends_with("index") { vec![path] } else { indexes(&path) }).collect()
}

fn spoil(index: &Path, random: &mut crate::binary::Random) {
    let Ok(entries) = fs::read_dir(index) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            spoil(&path, random);
        } else if let Ok(mut bytes) = fs::read(&path)
            && !bytes.is_empty()
        {
            for _ in 0..8 {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            let _ = fs::write(&path, bytes);
        }
    }
}

pub fn standing_still(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    tally.part("SIGSTOP over a cron instant: nobody else gets the log; then SIGCONT: the instant fires once");
    let short: Vec<u64> = (0..plan.count(1, 12)).collect();
    tally.each(4, &short, |_| stopped_over(&outside, 3, 1_500));
    if !plan.quick {
        tally.part("SIGSTOP for more than a minute: the latest instant fires, the others are counted");
        let long: Vec<u64> = (0..plan.count(0, 3)).collect();
        tally.each(3, &long, |_| stopped_over(&outside, 5, 68_000));
    }
}

/// Stands still shortly before an instant of a cron of every `every` seconds, and for `millis` after it.
fn stopped_over(outside: &Outside, every: u32, millis: u64) -> Result<(), String> {
    let cron = format!("  - {{type: cron, cron_expression: \"* * * * * */{every}\"}}");
    let node = Node::new(outside, &Options { triggers: cron, ..Options::default() });
    let mut running = node.start();
    if !running.ready(LIMIT) {
        return Err(format!("it does not come up: {}", tail(&node.said())));
    }
    let begun = Utc::now();
    let instant = next_instant(begun + TimeDelta::seconds(1), every);
    until(instant - TimeDelta::milliseconds(400));
    running.freeze()?;
    let other = refused(&node, running.pid());
    until(instant + TimeDelta::milliseconds(i64::try_from(millis).unwrap_or_default()));
    running.signal("CONT");
    other.map_err(|error| format!("{error} (P12)"))?;
    let awake = Utc::now();
    until(next_instant(awake, every) + TimeDelta::milliseconds(700));
    // An instant that is due while it ends may be taken or not.
    let over = Utc::now();
    running.end()?;
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let fired = fired(&records)?;
    let skipped: u64 = ProcessFold::of(records.iter().filter(|record| record.process == "worker"))
        .triggers
        .values()
        .map(|trigger| trigger.skipped)
        .sum();
    let all: BTreeSet<DateTime<Utc>> =
        std::iter::successors(Some(next_instant(begun, every)), |at| Some(next_instant(*at, every)))
            .take_while(|at| *at < over)
            .collect();
    let missed = all.difference(&fired).count() as u64;
    if missed != skipped {
        return Err(format!("{missed} instants did not fire and {skipped} are counted as passed over (P14): {fired:?}"));
    }
    let slept: Vec<_> = all.range(instant..awake).collect();
    let latest = slept.last().ok_or("no instant fell into the sleep")?;
    if fired.contains(*latest) {
        Ok(())
    } else {
        Err(format!("the latest instant of the sleep, {latest}, did not fire (P14): {fired:?}"))
    }
}

/// The instants that fired; the error is that one did so twice.
fn fired(records: &[Record]) -> Result<BTreeSet<DateTime<Utc>>, String> {
    let mut fired = BTreeSet::new();
    for record in records {
        if let Entry::TriggerEvent { event, .. } = &record.entry
            && event.trigger_type == "cron"
        {
            let instant = event.key().parse().map_err(|_| format!("{} is no instant", event.key()))?;
            if !fired.insert(instant) {
                return Err(format!("{instant} fired twice (P14)"));
            }
        }
    }
    Ok(fired)
}

fn next_instant(after: DateTime<Utc>, every: u32) -> DateTime<Utc> {
    let every = i64::from(every);
    let seconds = (after.timestamp() / every + 1) * every;
    DateTime::from_timestamp(seconds, 0).expect("it is a time")
}

fn until(at: DateTime<Utc>) {
    if let Ok(left) = (at - Utc::now()).to_std() {
        std::thread::sleep(left.max(Duration::ZERO));
    }
}
