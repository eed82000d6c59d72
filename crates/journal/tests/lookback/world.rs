//! A log that grows at random: every kind of entry, checkpoints, dropped segments, several lives, torn ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Cause, Change, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent};
use flyball_journal::{Decision, Entry, FileStorage, LifecycleState, Log, ProcessFold, Retention, Storage};
use serde_json::{Map, json};
use tempfile::TempDir;

use super::Dice;

/// Small, so that a few records need several segments.
const SEGMENT: u64 = 2_000;

const PROCESSES: [&str; 3] = ["analyst", "monitor", "responder"];

/// A log in a folder of its own, and what is known of it.
pub struct World {
    dir: TempDir,
    log: Option<Arc<Log>>,
    dice: Dice,
    runs: Vec<(String, String, String)>,
    events: Vec<(String, String)>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            log: None,
            dice: Dice::new(seed),
            runs: Vec::new(),
            events: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    /// The log's folder.
    pub fn journal(&self) -> &Path {
        self.dir.path()
    }

    /// The files of its index, in a fixed order.
    pub fn index_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.index()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        files.sort();
        files
    }

    pub fn index(&self) -> PathBuf {
        self.journal().join("index/history")
    }

    /// The log's segments, oldest first.
    pub fn segments(&self) -> Vec<PathBuf> {
        let storage = FileStorage::open(self.journal()).unwrap();
        storage.list().unwrap().iter().map(|name| self.journal().join(name)).collect()
    }

    /// The number of the oldest segment's first record.
    pub fn first_record(&self) -> u64 {
        self.segments()[0].file_stem().unwrap().to_str().unwrap().parse().unwrap()
    }

    pub fn log(&mut self) -> Arc<Log> {
        if self.log.is_none() {
            let storage = Arc::new(FileStorage::open(self.dir.path()).unwrap());
            self.log = Some(Log::open_storage(storage, SEGMENT).unwrap().0);
        }
        Arc::clone(self.log.as_ref().unwrap())
    }

    /// Ends the log's life.
    pub fn close(&mut self) {
        self.log = None;
    }

    /// Appends `count` groups of entries, and now and then a checkpoint.
    pub fn grow(&mut self, count: usize) {
        for _ in 0..count {
            let process = *self.dice.pick(&PROCESSES);
            let size = 1 + self.dice.below(4);
            let entries: Vec<Entry> = (0..size).map(|_| self.entry(process)).collect();
            self.append(process, entries);
            if self.dice.one_in(12) {
                self.checkpoint(process);
            }
        }
    }

    pub fn append(&mut self, process: &str, entries: Vec<Entry>) {
        let journal = self.log().process(process);
        self.runtime.block_on(journal.append(entries)).unwrap();
    }

    pub fn checkpoint(&mut self, process: &str) {
        let fold = ProcessFold::of(&self.log().records(process).unwrap());
        self.append(process, vec![Entry::Checkpoint { fold: Box::new(fold), layers: Map::new() }]);
    }

    /// Drops the oldest segments, so that no more than about `segments` are left. Whoever is idle is carried on.
    pub fn compact(&mut self, segments: u64) -> usize {
        let retention = Retention { max_bytes: Some(segments * SEGMENT), max_age: None };
        self.log().compact(&retention, Utc::now()).unwrap().dropped.len()
    }

    /// Ends the log's life with half a batch at its end.
    pub fn tear(&mut self) {
        self.close();
        let last = self.segments().pop().unwrap();
        let mut bytes = fs::read(&last).unwrap();
        if !bytes.ends_with(b"\n") {
            return;
        }
        let used = bytes.iter().rposition(|byte| *byte != b'\n').unwrap() + 2;
        let line = bytes[..used].split_inclusive(|byte| *byte == b'\n').next_back().unwrap().to_vec();
        bytes.truncate(used);
        bytes.extend_from_slice(&line[..line.len() / 2]);
        fs::write(last, bytes).unwrap();
    }

    fn entry(&mut self, process: &str) -> Entry {
        let change = Change { key: "k".into(), value: json!(self.dice.below(9)), source: "agent".into(), at: Utc::now() };
        match self.dice.below(16) {
            0..4 => self.event(process),
            4..7 => self.start(process),
            7 => Entry::ContextUpdate { changes: vec![change] },
            8 => {
                let states = [LifecycleState::Starting, LifecycleState::Running, LifecycleState::Stopped];
                let (from_state, to_state) = (*self.dice.pick(&states), *self.dice.pick(&states));
                Entry::StateTransition { from_state, to_state, reason: "r".into() }
            }
            9 => self.of_event(process),
            10 => Entry::Recovered { entries_replayed: 1, interrupted: vec![], pending_events: 0 },
            11 => {
                let cursor = Map::from_iter([("last".to_owned(), json!(self.dice.below(9)))]);
                let skipped = self.dice.below(2) as u64;
                Entry::TriggerMoved { trigger_id: "t".into(), cursor, skipped, why: "late".into() }
            }
            _ => self.of_run(process),
        }
    }

    fn event(&mut self, process: &str) -> Entry {
        let id = format!("e{}", self.events.len());
        let kind = if self.dice.one_in(2) { "cron" } else { "event" };
        let mut event = TriggerEvent::new("t", kind, DateTime::UNIX_EPOCH, json!({}));
        event.event_id = id.clone();
        if self.dice.one_in(2) && !self.runs.is_empty() {
            let (process, run, _) = self.dice.pick(&self.runs).clone();
            event.cause = Some(Cause { process, run, hops: 1 });
        }
        self.events.push((process.to_owned(), id));
        Entry::accepted(event)
    }

    fn start(&mut self, process: &str) -> Entry {
        let own: Vec<String> = self.events.iter().filter(|(of, _)| of == process).map(|(_, id)| id.clone()).collect();
        if own.is_empty() {
            return self.event(process);
        }
        // Mostly of late events; now and then the same run again, or two runs for one event.
        let event_id = own[own.len() - 1 - self.dice.below(own.len().min(3))].clone();
        let known: Vec<_> = self.runs.iter().filter(|(of, _, _)| of == process).cloned().collect();
        let (run, event_id, attempt) = match self.dice.below(4) {
            0 if !known.is_empty() => {
                let (_, run, event_id) = self.dice.pick(&known).clone();
                (run, event_id, 2)
            }
            _ => (format!("{:x}-{}", self.dice.below(4096), self.runs.len()), event_id, 1),
        };
        self.runs.push((process.to_owned(), run.clone(), event_id.clone()));
        Entry::InvocationStart { run: RunId(run), event_id, attempt, again: None }
    }

    fn of_event(&mut self, process: &str) -> Entry {
        let Some((_, event_id)) = self.events.last().cloned() else { return self.event(process) };
        match self.dice.below(4) {
            0 => Entry::Expired { event_id, why: "old".into() },
            1 => Entry::Redelivered { event_id, note: String::new() },
            2 => Entry::Dismissed { event_id, note: "n".into() },
            _ => Entry::TailLost { why: "w".into(), events: vec![event_id] },
        }
    }

    fn of_run(&mut self, process: &str) -> Entry {
        let own: Vec<_> = self.runs.iter().filter(|(of, _, _)| of == process).cloned().collect();
        let Some((_, run, event_id)) = own.iter().rev().nth(self.dice.below(5)).or(own.last()).cloned() else {
            return self.event(process);
        };
        let (run, step) = (RunId(run), StepId::call(0, u32::try_from(self.dice.below(3)).unwrap()));
        let notes = Map::from_iter([("budget".to_owned(), json!({"cost": 1.5}))]);
        match self.dice.below(12) {
            0 => Entry::ModelReply { run, step: StepId::turn(0), reply: Reply::say("hello") },
            1 | 2 => {
                let (tool, args) = ("wipe".to_owned(), Map::new());
                let effect = *self.dice.pick(&[Effect::Read, Effect::Idempotent, Effect::Irreversible]);
                Entry::ToolCall { run, step, attempt: 1, tool, args, effect, notes }
            }
            3 => Entry::ToolResult { run, step, reply: ToolReply::ok("x"), refused: false, settled_by: None },
            4 | 5 => Entry::InvocationHeld { run, why: "in doubt".into() },
            6 => {
                let decision = self.dice.pick(&[Decision::Abort, Decision::Retry, Decision::DidNotHappen]).clone();
                Entry::Settled { run, event_id, step, decision, note: "n".into() }
            }
            7 => Entry::Error { run, event_id, error: "e".into(), last: self.dice.one_in(2), retry_at: None },
            8 => Entry::Note { layer: "health".into(), run: Some(run), body: json!({"x": 1}) },
            _ => Entry::InvocationResult { run, event_id, outcome: Outcome::default(), changes: vec![] },
        }
    }
}

/// Copies a folder as it is at the moment. A file that goes away meanwhile is left out.
pub fn copy(from: &Path, to: &Path) {
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
