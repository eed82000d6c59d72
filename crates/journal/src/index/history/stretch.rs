//! What the index keeps of the records that were read, and what it gives up again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sled::{Batch, Tree};

use super::{REACHED, trouble};
use crate::index::posting::{Kind, Look, Posting, Table, decode, encode, split};
use crate::log::follow::{Halt, Reached, Stretch, number};
use crate::log::spots::Spot;
use crate::{Entry, Record};

/// Adds what was read of a segment, and how far that brings.
pub fn add(tree: &Tree, journal: &Path, stretch: &Stretch, reached: &Reached) -> Result<(), Halt> {
    let lists = Lists::of(stretch).ok_or_else(|| Halt::Broken(format!("{} has names with zero bytes", stretch.segment)))?;
    let reached = serde_json::to_vec(reached).map_err(|error| Halt::Wrong(error.to_string()))?;
    lists.write(tree, &reached).map_err(|error| trouble(journal, error))
}

/// Gives up what lies before the segment `oldest`.
pub fn forget(tree: &Tree, oldest: u64) -> sled::Result<()> {
    for entry in tree.iter().keys() {
        let key = entry?;
        let has_look = *key != *REACHED && !key.starts_with(&[Table::Unfinished as u8]);
        if has_look && split(&key).is_some_and(|(_, (segment, _))| segment < oldest) {
            tree.remove(key)?;
        }
    }
    for entry in tree.scan_prefix([Table::Unfinished as u8]).keys() {
        let key = entry?;
        let of_run = [&[Table::Run as u8], &key[1..]].concat();
        if tree.scan_prefix(of_run).next().is_none() {
            tree.remove(key)?;
        }
    }
    Ok(())
}

/// The postings of a stretch, by their keys.
struct Lists {
    look: Look,
    postings: BTreeMap<Vec<u8>, Vec<Posting>>,
    runs: BTreeSet<String>,
    /// A name has the byte with which names end in keys.
    ambiguous: bool,
}

impl Lists {
    fn of(stretch: &Stretch) -> Option<Self> {
        let segment = number(stretch.segment)?;
        let look = (segment, stretch.records.first().map_or(0, |first| first.start));
        let mut lists = Self { look, postings: BTreeMap::new(), runs: BTreeSet::new(), ambiguous: false };
        for located in &stretch.records {
            let spot = Spot { segment, start: located.start, len: located.len, carried: None, seq: located.record.seq };
            match &located.record.entry {
                Entry::Carried { records } => {
                    for (which, record) in (0..).zip(records) {
                        lists.add(record, Spot { carried: Some(which), seq: record.seq, ..spot });
                    }
                }
                _ => lists.add(&located.record, spot),
            }
        }
        (!lists.ambiguous).then_some(lists)
    }

    fn write(&self, tree: &Tree, reached: &[u8]) -> sled::Result<()> {
        let mut batch = Batch::default();
        for (key, postings) in &self.postings {
            batch.insert(key.as_slice(), encode(postings));
        }
        batch.insert(Table::Segment.key(&[], (self.look.0, 0)), &[]);
        tree.apply_batch(batch)?;
        for run in &self.runs {
            let key = Table::Unfinished.prefix(&[run]);
            if is_finished(tree, run)? {
                tree.remove(key)?
            } else {
                tree.insert(key, &[])?
            };
        }
        // Last: up to here everything is there.
        tree.insert(REACHED, reached)?;
        Ok(())
    }

    fn add(&mut self, record: &Record, spot: Spot) {
        let posting = Posting { spot, kind: Kind::of(&record.entry) };
        let of_process = if spot.carried.is_some() { Table::Carried } else { Table::Process };
        let process = record.process.as_str();
        self.put(of_process, &[process], posting);
        if let Some(run) = record.entry.run() {
            self.put(Table::Run, &[&run.0], posting);
            self.runs.insert(run.0.clone());
        }
        match &record.entry {
            Entry::TriggerEvent { event, .. } => {
                self.put(Table::Event, &[process, &event.event_id], posting);
                if let Some(cause) = &event.cause {
                    self.put(Table::Caused, &[&cause.run], posting);
                }
            }
            Entry::InvocationStart { event_id, .. }
            | Entry::Expired { event_id, .. }
            | Entry::Redelivered { event_id, .. }
            | Entry::Dismissed { event_id, .. } => self.put(Table::Event, &[process, event_id], posting),
            _ => {}
        }
    }

    fn put(&mut self, table: Table, parts: &[&str], posting: Posting) {
        self.ambiguous |= parts.iter().any(|part| part.contains('\0'));
        self.postings.entry(table.key(parts, self.look)).or_default().push(posting);
    }
}

/// Whether a run's last word is its end. Records that were carried on may be added after later ones.
fn is_finished(tree: &Tree, run: &str) -> sled::Result<bool> {
    let prefix = Table::Run.prefix(&[run]);
    let mut last: Option<Posting> = None;
    for entry in tree.scan_prefix(&prefix) {
        let postings = decode(&entry?.1, 0).unwrap_or_default();
        let words = postings.into_iter().filter(|posting| posting.kind != Kind::Note);
        last = words.chain(last).max_by_key(|posting| posting.spot.seq);
    }
    Ok(last.is_some_and(|posting| posting.kind == Kind::End))
}
