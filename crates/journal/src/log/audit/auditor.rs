//! Takes a log's lines one by one and holds each against all that the lines before it said.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{Batch, Pending, Spot};
use super::{Anchor, Audit, Damage};
use crate::log::hash::Hash;
use crate::log::line::{self, Commit, Header, Line, Unreadable};
use crate::log::scan::{Scanned, ScannedLine};

#[derive(Default)]
pub struct Auditor {
    audit: Audit,
    batch: Batch,
    /// Where each process's chain stands. The number is not known where its last record was lost.
    chains: BTreeMap<String, (Option<u64>, Hash)>,
    /// The batch before: its first record.
    before: Option<u64>,
    /// What the first header said counts, since nothing older is left.
    begun: bool,
    /// The log's first record that is left.
    oldest: u64,
    /// What the log is held against, until it was there.
    anchor: Option<Anchor>,
}

impl Auditor {
    /// One that holds the log against `anchor` too.
    pub fn against(anchor: Option<Anchor>) -> Self {
        Self { anchor, ..Self::default() }
    }

    /// The log has come to the end of a batch.
    fn pass(&mut self) {
        let Some(anchor) = self.anchor.take_if(|anchor| anchor.seq == self.audit.last_seq) else { return };
        if Anchor::of(anchor.seq, &self.chains) != anchor {
            self.audit.anchor = Some(format!("what it has up to record {} is not what it was", anchor.seq));
        }
    }

    /// Why the log never came to what it is held against.
    fn missed(&self) -> Option<String> {
        let Anchor { seq, .. } = self.anchor?;
        let last = self.audit.last_seq;
        Some(if seq > last {
            format!("it ends at record {last}, and had come to record {seq}: its end is cut off")
        } else if seq < self.oldest {
            format!("record {seq} is older than all that is left of it: hold it against a newer head")
        } else {
            format!("no batch ends at record {seq}: it is not the one that was written")
        })
    }

    pub fn segment(&mut self, name: &str, mut scanned: Scanned) {
        self.audit.segments += 1;
        self.audit.bytes += scanned.bytes.len() as u64;
        let lines = std::mem::take(&mut scanned.lines);
        if lines.is_empty() {
            // A segment gets its name when its first line is durable.
            self.report(&Spot { segment: name.to_owned(), line: 1, offset: 0 }, [], "the segment is empty".into());
        }
        for (index, line) in lines.into_iter().enumerate() {
            let text = scanned.text(&line).to_vec();
            self.line(name, line, text, index == 0);
        }
    }

    fn line(&mut self, segment: &str, scanned: ScannedLine, text: Vec<u8>, first: bool) {
        let spot = Spot { segment: segment.to_owned(), line: scanned.number, offset: scanned.range.start as u64 };
        let line = scanned.line;
        if first && matches!(line, Ok(Line::Record { .. } | Line::Commit(_))) {
            self.report(&spot, [], "the line that opens the segment is missing".into());
        }
        if scanned.after_blank && line.is_ok() {
            self.batch.bad.push((spot.clone(), "lines before it are gone: there are blank ones in their place".into()));
        }
        match line {
            Ok(Line::Header(header)) => self.header(&spot, header, first),
            Ok(Line::Commit(commit)) => self.commit(&spot, &commit),
            Ok(Line::Record { record, hash }) => {
                self.batch.add(&spot, &text);
                self.batch.records.push(Pending { spot, record, hash, text });
            }
            // An audit reads everything whole.
            Ok(Line::Outline { .. }) => self.batch.bad.push((spot, "it was not read".into())),
            Err(why) => {
                self.batch.add(&spot, &text);
                let what = match why {
                    Unreadable::Damaged => "the line is not what was written".to_owned(),
                    Unreadable::Unknown(what) => format!("this version does not understand the line ({what})"),
                };
                self.batch.bad.push((spot, what));
            }
        }
    }

