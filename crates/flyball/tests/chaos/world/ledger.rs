//! What arrived, one line a call, durable before it is answered.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::seen::Seen;

/// A secret's value, which must be found nowhere but in the calls that it was meant for.
pub const CANARY: &str = "canary-7f3a91c0d2";

/// A call or a question that arrived.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrival {
    pub at: DateTime<Utc>,
    /// The tool; `model` where a model was asked.
    pub tool: String,
    /// The call's key; for a model, the event's id and the turn.
    pub key: String,
    /// What the call was for.
    #[serde(default)]
    pub n: String,
    /// The journal held what it must hold by now: the call's intent. For a model: it held the answer already.
    pub written: bool,
    /// The secret came along as its value.
    #[serde(default)]
    pub secret: bool,
}

/// One scene's ledger.
pub struct Ledger {
    file: File,
    journal: PathBuf,
    keys: BTreeSet<String>,
    seen: Seen,
}

fn file(scene: &Path) -> PathBuf {
    scene.join("ledger.jsonl")
}

/// All that arrived in a scene, oldest first.
pub fn read(scene: &Path) -> Vec<Arrival> {
    let text = fs::read_to_string(file(scene)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("the ledger's lines are whole")).collect()
}

impl Ledger {
    pub fn open(scene: &Path) -> Self {
        let keys = read(scene).into_iter().filter(|arrival| arrival.tool != "model").map(|arrival| arrival.key).collect();
        fs::create_dir_all(scene).expect("a folder can be made");
        let file = File::options().create(true).append(true).open(file(scene)).expect("the ledger can be written");
        Self { file, journal: scene.join("data/journal"), keys, seen: Seen::default() }
    }

    /// Writes down that something arrived. Says whether its key was known.
    pub fn arrive(&mut self, arrival: &Arrival) -> bool {
        let line = serde_json::to_string(arrival).expect("plain data") + "\n";
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).expect("the ledger can be written");
        arrival.tool != "model" && !self.keys.insert(arrival.key.clone())
    }

    pub fn happened(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether the scene's journal holds a record of this kind about this step by now.
    pub fn journal_holds(&mut self, kind: &str, run: &str, step: &str) -> bool {
        self.seen.holds(&self.journal, kind, run, step)
    }

    /// The run that was begun for an event, by the scene's journal.
    pub fn run_of(&mut self, event: &str) -> Option<String> {
        self.seen.run_of(&self.journal, event)
    }
}
