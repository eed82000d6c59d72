//! Takes a log's lines one by one, and knows at each what may be relied upon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::batch::{Batch, Waiting};
use super::kept::{Kept, LinePlace, NotUnderstood, Said, Taken};
use super::plan::Plan;
use super::{Extent, Recovery, TornTail};
use crate::log::batch::Chains;
use crate::log::hash::Hash;
use crate::log::line::{self, Commit, Header, Line, Place, Unreadable};
use crate::log::scan::Scanned;

pub struct Reader<'a, T> {
    plan: &'a Plan,
    recovery: Recovery<T>,
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

impl<'a, T: Kept> Reader<'a, T> {
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

    /// Reads a segment. The error is a line that this version does not understand: whatever it says, going
    /// on without it would be a guess.
    pub fn segment(&mut self, name: &str, mut scanned: Scanned) -> Result<(), NotUnderstood> {
        self.skipped = self.plan.after_a_gap.contains(name);
        self.segment = name.into();
        let lines = std::mem::take(&mut scanned.lines);
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            match line.line {
                Err(Unreadable::Unknown(what)) => {
                    let place = LinePlace { segment: Arc::clone(&self.segment), number: line.number, start: line.range.start };
                    return Err(NotUnderstood { place, what });
                }
                Ok(Line::Commit(commit)) => self.commit(commit, line.after_blank)?,
                Ok(Line::Header(header)) => self.header(header)?,
                _ => {
                    let at_hole = line.after_blank || lines.peek().is_some_and(|next| next.after_blank);
                    self.batch.add(&self.segment, &scanned, line, at_hole);
                }
            }
        }
        Ok(())
    }

    /// What a segment says of the processes at its start: taken over where the segments before were
    /// not read, checked where they were.
    fn header(&mut self, header: Header) -> Result<(), NotUnderstood> {
        self.judge_garbled()?;
        // A segment has a name once all before it is durable. So what still waits for its commit is dirt, or a batch
        // that was damaged, and no torn end: it must not be cut off together with this header, which says whose
        // records are missing. Nor is it a part of the batch that comes now.
        self.batch = Batch::default();
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
        Ok(())
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

    fn commit(&mut self, commit: Commit, after_blank: bool) -> Result<(), NotUnderstood> {
        self.judge_garbled()?;
        let batch = std::mem::take(&mut self.batch);
        if batch.fits(&commit) || !batch.has_only_holes(after_blank) {
            return self.take_batch(batch, &commit);
        }
        self.garbled = Some((batch, commit));
        Ok(())
    }

    /// A batch that is followed by another was synced, so what is wrong with it is damage.
    fn judge_garbled(&mut self) -> Result<(), NotUnderstood> {
        match self.garbled.take() {
            Some((batch, commit)) => self.take_batch(batch, &commit),
            None => Ok(()),
        }
    }

    fn take_batch(&mut self, batch: Batch, commit: &Commit) -> Result<(), NotUnderstood> {
        let garbled = !batch.fits(commit);
        let all_fit = garbled && batch.begins(commit) && batch.is_readable();
        let vouched = commit.restates.as_ref().is_some_and(|process| self.restated(process, commit, garbled));
        for waiting in batch.lines {
            self.take(waiting, vouched)?;
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
        Ok(())
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

    /// Takes a record whose own checksum fits, if it continues its process's chain or is `vouched` for.
    fn take(&mut self, mut waiting: Waiting, vouched: bool) -> Result<(), NotUnderstood> {
        let line = std::mem::replace(&mut waiting.line, Err(Unreadable::Damaged));
        let Ok(line) = line else { return Ok(()) };
        let Some((seq, process, n, hash)) = line.stands() else { return Ok(()) };
        if self.broken.contains(process) || !self.is_wanted(process) {
            return Ok(());
        }
        let place = self.places.get_mut(process);
        let (before, previous) = place.as_ref().map_or((0, Hash::GENESIS), |place| (place.n, place.hash));
        let linked = match waiting.link {
            Some((before, linked)) => linked && before == previous,
            None => line::expected_hash(waiting.text(), previous) == Some(hash),
        };
        let continues = vouched || (linked && n == before + 1);
        if !continues {
            self.damage(process, format!("record {seq} does not continue the chain"));
            return Ok(());
        }
        let restates = matches!(&line, Line::Record { record, .. } if record.entry.restates());
        match place {
            Some(place) => place.move_on(n, hash, &self.segment, restates),
            None => drop(self.places.insert(process.into(), Place::new(n, hash, &self.segment))),
        }
        if !self.recovery.processes.contains_key(process) {
            self.recovery.processes.insert(process.to_owned(), T::default());
        }
        let Some(kept) = self.recovery.processes.get_mut(process) else { return Ok(()) };
        let place = LinePlace { segment: Arc::clone(&waiting.segment), number: waiting.number, start: waiting.start() };
        match Said::of(line) {
            Some(said) => kept.take(Taken { said, text: waiting.text(), place }, self.plan.extent),
            None => Ok(()),
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

    pub fn finish(mut self) -> Result<(Recovery<T>, Chains), NotUnderstood> {
        self.recovery.torn = self.torn()?;
        self.recovery.processes.values_mut().try_for_each(Kept::finish)?;
        if self.plan.extent == Extent::Needed {
            self.miss_checkpoints();
        }
        self.vouch_for_nothing_damaged();
        Ok((self.recovery, self.places))
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
    fn torn(&mut self) -> Result<Option<TornTail>, NotUnderstood> {
        if !self.batch.lines.is_empty() {
            // The next batch was begun, so this one was synced.
            self.judge_garbled()?;
        }
        let garbled = self.garbled.take().and_then(|(batch, commit)| batch.torn(Some(commit.heads.into_keys().collect())));
        Ok(garbled.or_else(|| std::mem::take(&mut self.batch).torn(None)))
    }

    /// Records that begin in the middle are only whole if a checkpoint stands before them; and a process
    /// that is known has records.
    fn miss_checkpoints(&mut self) {
        let begins_well = |process: &str| self.recovery.processes.get(process).is_some_and(Kept::begins_well);
        let missing: Vec<Arc<str>> = self.places.keys().filter(|process| !begins_well(process)).cloned().collect();
        for process in missing {
            self.damage(&process, "the checkpoint from which it would go on is missing".to_owned());
            self.recovery.processes.remove(&*process);
        }
    }
}
