//! Single records, read from where they are known to lie.

use std::io::ErrorKind;

use super::follow::{Halt, name};
use super::line::{self, Line};
use super::recover::io_error;
use crate::storage::Storage;
use crate::{Entry, Record};

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The number of the segment.
    pub segment: u64,
    /// Where its line begins there.
    pub start: u64,
    /// How long that is, without the newline.
    pub len: u64,
    /// Which of the records that the line carries on it is, from 0; without, the line is the record.
    pub carried: Option<u32>,
    /// The record's number.
    pub seq: u64,
}

/// Lines with no more between them than this are read at once: that costs less than to ask twice.
const GAP: u64 = 16 << 10;

/// The records at `spots`, in their order, and how many bytes were read for them. One that is not what
/// its spot says is [`Halt::Wrong`]. Spots that are sorted by their place are read quickest.
pub(crate) fn records_at(storage: &dyn Storage, spots: &[Spot]) -> Result<(Vec<Record>, u64), Halt> {
    let mut records = Vec::with_capacity(spots.len());
    let mut read = 0;
    let near =
        |one: &Spot, next: &Spot| one.segment == next.segment && (one.start..=one.start + one.len + GAP).contains(&next.start);
    for spots in spots.chunk_by(near) {
        let (Some(first), Some(last)) = (spots.first(), spots.last()) else { continue };
        let bytes = part(storage, first.segment, first.start, last.start + last.len - first.start)?;
        read += bytes.len() as u64;
        for lines in spots.chunk_by(|one, next| one.start == next.start) {
            let from = usize::try_from(lines[0].start - first.start).unwrap_or(usize::MAX);
            let len = usize::try_from(lines[0].len).unwrap_or(usize::MAX);
            let text = bytes.get(from..from.saturating_add(len)).unwrap_or_default();
            take(text, lines, &mut records)?;
        }
    }
    Ok((records, read))
}

fn part(storage: &dyn Storage, segment: u64, start: u64, len: u64) -> Result<Vec<u8>, Halt> {
    let name = name(segment);
    storage.read_part(&name, start, len).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Halt::Vanished,
        _ => Halt::Failed(io_error("reading", storage, &name, &error)),
    })
}

/// Takes the records of one line.
fn take(text: &[u8], spots: &[Spot], records: &mut Vec<Record>) -> Result<(), Halt> {
    let record = match line::read(text) {
        Ok(Line::Record { record, .. }) => Some(*record),
        _ => None,
    };
    for spot in spots {
        let found = match (spot.carried, &record) {
            (None, record) => record.clone(),
            (Some(which), Some(Record { entry: Entry::Carried { records }, .. })) => records.get(which as usize).cloned(),
            (Some(_), _) => None,
        };
        let found = found.filter(|record| record.seq == spot.seq);
        records.push(found.ok_or_else(|| Halt::Wrong(format!("record {} is not where it should be", spot.seq)))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::log::scan::{Depth, scan};
    use crate::{Log, MemoryStorage};

    #[tokio::test]
    async fn what_is_not_where_it_should_be_is_not_taken_for_something_else() {
        let storage = MemoryStorage::default();
        let (log, _) = Log::open_storage(Arc::new(storage.clone()), 1 << 16).expect("the log opens");
        let note = |number| Entry::Note { layer: "test".into(), run: None, body: json!(number) };
        log.process("p").append(vec![note(1), note(2)]).await.expect("appended");
        let lines = scan(storage.read(&name(1)).expect("read"), Depth::Whole).lines;
        let spot = |line: usize, seq| {
            let (start, len) = (lines[line].range.start as u64, lines[line].range.len() as u64);
            Spot { segment: 1, start, len, carried: None, seq }
        };
        let good = [spot(1, 1), spot(2, 2)];
        let numbers = records_at(&storage, &good).map(|(records, _)| records.iter().map(|record| record.seq).collect::<Vec<_>>());
        assert_eq!(numbers.expect("read"), [1, 2]);
        let wrong = [
            spot(1, 2),
            spot(0, 1),
            Spot { start: good[0].start + 1, ..good[0] },
            Spot { len: good[0].len - 1, ..good[0] },
            Spot { start: 1 << 40, ..good[0] },
            Spot { carried: Some(0), ..good[0] },
        ];
        for spot in wrong {
            assert!(matches!(records_at(&storage, &[spot]), Err(Halt::Wrong(_))), "{spot:?}");
        }
        assert!(matches!(records_at(&storage, &[Spot { segment: 9, ..good[0] }]), Err(Halt::Vanished)));
    }
}
