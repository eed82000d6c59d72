//! Reading on in a log from where an earlier reading ended: what was committed since, and nothing else.
//!
//! It vouches only for what is whole. Where something is not, recovery has to say what can be relied
//! upon, and whoever reads on here has to do without.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::hash::Hash;
use super::line::{self, Commit, Header, Line, Place, Unreadable};
use super::recover::{Gone, io_error, segments};
use super::scan::{Depth, Scanned, ScannedLine, scan};
use crate::storage::{SUFFIX, Storage};
use crate::{Entry, Error, Record};

/// How far a reading has come: behind a commit line, or nowhere.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// The segment; empty before anything was read.
    pub segment: String,
    /// The last record.
    pub seq: u64,
    commit: CommitLine,
    /// Where each process stands.
    heads: BTreeMap<String, Head>,
}

/// The commit line behind which a reading ended: by it a log is known as the same one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct CommitLine {
    start: u64,
    end: u64,
    sum: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Head {
    n: u64,
    hash: Hash,
}

/// A record and where its line lies in its segment.
pub(crate) struct Located {
    pub record: Record,
    pub start: u64,
    pub len: u64,
}

/// What was committed to one segment since the last look.
pub(crate) struct Stretch<'a> {
    pub segment: &'a str,
    /// So many bytes were read for it.
    pub bytes: u64,
    pub records: Vec<Located>,
}

/// Why a reading does not go on, or what was noted of an earlier one cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// What was noted is not what the log has. It has to be read anew.
    #[error("it says something else than the journal: {0}")]
    Wrong(String),
    /// The log is not whole.
    #[error("the journal is not whole: {0}")]
    Broken(String),
    /// A file that was listed is not there any more.
    #[error("the journal's oldest part was dropped meanwhile")]
    Vanished,
    /// Reading or writing failed.
    #[error(transparent)]
    Failed(Error),
}

/// How often a log is looked at again where a look did not find it whole.
const MAX_LOOKS: usize = 5;

impl Halt {
    /// Looks at a log, and again where it was not whole: the oldest segment may have been dropped since they
    /// were listed, or half of what was being written was seen.
    pub fn try_again<T>(mut look: impl FnMut() -> Result<T, Self>) -> Result<T, Self> {
        for _ in 1..MAX_LOOKS {
            match look() {
                Err(Self::Vanished | Self::Broken(_)) => {}
                looked => return looked,
            }
        }
        look()
    }
}

impl From<Gone> for Halt {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Vanished => Self::Vanished,
            Gone::Failed(error) => Self::Failed(error),
        }
    }
}

/// Takes what was read, with how far that brings.
pub(crate) type Take<'a> = dyn FnMut(Stretch<'_>, &Reached) -> Result<(), Halt> + 'a;

/// The number of a segment's first record, from its name. What has none was not written by a log.
pub(crate) fn number(segment: &str) -> Option<u64> {
    let digits = segment.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?;
    digits.parse().ok()
}

