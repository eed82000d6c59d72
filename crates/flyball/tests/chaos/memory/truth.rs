//! A journal that is known in every detail, to be damaged.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use flyball::core_agent::Change;
use flyball::journal::{Entry, MemoryStorage, ProcessFold, read_storage};
use serde_json::{Map, json};

use super::life::block_on;
use super::{Life, Outside, Prefixes, bytes, event, open, segments};

/// What a disk held when the machine went down, and what was true then.
pub struct Truth {
    pub disk: MemoryStorage,
    pub segment: u64,
    /// The calls that had arrived by then.
    pub outside: Arc<Outside>,
    pub prefixes: Prefixes,
    /// Of each segment: the places at which everything before it is whole.
    whole_until: BTreeMap<String, Vec<usize>>,
}

/// Which journal it is.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    pub segment: u64,
    /// The payloads are this long, so that the journal has many blocks.
    pub padding: usize,
    /// A checkpoint of `shop` follows its first run.
    pub checkpoint: bool,
    /// The machine went down before there was a second run.
    pub one_run: bool,
    /// An event came in after the call that was never answered.
    pub event_last: bool,
}

impl Truth {
    /// One run of `shop` is done, with a call of each kind; a second one, if there is one, was cut off between the
    /// intent of an irreversible call, which arrived, and its result. `other` did something of its own.
    pub fn made(recipe: Recipe) -> Self {
        let (disk, outside) = (MemoryStorage::default(), Outside::new());
        let padded = |key: &str, what: &str| {
            let mut event = event(key, what);
            event.payload["padding"] = json!("x".repeat(recipe.padding));
            event
        };
        block_on(async {
            let (life, _) = Life::begin(&disk, recipe.segment, &outside).await.expect("it begins");
            life.inject("shop", padded("first", "all")).await.expect("taken");
            life.inject("other", padded("aside", "say")).await.expect("taken");
            life.quiet().await.expect("both are done");
            life.end().await;
        });
        if recipe.checkpoint {
            block_on(checkpoint(&disk, recipe.segment));
        }
        if recipe.one_run {
            return Self::of(disk, recipe.segment, outside);
        }
        let image = block_on(async {
            let (life, _) = Life::begin(&disk, recipe.segment, &outside).await.expect("it begins");
            life.inject("other", padded("aside again", "say")).await.expect("taken");
            outside.hang_in("act");
            life.inject("shop", padded("second", "act")).await.expect("taken");
            outside.hung().await;
            if recipe.event_last {
                life.inject("other", padded("third", "say")).await.expect("taken");
                life.inject("shop", padded("third", "say")).await.expect("taken");
            }
            disk.fork()
        });
        Self::of(image, recipe.segment, outside.fork())
    }

    fn of(disk: MemoryStorage, segment: u64, outside: Arc<Outside>) -> Self {
        let (_, recovery) = open(&disk.fork(), segment).expect("the journal is whole");
        assert!(recovery.torn.is_none() && recovery.damaged.is_empty(), "{recovery:?}");
        let written = read_storage(&disk).expect("the journal can be read");
        let prefixes = Prefixes::of(written);
        let names = segments(&disk);
        let whole_until = names.into_iter().map(|name| (name.clone(), boundaries(&bytes(&disk, &name)))).collect();
        Self { disk, segment, outside, prefixes, whole_until }
    }

    /// The bytes of a segment without the blank rest.
    pub fn used(&self, name: &str) -> Vec<u8> {
        trimmed(&bytes(&self.disk, name)).to_vec()
    }

    /// How many records of `process` may be gone from `disk` with a torn end: where the line that closes the last batch
    /// is still what it was, those of that batch, for it was written once the one before was durable. Else nobody knows.
    pub fn may_be_torn(&self, disk: &MemoryStorage, process: &str) -> Option<usize> {
        let (name, ends) = self.whole_until.last_key_value()?;
        let [.., before, end] = ends.as_slice() else { return None };
        let was = bytes(&self.disk, name);
        let batch = &was[*before..*end];
        let closing = batch[..batch.len() - 1].iter().rposition(|byte| *byte == b'\n')? + 1;
        let place = *before + closing..*end;
        let stands = segments(disk).last() == Some(name) && bytes(disk, name).get(place.clone()) == was.get(place);
        let of_process = format!("\"process\":\"{process}\"");
        let records = String::from_utf8_lossy(&batch[..closing]).lines().filter(|line| line.contains(&of_process)).count();
        stands.then_some(records)
    }

    /// What is on `disk` is this journal as it was at an earlier time, whole: an older journal, of which
    /// nothing in it can tell that it is not the newest.
    pub fn is_older_than_this(&self, disk: &MemoryStorage) -> bool {
        let there = segments(disk);
        let found = |name: &str| if there.iter().any(|known| known == name) { bytes(disk, name) } else { Vec::new() };
        let mut names = self.whole_until.iter();
        let Some((name, whole)) = names.find(|(name, _)| trimmed(&found(name)) != self.used(name)) else { return false };
        let (now, was) = (found(name), bytes(&self.disk, name));
        let whole = whole.iter().chain(&[0]).any(|end| trimmed(&was[..*end]) == trimmed(&now));
        whole && names.all(|(name, _)| trimmed(&found(name)).is_empty())
    }
}

/// Writes a checkpoint of `shop`, between two lives, and before it something that the checkpoint alone would tell.
async fn checkpoint(disk: &MemoryStorage, segment: u64) {
    let (log, _) = open(disk, segment).expect("it opens");
    let change = Change { key: "k".into(), value: json!(7), source: "suite".into(), at: DateTime::UNIX_EPOCH };
    log.process("shop").append(vec![Entry::ContextUpdate { changes: vec![change] }]).await.expect("appended");
    let fold = Box::new(ProcessFold::of(&log.records("shop").expect("read")));
    let entry = Entry::Checkpoint { fold, layers: Map::new() };
    log.process("shop").append(vec![entry]).await.expect("appended");
    log.close();
}

/// The ends of the header and of the batches.
fn boundaries(segment: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    for line in segment.split_inclusive(|byte| *byte == b'\n') {
        start += line.len();
        if line.starts_with(b"{\"commit\":") || line.starts_with(b"{\"segment\":") {
            ends.push(start);
        }
    }
    ends
}

pub fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}
