//! Takes a log's lines one by one, and knows at each what may be relied upon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::batch::Batch;
use super::plan::Plan;
use super::{Extent, Recovery, TornTail};
use crate::log::batch::Chains;
use crate::log::hash::Hash;
use crate::log::line::{self, Commit, Header, Line, Place, Unreadable};
use crate::log::scan::Scanned;
use crate::{Entry, Record};

pub struct Reader<'a> {
    plan: &'a Plan,
    recovery: Recovery,
    places: Chains,
    batch: Batch,
    /// A batch that is not what its commit line says, as long as no other one follows it.
    garbled: Option<(Batch, Commit)>,
    segment: Arc<str>,
    /// The segment before this one was not read: what it held is known from this one's header.
    skipped: bool,
    /// Processes whose records from here on continue nothing that is known.
    broken: BTreeSet<String>,
    /// Where each process stands by the word of commit lines and headers alone.
    claimed: BTreeMap<String, Claim>,
}

/// What is said of a process apart from its own records.
struct Claim {
    hash: Hash,
    /// The segments in which it is spoken of first and last.
    segments: (Arc<str>, Arc<str>),
}

impl<'a> Reader<'a> {
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            recovery: Recovery::default(),
            places: Chains::new(),
            batch: Batch::default(),
            garbled: None,
            segment: Arc::default(),
            skipped: false,
            broken: BTreeSet::new(),
            claimed: BTreeMap::new(),
        }
    }

    /// Reads a segment. The error is a line, from 1, that this version does not understand: whatever
    /// it says, going on without it would be a guess.
    pub fn segment(&mut self, name: &str, mut scanned: Scanned) -> Result<(), (u64, String)> {
        self.skipped = self.plan.after_a_gap.contains(name);
        self.segment = name.into();
        let lines = std::mem::take(&mut scanned.lines);
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            match line.line {
                Err(Unreadable::Unknown(what)) => return Err((line.number, what)),
                Ok(Line::Commit(commit)) => self.commit(commit, line.after_blank),
                Ok(Line::Header(header)) => self.header(header),
                _ => {
                    let at_hole = line.after_blank || lines.peek().is_some_and(|next| next.after_blank);
                    self.batch.add(name, &scanned, line, at_hole);
                }
            }
        }
        Ok(())
    }

    /// What a segment says of the processes at its start: taken over where the segments before were
    /// not read, checked where they were.
    fn header(&mut self, header: Header) {
        self.judge_garbled();
        if self.skipped {
            self.recovery.last_seq = header.first.saturating_sub(1);
        }
        for (process, place) in header.processes {
            self.claim(&process, place.hash, &place.from);
            let begins_here = self.plan.starts.get(&process).is_some_and(|start| **start == *self.segment);
            if begins_here || (self.skipped && self.is_wanted(&process) && !self.was_read(&process)) {
                self.begin_at(&process, place);
            } else if self.is_wanted(&process) && self.places.get(&*process).is_none_or(|known| known.hash != place.hash) {
                self.damage(&process, format!("records before {} are damaged or missing", header.first));
            }
        }
    }

    fn claim(&mut self, process: &str, hash: Hash, segment: &Arc<str>) {
        let Some(claim) = self.claimed.get_mut(process) else {
            let segments = (Arc::clone(segment), Arc::clone(segment));
            self.claimed.insert(process.to_owned(), Claim { hash, segments });
            return;
        };
        claim.hash = hash;
        let (first, last) = &mut claim.segments;
        if **segment < **first {
            *first = Arc::clone(segment);
        }
        if **segment > **last {
            *last = Arc::clone(segment);
        }
    }

    /// All of the process that comes before this segment was to be read, so it must have come to what the
    /// header says. Whoever reads everything takes what there is on both sides of a gap.
    fn was_read(&self, process: &str) -> bool {
        self.plan.extent == Extent::Needed && self.places.contains_key(process)
    }

    /// Takes a process's place over from a header.
    fn begin_at(&mut self, process: &str, place: Place) {
        if self.places.get(process).is_some_and(|known| known.hash == place.hash) {
            return;
        }
        self.broken.remove(process);
        self.recovery.processes.remove(process);
        if self.plan.extent == Extent::Needed && self.is_too_old(&place) {
            self.damage(process, format!("its records before segment {} are gone", self.segment));
        }
        self.places.insert(process.into(), place);
    }

    /// The records with which the process began, or its checkpoint, are in a segment that is gone.
    fn is_too_old(&self, place: &Place) -> bool {
        self.plan.oldest.as_ref().is_some_and(|oldest| *place.from < **oldest)
    }

    fn commit(&mut self, commit: Commit, after_blank: bool) {
        self.judge_garbled();
        let batch = std::mem::take(&mut self.batch);
        if !batch.fits(&commit) && batch.has_only_holes(after_blank) {
            self.garbled = Some((batch, commit));
        } else {
            self.take_batch(batch, &commit);
        }
    }

    /// A batch that is followed by another was synced, so what is wrong with it is damage.
    fn judge_garbled(&mut self) {
        if let Some((batch, commit)) = self.garbled.take() {
            self.take_batch(batch, &commit);
        }
    }

    fn take_batch(&mut self, batch: Batch, commit: &Commit) {
        let garbled = !batch.fits(commit);
        let all_fit = garbled && batch.begins(commit) && batch.is_readable();
        let vouched = commit.restates.as_ref().is_some_and(|process| self.restated(process, commit, garbled));
        for waiting in batch.lines {
            if let Ok(Line::Record { record, hash }) = waiting.line {
                let linked = vouched || self.continues(&waiting.text, waiting.link, &record, hash);
                self.take(linked, *record, hash);
            }
        }
        for (process, head) in &commit.heads {
            self.claim(process, *head, &self.segment.clone());
            if self.is_wanted(process) && self.places.get(process.as_str()).is_none_or(|known| known.hash != *head) {
                self.damage(process, format!("records up to {} are damaged or missing", commit.last));
            }
        }
        // This line names the processes of its own batch and of the one before. Where still more is
        // missing, nobody says whose it was.
        if commit.before > self.recovery.last_seq + 1 {
            self.damage_all("records were lost together with the lines that name their processes");
        }
        // Lines that each fit, in a batch that does not: something was put between them. Where a line does
        // not fit, the heads above have said whether it was needed.
        if all_fit && commit.restates.is_none() && !commit.heads.keys().any(|process| self.is_damaged(process)) {
            for process in commit.heads.keys() {
                self.damage(process, format!("the batch up to {} is not what was written", commit.last));
            }
        }
        self.recovery.last_seq = self.recovery.last_seq.max(commit.last);
    }

    /// The batch is one record that says again what its process is. Where it is whole, nothing before
    /// it is needed, and its commit vouches for it; where it is not, nothing is lost with it.
    fn restated(&mut self, process: &str, commit: &Commit, garbled: bool) -> bool {
        let Some(head) = commit.heads.get(process).filter(|_| self.is_wanted(process)) else { return false };
        if garbled {
            let Some(place) = self.places.get_mut(process).filter(|_| !self.broken.contains(process)) else { return false };
            (place.n, place.hash) = (place.n + 1, *head);
            place.last = Arc::clone(&self.segment);
            let what = format!("record {}, which says again what is known without it, is damaged", commit.last);
            self.recovery.mended.insert(process.to_owned(), what);
            return false;
        }
        let was_broken = self.broken.remove(process);
        if was_broken && self.plan.extent == Extent::Needed {
            self.recovery.damaged.remove(process);
            let what = format!("records before {} are damaged, and none of them is needed", commit.last);
            self.recovery.mended.insert(process.to_owned(), what);
        }
        was_broken
    }

    /// Whether a record whose own checksum fits continues its process's chain.
    fn continues(&self, text: &[u8], link: Option<(Hash, bool)>, record: &Record, hash: Hash) -> bool {
        let place = self.places.get(record.process.as_str());
        let (n, previous) = place.map_or((0, Hash::GENESIS), |place| (place.n, place.hash));
        let linked = match link {
            Some((before, linked)) => linked && before == previous,
            None => line::expected_hash(text, previous) == Some(hash),
        };
        linked && record.n == n + 1
    }

    fn take(&mut self, linked: bool, record: Record, hash: Hash) {
        if self.broken.contains(&record.process) || !self.is_wanted(&record.process) {
            return;
        }
        if !linked {
            let what = format!("record {} does not continue the chain", record.seq);
            self.damage(&record.process.clone(), what);
            return;
        }
        match self.places.get_mut(record.process.as_str()) {
            Some(place) => place.move_on(record.n, hash, &self.segment, record.entry.restates()),
            None => {
                let place = Place::new(record.n, hash, &self.segment);
                self.places.insert(record.process.as_str().into(), place);
            }
        }
        self.keep(record);
    }

    fn keep(&mut self, record: Record) {
        let needed = self.plan.extent == Extent::Needed;
        let records = self.recovery.processes.entry(record.process.clone()).or_default();
        match record.entry {
            Entry::Carried { records: carried } if needed => *records = carried,
            // Of what was carried on, the part that is not there any more in its first place.
            Entry::Carried { records: mut carried } => {
                let first = records.first().map_or(u64::MAX, |first| first.n);
                carried.retain(|record| record.n < first);
                records.splice(0..0, carried);
            }
            Entry::Checkpoint { .. } if needed => *records = vec![record],
            _ => records.push(record),
        }
    }

    /// The process's records in this segment count.
    fn is_wanted(&self, process: &str) -> bool {
        self.plan.starts.get(process).is_none_or(|start| **start <= *self.segment)
    }

    fn is_damaged(&self, process: &str) -> bool {
        self.recovery.damaged.contains_key(process)
    }

    fn damage(&mut self, process: &str, what: String) {
        self.broken.insert(process.to_owned());
        self.recovery.damaged.entry(process.to_owned()).or_insert(what);
    }

    fn damage_all(&mut self, what: &str) {
        let all: BTreeSet<String> =
            self.places.keys().filter(|process| self.is_wanted(process)).map(|process| process.to_string()).collect();
        for process in all {
            self.damage(&process, what.to_owned());
        }
    }

    pub fn finish(mut self) -> (Recovery, Chains) {
        self.recovery.torn = self.torn();
        if self.plan.extent == Extent::Needed {
            self.miss_checkpoints();
        }
        self.vouch_for_nothing_damaged();
        (self.recovery, self.places)
    }

    /// A damaged process stands where the lines that are whole say, and not where its records can be read
    /// up to: the next segment's header would else vouch for a part of them as for the whole. So the same
    /// damage is found at every start.
    fn vouch_for_nothing_damaged(&mut self) {
        for process in self.recovery.damaged.keys() {
            let Some(Claim { hash, segments: (first, last) }) = self.claimed.remove(process) else { continue };
            let nowhere = || Place { n: 0, hash, from: first.clone(), before: first.clone(), last: last.clone() };
            let place = self.places.entry(process.as_str().into()).or_insert_with(nowhere);
            place.hash = hash;
            place.last = last.max(std::mem::take(&mut place.last));
        }
    }

    /// What follows the last commit; or the last batch itself, where parts of it were never written.
    fn torn(&mut self) -> Option<TornTail> {
        if !self.batch.lines.is_empty() {
            // The next batch was begun, so this one was synced.
            self.judge_garbled();
        }
        let garbled = self.garbled.take().and_then(|(batch, commit)| batch.torn(Some(commit.heads.into_keys().collect())));
        garbled.or_else(|| std::mem::take(&mut self.batch).torn(None))
    }

    /// Records that begin in the middle are only whole if a checkpoint stands before them; and a process
    /// that is known has records.
    fn miss_checkpoints(&mut self) {
        let from_the_middle = |record: &Record| record.n > 1 && !matches!(record.entry, Entry::Checkpoint { .. });
        let begins_well = |process: &str| {
            let first = self.recovery.processes.get(process).and_then(|records| records.first());
            first.is_some_and(|first| !from_the_middle(first))
        };
        let missing: Vec<Arc<str>> = self.places.keys().filter(|process| !begins_well(process)).cloned().collect();
        for process in missing {
            self.damage(&process, "the checkpoint from which it would go on is missing".to_owned());
            self.recovery.processes.remove(&*process);
        }
    }
}