/// The name of the segment with this first record.
pub(crate) fn name(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// Reads on from `reached` in a log's segments `names`, and gives `take` what is new, segment by segment.
/// From nowhere it begins with the first of `names`, and takes from its header what stands before it.
///
/// A runtime may be writing meanwhile: what has no commit line yet is left for the next time.
pub(crate) fn follow(storage: &dyn Storage, names: &[String], reached: Reached, take: &mut Take) -> Result<(), Halt> {
    Follower { reached, past: 0, depth: Depth::Whole }.follow(storage, names, take)
}

/// The same, but only of the records that take an event in; and of what is damaged up to the record `past` it
/// takes what can still be read.
///
/// Recovery has looked at all of that and found whose records are damaged; these processes do not run. What is
/// left of the others must not be missed because of it. Nothing writes there any more, so what is not whole is
/// not merely on its way.
pub(crate) fn follow_events(
    storage: &dyn Storage,
    names: &[String],
    reached: Reached,
    past: u64,
    take: &mut Take,
) -> Result<(), Halt> {
    Follower { reached, past, depth: Depth::Events }.follow(storage, names, take)
}

/// Every record of a log after the one with the number `seq`.
pub(crate) fn after(storage: &dyn Storage, seq: u64) -> Result<Vec<Record>, Halt> {
    let names = storage.list().map_err(|error| Halt::Failed(io_error("listing", storage, "", &error)))?;
    let at = names.partition_point(|name| number(name).is_some_and(|first| first <= seq + 1)).saturating_sub(1);
    let mut new = Vec::new();
    follow(storage, &names[at..], Reached::default(), &mut |stretch, _| {
        let records = stretch.records.into_iter().map(|located| located.record);
        // What was carried on is told where it stood first.
        new.extend(records.filter(|record| record.seq > seq && !matches!(record.entry, Entry::Carried { .. })));
        Ok(())
    })?;
    Ok(new)
}

struct Follower {
    reached: Reached,
    /// Up to this record it goes on past what is damaged.
    past: u64,
    /// How much it reads of the records.
    depth: Depth,
}

impl Follower {
    fn follow(mut self, storage: &dyn Storage, names: &[String], take: &mut Take) -> Result<(), Halt> {
        let mut ahead = names;
        if !self.reached.segment.is_empty() {
            let at = names.iter().position(|name| *name == self.reached.segment);
            let at = at.ok_or_else(|| Halt::Wrong(format!("segment {} is not there", self.reached.segment)))?;
            ahead = &names[at + 1..];
            self.rest(storage, ahead.first(), take)?;
        }
        let mut then = ahead.iter().skip(1);
        segments::each(storage, ahead, self.depth, |name, scanned| self.segment(name, scanned, then.next(), take))
    }

    /// What came after the last commit line in its segment, if that line is still there.
    fn rest(&mut self, storage: &dyn Storage, next: Option<&String>, take: &mut Take) -> Result<(), Halt> {
        let CommitLine { start, end, sum } = self.reached.commit;
        let segment = self.reached.segment.clone();
        let read = storage.read_part(&segment, start, u64::MAX);
        let mut bytes = read.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Halt::Vanished,
            _ => Halt::Failed(io_error("reading", storage, &segment, &error)),
        })?;
        let line = usize::try_from(end - start).unwrap_or(usize::MAX);
        if bytes.len() < line || crc32c::crc32c(&bytes[..line]) != sum {
            return Err(Halt::Wrong(format!("record {} is not where it was", self.reached.seq)));
        }
        let read = bytes.len() as u64;
        bytes.drain(..line);
        let records = self.lines(&segment, end, scan(bytes, self.depth), next)?;
        take(Stretch { segment: &segment, bytes: read, records }, &self.reached)
    }

    /// A segment from its start; `next` is the one after it.
    fn segment(&mut self, name: &str, mut scanned: Scanned, next: Option<&String>, take: &mut Take) -> Result<(), Halt> {
        if scanned.lines.is_empty() && next.is_none() {
            // None of it was ever written; the next life removes it.
            return Ok(());
        }
        match scanned.lines.first() {
            Some(ScannedLine { line: Ok(Line::Header(header)), .. }) => {
                self.header(name, header)?;
                scanned.lines.remove(0);
            }
            _ if number(name).is_some_and(|first| first <= self.past) => {}
            _ => return Err(broken(name, "it does not begin with its header")),
        }
        let bytes = scanned.bytes.len() as u64;
        let records = self.lines(name, 0, scanned, next)?;
        take(Stretch { segment: name, bytes, records }, &self.reached)
    }

    fn header(&mut self, name: &str, header: &Header) -> Result<(), Halt> {
        if number(name) != Some(header.first) {
            return Err(broken(name, "its name is not that of its first record"));
        }
        let reached = &mut self.reached;
        let adopt = |reached: &mut Reached| {
            let head = |(process, place): (&String, &Place)| (process.clone(), Head { n: place.n, hash: place.hash });
            reached.heads = header.processes.iter().map(head).collect();
            reached.seq = header.first.saturating_sub(1);
        };
        if reached.seq == 0 && reached.heads.is_empty() {
            adopt(reached);
        }
        let known = |(process, place): (&String, &Place)| {
            reached.heads.get(process).is_some_and(|head| head.n == place.n && head.hash == place.hash)
        };
        if header.first != reached.seq + 1 || !header.processes.iter().all(known) {
            if header.first <= self.past + 1 {
                adopt(reached);
                return Ok(());
            }
            return Err(broken(name, "it does not continue the segment before it"));
        }
        Ok(())
    }

    /// The committed records among the lines of `scanned`, which begins at `base` in its segment.
    fn lines(&mut self, segment: &str, base: u64, mut scanned: Scanned, next: Option<&String>) -> Result<Vec<Located>, Halt> {
        let (mut committed, mut batch) = (Vec::new(), Vec::new());
        for line in std::mem::take(&mut scanned.lines) {
            match line.line {
                Err(Unreadable::Unknown(what)) => return Err(broken(segment, &what)),
                Ok(Line::Commit(ref commit)) => {
                    let lines = std::mem::take(&mut batch);
                    match self.batch(&scanned, &lines, commit) {
                        Ok(()) => {}
                        Err(_) if commit.last <= self.past => self.pass(commit),
                        Err(what) => return Err(broken(segment, what)),
                    }
                    committed.extend(records(lines, base));
                    let text = scanned.text(&line);
                    let sum = crc32c::crc32c_append(crc32c::crc32c(text), b"\n");
                    let start = base + line.range.start as u64;
                    self.reached.commit = CommitLine { start, end: start + text.len() as u64 + 1, sum };
                    self.reached.segment = segment.to_owned();
                }
                _ => batch.push(line),
            }
        }
        // At the log's end it is a batch that is being written, or that was torn; and a torn one that was left there
        // has the numbers of what was written after it.
        let stands = |line: &ScannedLine| line.line.as_ref().ok().and_then(|line| Some(line.stands()?.0));
        if let Some(next) = next.and_then(|next| number(next)) {
            batch.retain(|line| stands(line).is_none_or(|seq| seq < next));
        }
        if !batch.is_empty() && next.is_some() {
            if batch.iter().filter_map(stands).all(|seq| seq <= self.past) {
                committed.extend(records(batch, base));
                return Ok(committed);
            }
            return Err(broken(segment, "it ends in lines without a commit"));
        }
        Ok(committed)
    }

    /// Takes a batch, which is what its commit line says and continues what is known.
    fn batch(&mut self, scanned: &Scanned, lines: &[ScannedLine], commit: &Commit) -> Result<(), &'static str> {
        let (mut sum, mut first) = (0, None);
        for line in lines {
            let text = scanned.text(line);
            sum = crc32c::crc32c_append(crc32c::crc32c_append(sum, text), b"\n");
            let stands = line.line.as_ref().ok().and_then(Line::stands);
            let Some((seq, process, n, hash)) = stands else { return Err("a line is not what was written") };
            self.link((seq, process, n, hash), text, line.link)?;
            first.get_or_insert(seq);
        }
        let known = |(process, hash): (&String, &Hash)| self.reached.heads.get(process).is_some_and(|head| head.hash == *hash);
        if sum != commit.sum || first != Some(commit.first) || self.reached.seq != commit.last || !commit.heads.iter().all(known)
        {
            return Err("a batch is not what was written");
        }
        Ok(())
    }

    /// Goes on behind a batch that is damaged, from where its commit line says that its processes stand. The
    /// number of a record that was lost is not known.
    fn pass(&mut self, commit: &Commit) {
        let reached = &mut self.reached;
        for (process, hash) in &commit.heads {
            if reached.heads.get(process).is_none_or(|head| head.hash != *hash) {
                reached.heads.insert(process.clone(), Head { n: 0, hash: *hash });
            }
        }
        reached.seq = reached.seq.max(commit.last);
    }

    /// Takes a record that stands there: its number, its process, its number there, and its hash.
    fn link(
        &mut self,
        (seq, process, n, hash): (u64, &str, u64, Hash),
        text: &[u8],
        link: Option<(Hash, bool)>,
    ) -> Result<(), &'static str> {
        let reached = &mut self.reached;
        if !reached.heads.contains_key(process) {
            reached.heads.insert(process.to_owned(), Head { n: 0, hash: Hash::GENESIS });
        }
        let Some(head) = reached.heads.get_mut(process) else { return Err("it was there") };
        let linked = match link {
            Some((before, linked)) => linked && before == head.hash,
            None => line::expected_hash(text, head.hash) == Some(hash),
        };
        if !linked || n != head.n + 1 || seq != reached.seq + 1 {
            return Err("a record does not continue the chain");
        }
        *head = Head { n, hash };
        reached.seq = seq;
        Ok(())
    }
}

/// The records among `lines`, as far as they can be read, of a segment's part that begins at `base`.
fn records(lines: Vec<ScannedLine>, base: u64) -> impl Iterator<Item = Located> {
    lines.into_iter().filter_map(move |line| match line.line {
        Ok(Line::Record { record, .. }) => {
            let (start, len) = (base + line.range.start as u64, line.range.len() as u64);
            Some(Located { record: *record, start, len })
        }
        _ => None,
    })
}

fn broken(segment: &str, what: &str) -> Halt {
    Halt::Broken(format!("{segment}: {what}"))
}
