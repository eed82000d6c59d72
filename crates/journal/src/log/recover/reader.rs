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
    /// The segment in which it is spoken of first.
    first: Arc<str>,
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
            self.claimed.insert(process.to_owned(), Claim { hash, first: Arc::clone(segment) });
            return;
        };
        claim.hash = hash;
        if **segment < *claim.first {
            claim.first = Arc::clone(segment);
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
        // A batch is written once the one before is synced, so where more is missing than its own it is damage too.
        let follows = commit.first == self.recovery.last_seq + 1;
        if batch.fits(&commit) || !batch.has_only_holes(after_blank) || !follows {
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

    fn take_batch(&mut self, mut batch: Batch, commit: &Commit) -> Result<(), NotUnderstood> {
        let all_fit = !batch.fits(commit) && batch.begins(commit) && batch.is_readable();
        let restating = batch.split_restating(commit);
        for waiting in batch.lines {
            self.take(waiting, false)?;
        }
        if let Some(process) = commit.restates.as_deref().filter(|process| self.is_wanted(process)) {
            match restating {
                Some(record) => self.take_restating(record, process, commit)?,
                None => self.do_without(process, commit),
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
            let restated =
                commit.restates.as_deref().filter(|process| self.is_wanted(process) && !self.broken.contains(*process));
            self.damage_all("records were lost together with the lines that name their processes", restated);
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

    /// A whole record that says again what its process is: nothing before it is needed, and its commit vouches
    /// for it.
    fn take_restating(&mut self, record: Waiting, process: &str, commit: &Commit) -> Result<(), NotUnderstood> {
        let was_broken = self.broken.remove(process);
        if was_broken || !self.continues(&record) {
            let what = format!("records before {} are damaged, and none of them is needed", commit.last);
            match self.plan.extent {
                Extent::Needed => {
                    self.recovery.damaged.remove(process);
                    self.recovery.mended.insert(process.to_owned(), what);
                }
                Extent::All => drop(self.recovery.damaged.entry(process.to_owned()).or_insert(what)),
            }
        }
        self.take(record, true)
    }

    /// Such a record that is not whole: nothing is lost with it, if everything before it is there.
    fn do_without(&mut self, process: &str, commit: &Commit) {
        let Some(head) = commit.heads.get(process) else { return };
        let all_before = commit.first == self.recovery.last_seq + 1 && !self.broken.contains(process);
        let Some(place) = self.places.get_mut(process).filter(|place| all_before && place.hash != *head) else { return };
        (place.n, place.hash) = (place.n + 1, *head);
        place.last = Arc::clone(&self.segment);
        let what = format!("record {}, which says again what is known without it, is damaged", commit.last);
        self.recovery.mended.insert(process.to_owned(), what);
    }

    /// The record is the next of its process.
    fn continues(&self, waiting: &Waiting) -> bool {
        let Some((_, process, n, hash)) = waiting.line.as_ref().ok().and_then(Line::stands) else { return false };
        let (before, previous) = self.places.get(process).map_or((0, Hash::GENESIS), |place| (place.n, place.hash));
        let linked = match waiting.link {
            Some((before, linked)) => linked && before == previous,
            None => line::expected_hash(waiting.text(), previous) == Some(hash),
        };
        linked && n == before + 1
    }

    /// Takes a record whose own checksum fits, if it continues its process's chain or is `vouched` for.
    fn take(&mut self, mut waiting: Waiting, vouched: bool) -> Result<(), NotUnderstood> {
        let continues = vouched || self.continues(&waiting);
        let line = std::mem::replace(&mut waiting.line, Err(Unreadable::Damaged));
        let Ok(line) = line else { return Ok(()) };
        let Some((seq, process, n, hash)) = line.stands() else { return Ok(()) };
        if self.broken.contains(process) || !self.is_wanted(process) {
            return Ok(());
        }
        if !continues {
            self.damage(process, format!("record {seq} does not continue the chain"));
            return Ok(());
        }
        let restates = matches!(&line, Line::Record { record, .. } if record.entry.restates());
        match self.places.get_mut(process) {
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

    /// Damages every process but one that is known to be whole.
    fn damage_all(&mut self, what: &str, whole: Option<&str>) {
        let hit = |process: &&Arc<str>| self.is_wanted(process) && Some(&***process) != whole;
        let all: BTreeSet<String> = self.places.keys().filter(hit).map(|process| process.to_string()).collect();
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
    /// up to: the next segment's header would else vouch for a part of them as for the whole. And all that is
    /// there now is read again, for no line need name it where it is damaged. So the same damage is found at
    /// every start.
    fn vouch_for_nothing_damaged(&mut self) {
        for process in self.recovery.damaged.keys() {
            if let Some(Claim { hash, first }) = self.claimed.remove(process) {
                let nowhere = || Place::new(0, hash, &first);
                self.places.entry(process.as_str().into()).or_insert_with(nowhere).hash = hash;
            }
            if let Some(place) = self.places.get_mut(process.as_str()) {
                place.last = Arc::clone(&self.segment);
            }
        }
    }

    /// What follows the last commit; or the last batch itself, where parts of it were never written.
    fn torn(&mut self) -> Result<Option<TornTail>, NotUnderstood> {
        let batch = std::mem::take(&mut self.batch);
        if batch.lines.is_empty() {
            return Ok(self.garbled.take().and_then(|(batch, commit)| batch.torn(Some(commit.heads.into_keys().collect()))));
        }
        // The next batch was begun, so the one before it was synced.
        let stays = self.garbled.is_some();
        self.judge_garbled()?;
        Ok(batch.torn(None).map(|torn| TornTail { stays, ..torn }))
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
