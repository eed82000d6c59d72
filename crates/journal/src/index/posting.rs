//! An entry of the index: where a record lies and what kind of record it is. And the keys that lead there.

use crate::Entry;
use crate::log::spots::Spot;

/// What is told apart without reading the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A layer's note, which a run may have before its start and after its end.
    Note,
    /// An event was taken in.
    Event,
    /// A run began.
    Start,
    /// A run came to its end.
    End,
    Checkpoint,
    Other,
}

const KINDS: [Kind; 6] = [Kind::Other, Kind::Note, Kind::Event, Kind::Start, Kind::End, Kind::Checkpoint];

impl Kind {
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Note { .. } => Self::Note,
            Entry::TriggerEvent { .. } => Self::Event,
            Entry::InvocationStart { .. } => Self::Start,
            Entry::InvocationResult { .. } | Entry::Error { last: true, .. } => Self::End,
            Entry::Checkpoint { .. } => Self::Checkpoint,
            _ => Self::Other,
        }
    }
}

/// Where a record lies, and its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting {
    pub spot: Spot,
    pub kind: Kind,
}

/// Of what the entries under a key are the postings.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Table {
    /// Of a process.
    Process = b'p',
    /// Of a process, in records that carry them on.
    Carried = b'k',
    /// Of a run.
    Run = b'r',
    /// Events that a run caused.
    Caused = b'c',
    /// Of a process and an event: it is taken in, runs that handle it begin, it waits for too long, and what an
    /// operator makes of it when its run failed.
    Event = b'e',
    /// Runs whose last word is not their end; these have no postings.
    Unfinished = b'u',
    /// Segments that were read; these have none either.
    Segment = b's',
}

/// Where the postings of one look at a segment come from: the segment, and where the look began.
pub type Look = (u64, u64);

/// How many bytes of a key that is.
const LOOK: usize = 16;

impl Table {
    /// What all keys of `parts` begin with.
    pub fn prefix(self, parts: &[&str]) -> Vec<u8> {
        let mut key = vec![self as u8];
        for part in parts {
            key.extend_from_slice(part.as_bytes());
            key.push(0);
        }
        key
    }

    /// The key of what a look found of `parts`.
    pub fn key(self, parts: &[&str], look: Look) -> Vec<u8> {
        let mut key = self.prefix(parts);
        key.extend_from_slice(&look.0.to_be_bytes());
        key.extend_from_slice(&look.1.to_be_bytes());
        key
    }
}

/// The parts of a key, each with the zero byte behind it, and its look.
pub fn split(key: &[u8]) -> Option<(&[u8], Look)> {
    let (parts, look) = key.split_at_checked(key.len().checked_sub(LOOK)?)?;
    let (segment, start) = look.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
    Some((parts.get(1..)?, (number(segment)?, number(start)?)))
}

/// Postings of one segment as bytes, each after the one before: they lie near each other.
pub fn encode(postings: &[Posting]) -> Vec<u8> {
    let (mut out, mut seq, mut start) = (Vec::with_capacity(6 * postings.len()), 0, 0);
    for Posting { spot, kind } in postings {
        put(&mut out, zigzag(spot.seq.wrapping_sub(seq)));
        put(&mut out, zigzag(spot.start.wrapping_sub(start)));
        put(&mut out, spot.len);
        let carried = spot.carried.map_or(0, |which| u64::from(which) + 1);
        put(&mut out, carried << 3 | KINDS.iter().position(|known| known == kind).unwrap_or(0) as u64);
        (seq, start) = (spot.seq, spot.start);
    }
    out
}

/// Reads what [`encode`] wrote of `segment`.
pub fn decode(mut bytes: &[u8], segment: u64) -> Option<Vec<Posting>> {
    let (mut postings, mut seq, mut start) = (Vec::new(), 0_u64, 0_u64);
    while !bytes.is_empty() {
        seq = seq.wrapping_add(unzigzag(take(&mut bytes)?));
        start = start.wrapping_add(unzigzag(take(&mut bytes)?));
        let len = take(&mut bytes)?;
        let rest = take(&mut bytes)?;
        let kind = *KINDS.get(usize::try_from(rest & 7).ok()?)?;
        let carried = (rest >> 3).checked_sub(1).map(u32::try_from).transpose().ok()?;
        postings.push(Posting { spot: Spot { segment, start, len, carried, seq }, kind });
    }
    Some(postings)
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: u64) -> u64 {
    number << 1 ^ ((number as i64) >> 63) as u64
}

fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

/// Seven bits a byte, the low ones first; all bytes but the last have their high bit set.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn posting() -> impl Strategy<Value = Posting> {
        let carried = proptest::option::of(0..u32::MAX);
        (any::<u64>(), any::<u64>(), any::<u64>(), carried, 0..KINDS.len()).prop_map(|(seq, start, len, carried, kind)| Posting {
            spot: Spot { segment: 7, start, len, carried, seq },
            kind: KINDS[kind],
        })
    }

    proptest! {
        #[test]
        fn postings_come_back_as_they_were(postings in proptest::collection::vec(posting(), 0..20)) {
            prop_assert_eq!(decode(&encode(&postings), 7), Some(postings));
        }

        #[test]
        fn bytes_that_are_no_postings_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes, 7);
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_written() {
        let key = Table::Event.key(&["process", "e"], (5, u64::MAX));
        assert_eq!(split(&key), Some((b"process\0e\0".as_slice(), (5, u64::MAX))));
        assert!(key.starts_with(&Table::Event.prefix(&["process", "e"])));
    }
}