    fn header(&mut self, spot: &Spot, header: Header, first: bool) {
        if !first {
            self.report(spot, [], "a line that opens a segment stands in the middle of one".into());
        }
        if spot.segment != format!("{:020}{}", header.first, crate::storage::SUFFIX) {
            self.report(spot, [], format!("the segment's first record is {}, and its name says another", header.first));
        }
        if !std::mem::replace(&mut self.begun, true) && self.audit.last_seq == 0 && self.batch.is_empty() {
            self.audit.last_seq = header.first - u64::from(header.first > 0);
            self.chains = header.processes.into_iter().map(|(name, place)| (name, (Some(place.n), place.hash))).collect();
            self.oldest = header.first;
            self.pass();
            return;
        }
        // Lines that still wait for their commit are judged with the next one.
        if self.batch.is_empty() && header.first != self.audit.last_seq + 1 {
            let (from, to) = (self.audit.last_seq + 1, header.first.saturating_sub(1));
            self.report(spot, [], format!("records {from} to {to} are missing before this segment"));
            self.audit.last_seq = to;
        }
        for (process, place) in header.processes {
            if self.batch.is_empty() && self.chains.get(&process).is_none_or(|(_, hash)| *hash != place.hash) {
                self.report(spot, [process.clone()], "its chain does not lead to where this segment begins".into());
                self.chains.insert(process, (Some(place.n), place.hash));
            }
        }
    }

    fn commit(&mut self, spot: &Spot, commit: &Commit) {
        let mut batch = std::mem::take(&mut self.batch);
        let (last, whole) = (self.audit.last_seq, batch.has_all(self.audit.last_seq, commit));
        let intact = batch.bad.is_empty();
        if intact && !batch.fits(commit) {
            self.report(spot, commit.heads.keys().cloned(), "the batch that ends here is not what was written".into());
        }
        if self.before.is_some_and(|before| commit.before != before && commit.before != commit.first) && intact {
            self.report(spot, [], "the batch before this one is not the one that was written before it".into());
        }
        let mut broken = BTreeSet::new();
        for pending in std::mem::take(&mut batch.records) {
            self.take(pending, &mut broken);
        }
        for (process, head) in &commit.heads {
            if self.chains.get(process).is_none_or(|(_, hash)| hash != head) {
                broken.insert(process.clone());
                self.chains.insert(process.clone(), (None, *head));
            }
        }
        for (spot, what) in batch.bad {
            let lost = if whole { "; no record is lost with it" } else { "" };
            self.report(&spot, broken.clone(), format!("{what}{lost}"));
        }
        if intact && !whole {
            let what = format!("records are missing between {} and {}", last + 1, commit.last);
            self.report(spot, broken, what);
        }
        self.before = Some(commit.first);
        self.audit.commits += 1;
        self.audit.last_seq = self.audit.last_seq.max(commit.last);
        self.pass();
    }

    /// Takes a committed record. One whose chain is broken is reported, and the chain goes on from it.
    fn take(&mut self, pending: Pending, broken: &mut BTreeSet<String>) {
        let record = pending.record;
        let known = self.chains.get(&record.process).cloned();
        let (n, previous) = known.unwrap_or_else(|| (self.begun.then_some(0), Hash::GENESIS));
        let linked = line::expected_hash(&pending.text, previous) == Some(pending.hash);
        let numbered = n.is_none_or(|n| record.n == n + 1);
        // Without the line that says where the chains stand, the first link cannot be checked.
        if (n.is_some() || self.chains.contains_key(&record.process)) && !(linked && numbered) {
            broken.insert(record.process.clone());
            let what = format!("record {} does not continue the chain of its process", record.seq);
            self.report(&pending.spot, [record.process.clone()], what);
        }
        let process = self.audit.processes.entry(record.process.clone()).or_default();
        if process.records == 0 {
            process.first = record.n;
        }
        process.records += 1;
        process.last = record.n;
        process.checkpoints += u64::from(record.entry.restates());
        self.audit.records += 1;
        self.chains.insert(record.process, (Some(record.n), pending.hash));
    }

    fn report(&mut self, spot: &Spot, processes: impl IntoIterator<Item = String>, what: String) {
        let processes = processes.into_iter().collect();
        self.audit.damage.push(Damage { segment: spot.segment.clone(), line: spot.line, offset: spot.offset, processes, what });
    }

    pub fn finish(mut self) -> Audit {
        self.audit.torn = self.batch.torn();
        self.audit.anchor = self.audit.anchor.take().or_else(|| self.missed());
        self.audit.head = (!self.chains.is_empty()).then(|| Anchor::of(self.audit.last_seq, &self.chains));
        self.audit
    }
}
