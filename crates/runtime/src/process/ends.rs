//! Runs' ends, in the order of their records.
//!
//! Several runs of a process may end at the same time, and each waits for its own record. What all of them
//! come to must not hang on whose task is awake first: a reader of the journal knows nothing of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::run::RunEnd;

/// Ends that are recorded, until they are seen to.
#[derive(Default)]
pub(super) struct Ends {
    recording: Recording,
    waiting: Vec<RunEnd>,
}

/// Counts the ends that may be in the journal and were not seen to.
#[derive(Clone, Default)]
pub(super) struct Recording(Arc<AtomicUsize>);

impl Recording {
    /// Say so before the record is on its way.
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// It is not in the journal and will not be.
    pub fn give_up(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ends {
    /// For a task that will record its end.
    pub fn recording(&self) -> Recording {
        self.recording.clone()
    }

    /// How many are recorded and not seen to.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// One more. Gives what can be seen to now, in order: nothing while another, whose record may stand
    /// before, is on its way. A process has few runs at a time, so that is soon.
    pub fn add(&mut self, end: RunEnd) -> Vec<RunEnd> {
        self.waiting.push(end);
        if self.recording.0.load(Ordering::SeqCst) > self.waiting.len() { Vec::new() } else { self.take() }
    }

    /// All that were added, in order; for when no other will be.
    pub fn take(&mut self) -> Vec<RunEnd> {
        let mut ends = std::mem::take(&mut self.waiting);
        self.recording.0.fetch_sub(ends.len(), Ordering::SeqCst);
        ends.sort_by_key(|end| end.recorded.as_ref().map(|(appended, _)| appended.seq));
        ends
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use flyball_core_agent::RunId;
    use flyball_journal::{Appended, Entry};

    use super::*;

    fn end(seq: u64) -> RunEnd {
        let appended = Appended { seq, at: DateTime::UNIX_EPOCH };
        let entry = Entry::InvocationHeld { run: RunId("r".into()), why: String::new() };
        RunEnd { event_id: String::new(), recorded: Some((appended, entry)), outcome: None, finish: None, lost: None }
    }

    fn seqs(ends: &[RunEnd]) -> Vec<u64> {
        ends.iter().filter_map(|end| end.recorded.as_ref()).map(|(appended, _)| appended.seq).collect()
    }

    #[test]
    fn an_end_waits_for_those_whose_records_may_stand_before_its_own() {
        let mut ends = Ends::default();
        let recording = ends.recording();
        (0..3).for_each(|_| recording.begin());
        assert!(ends.add(end(7)).is_empty() && ends.add(end(9)).is_empty());
        assert_eq!(ends.len(), 2);
        assert_eq!(seqs(&ends.add(end(5))), [5, 7, 9]);
        recording.begin();
        assert_eq!(seqs(&ends.add(end(11))), [11], "nobody else is on the way");
    }

    #[test]
    fn an_end_that_was_given_up_keeps_nobody_waiting() {
        let mut ends = Ends::default();
        let recording = ends.recording();
        (0..2).for_each(|_| recording.begin());
        recording.give_up();
        assert_eq!(seqs(&ends.add(end(3))), [3]);
    }
}
