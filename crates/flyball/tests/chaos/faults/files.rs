//! F47: more changes than the system reports, editors that save by renaming, and a watched folder that goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flyball::journal::{Entry, Record};

use super::kill::{LIMIT, tail};
use crate::real::{Node, Options, Outside, Running};
use crate::tally::{Plan, Tally};

pub fn changes(plan: &Plan, tally: &Tally) {
    let outside = Outside::start();
    let trials: Vec<u64> = (0..plan.count(1, 5)).collect();
    tally.part("editors' atomic saves: the last state of each file is told of");
    tally.each(2, &trials, |_| atomic_saves(&outside));
    tally.part("the watched folder is deleted and made again, with files in it");
    tally.each(2, &trials, |_| root_deleted(&outside));
    tally.part("files that changed while it was killed");
    tally.each(2, &trials, |_| while_it_was_down(&outside));
    let floods: Vec<u64> = (0..plan.count(2, 4)).collect();
    tally.part("more changes than the system's queue holds, while it stands still");
    tally.each(1, &floods, |number| overflow(&outside, number % 2 == 0));
}

struct Watched {
    node: Node,
    running: Running,
    dir: PathBuf,
}

impl Watched {
    fn start(outside: &Outside) -> Result<Self, String> {
        let trigger = "  - {type: file_watch, watch_path: inbox, watch_patterns: [\"*.txt\"], watch_debounce_seconds: 0.1}";
        let node = Node::new(outside, &Options { triggers: trigger.into(), ..Options::default() });
        let mut running = node.start();
        if !running.ready(LIMIT) {
            return Err(format!("it does not come up: {}", tail(&node.said())));
        }
        let dir = node.manifests().join("inbox");
        crate::binary::eventually(LIMIT, || dir.is_dir().then_some(())).ok_or("the watched folder is not made")?;
        Ok(Self { node, running, dir })
    }

    /// Waits until `wanted` likes the events that were taken.
    fn until(&self, limit: Duration, wanted: impl Fn(&BTreeMap<String, Vec<String>>) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        loop {
            let events = self.events()?;
            if wanted(&events) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let some: Vec<_> = events.iter().take(5).collect();
                return Err(format!("{} files were told of, and not all: {some:?} (no loss)", events.len()));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// By file: the states of it that were told of, as their keys say.
    fn events(&self) -> Result<BTreeMap<String, Vec<String>>, String> {
        let records = flyball::journal::read(&self.node.journal()).map_err(|error| error.to_string())?;
        told(&records)
    }

    fn end(self) -> Result<(), String> {
        self.running.end()
    }
}

fn told(records: &[Record]) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for record in records {
        if let Entry::TriggerEvent { event, .. } = &record.entry
            && event.trigger_type == "file_watch"
        {
            if !keys.insert(event.key().to_owned()) {
                return Err(format!("{} was told of twice (P2)", event.key()));
            }
            let name = event.payload["filename"].as_str().unwrap_or_default().to_owned();
            told.entry(name).or_default().push(event.key().to_owned());
        }
    }
    Ok(told)
}

/// The state of a file, as a key ends: inode, size and time of modification.
fn state(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path).expect("the file is there");
    format!("{}:{}:{}", meta.ino(), meta.len(), i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()))
}

fn save(dir: &Path, name: &str, text: &str) {
    let draft = dir.join(format!("{name}.tmp"));
    fs::write(&draft, text).expect("a file can be written");
    fs::rename(draft, dir.join(name)).expect("a file can be renamed");
}

fn atomic_saves(outside: &Outside) -> Result<(), String> {
    let watched = Watched::start(outside)?;
    for round in 0..5 {
        for number in 0..20 {
            save(&watched.dir, &format!("{number}.txt"), &format!("round {round}{}", "x".repeat(round)));
        }
        std::thread::sleep(Duration::from_millis(150));
    }
    all_told(&watched, (0..20).map(|number| format!("{number}.txt")).collect(), Duration::from_secs(30))?;
    watched.end()
}

/// The last state of each of these files is told of.
fn all_told(watched: &Watched, names: Vec<String>, limit: Duration) -> Result<(), String> {
    let states: BTreeMap<&String, String> = names.iter().map(|name| (name, state(&watched.dir.join(name)))).collect();
    watched.until(limit, |events| {
        let known = |(name, state): (&&String, &String)| {
            events.get(*name).is_some_and(|keys| keys.iter().any(|key| key.contains(state.as_str())))
        };
        states.iter().all(known)
    })
}

fn root_deleted(outside: &Outside) -> Result<(), String> {
    let watched = Watched::start(outside)?;
    fs::write(watched.dir.join("before.txt"), "1").map_err(|error| error.to_string())?;
    watched.until(Duration::from_secs(20), |events| events.contains_key("before.txt"))?;
    fs::remove_dir_all(&watched.dir).map_err(|error| error.to_string())?;
    let _ = fs::create_dir_all(&watched.dir);
    for number in 0..10 {
        fs::write(watched.dir.join(format!("after{number}.txt")), "2").map_err(|error| error.to_string())?;
    }
    all_told(&watched, (0..10).map(|number| format!("after{number}.txt")).collect(), Duration::from_secs(40))?;
    watched.end()
}

fn while_it_was_down(outside: &Outside) -> Result<(), String> {
    let mut watched = Watched::start(outside)?;
    fs::write(watched.dir.join("first.txt"), "1").map_err(|error| error.to_string())?;
    watched.until(Duration::from_secs(20), |events| events.contains_key("first.txt"))?;
    watched.running.kill9();
    fs::write(watched.dir.join("first.txt"), "another").map_err(|error| error.to_string())?;
    save(&watched.dir, "second.txt", "new");
    watched.running = watched.node.start();
    all_told(&watched, vec!["first.txt".into(), "second.txt".into()], Duration::from_secs(30))?;
    watched.end()
}

/// Opens that change nothing fill the queue too, and are no news: then only the system tells that reports are lost.
fn overflow(outside: &Outside, only_looked: bool) -> Result<(), String> {
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(16_384);
    let watched = Watched::start(outside)?;
    for name in ["much0.txt", "much1.txt"] {
        fs::write(watched.dir.join(name), "x").map_err(|error| error.to_string())?;
    }
    watched.until(Duration::from_secs(20), |events| events.contains_key("much1.txt"))?;
    watched.running.freeze()?;
    let name = |number: usize| watched.dir.join(format!("much{}.txt", number % 2));
    for number in 0..queue + 500 {
        // Another file comes between two reports of the same, so that each counts.
        let done = if only_looked { fs::File::open(name(number)).map(drop) } else { fs::write(name(number), "x") };
        done.map_err(|error| error.to_string())?;
    }
    let count = 200;
    for number in 0..count {
        fs::write(watched.dir.join(format!("{number}.txt")), "x").map_err(|error| error.to_string())?;
    }
    watched.running.signal("CONT");
    all_told(&watched, (0..count).map(|number| format!("{number}.txt")).collect(), Duration::from_secs(60))?;
    watched.end()
}
