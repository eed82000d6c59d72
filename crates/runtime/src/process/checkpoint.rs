//! When it is written down what a process is, so that the next start need not read how it came to that.

use std::io;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flyball_journal::{Entry, ProcessFold};

use super::life::Life;

/// Records between two checkpoints, at the least; more where a checkpoint is large, so that
/// checkpoints stay a small part of the journal.
const EVERY: u64 = 2_000;

/// A record for each so many bytes of the last checkpoint, at the least.
const BYTES_A_RECORD: u64 = 500;

/// A process that always has a run on would never have a checkpoint. When one is so many times due, no new run
/// is begun until those that are on have come to their ends.
const OVERDUE: u64 = 2;

/// So long it waits for them, and then goes on without a checkpoint until the next one is due.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far it is to the next checkpoint.
pub(super) struct Pace {
    /// How many records there were at the last one, or when it was last waited for in vain.
    from: u64,
    /// What the last one had.
    bytes: u64,
    /// Since when no new run is begun.
    waits_since: Option<DateTime<Utc>>,
}

impl Pace {
    pub fn new(fold: &ProcessFold) -> Self {
        Self { from: fold.checkpoint_at(), bytes: 0, waits_since: None }
    }

    /// How often a checkpoint would have been due by now.
    fn due(&self, fold: &ProcessFold) -> u64 {
        let weighty = (fold.dedup_keys() as u64 / 2).max(fold.open_events.len() as u64).max(self.bytes / BYTES_A_RECORD);
        fold.entries.saturating_sub(self.from) / EVERY.max(weighty)
    }

    fn patience_ends(&self) -> Option<DateTime<Utc>> {
        self.waits_since.map(|since| since + TimeDelta::from_std(PATIENCE).unwrap_or_default())
    }
}

impl Life {
    /// Between two runs, and when enough has happened since the last one: writes down what all of it
    /// comes to, so that the next start need not read it.
    pub fn checkpoint_if_due(&mut self) -> Result<(), String> {
        self.reception.hold_back(false);
        let due = self.pace.due(&self.reception.fold);
        if due == 0 {
            return Ok(());
        }
        if !self.is_quiet() {
            self.wait_for_quiet(due);
            return Ok(());
        }
        let layers = self.parts.iter().flat_map(|parts| parts.layers.iter());
        let layers = layers.filter_map(|layer| Some((layer.name().to_owned(), layer.snapshot()?))).collect();
        let fold = Box::new(self.reception.fold.clone());
        let entry = Entry::Checkpoint { fold, layers };
        let bytes = size(&entry);
        self.reception.push(entry)?;
        self.pace = Pace { from: self.reception.fold.entries, bytes, waits_since: None };
        Ok(())
    }

    /// No run is on, and no record is on its way that is not in the fold yet: it is what the journal says. Runs
    /// that are held, or that wait to be tried again, write nothing; their steps are on their tapes.
    fn is_quiet(&self) -> bool {
        let settled = || self.reception.fold.open_runs.values().all(|open| open.tape.is_settled());
        self.under_way() == 0 && self.reception.is_quiet() && settled()
    }

    fn wait_for_quiet(&mut self, due: u64) {
        let now = self.now();
        // A run takes its time, and the others shall not wait for it; nor shall they when the clock was set back.
        let too_long =
            self.pace.patience_ends().zip(self.pace.waits_since).is_some_and(|(end, since)| !(since..end).contains(&now));
        if too_long {
            self.pace = Pace { from: self.reception.fold.entries, waits_since: None, ..self.pace };
        } else if due >= OVERDUE {
            self.pace.waits_since.get_or_insert(now);
        }
        self.reception.hold_back(self.pace.waits_since.is_some() && self.under_way() == 0);
    }

    /// No new run is begun, because a checkpoint is waited for; until when, at the latest.
    pub fn waits_for_checkpoint(&self) -> Option<DateTime<Utc>> {
        self.pace.patience_ends()
    }
}

/// How many bytes an entry has as text.
fn size(entry: &Entry) -> u64 {
    struct Count(u64);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // One that cannot be written is refused by the journal.
    let _ = serde_json::to_writer(&mut count, entry);
    count.0
}
