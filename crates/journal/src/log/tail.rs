//! What a torn end may have cost.
//!
//! The lines after the last commit were never acknowledged if a crash tore them. If the disk damaged
//! them later, they were: a call's intent may have stood there, and the call may have left. Nobody
//! can tell the one from the other. So every run that could have had a step there is marked in its
//! process's records, and a call of it that must not be made twice waits for a decision.
//!
//! The mark must not be lost between the cut and its own record, so it is noted in a file first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::recover::{Kept, io_error};
use super::request::Request;
use super::{Recovery, TornTail};
use crate::storage::{self, Storage};
use crate::{Entry, Error};

/// The events, by process, whose runs may have lost a step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Lost {
    why: String,
    processes: BTreeMap<String, BTreeSet<String>>,
}

/// The file in which this is noted until it is in the records.
const NOTE: &str = "lost-tail.json";

/// What the torn end of `recovery`, or one that an earlier start did not get to mark, may have cost.
/// It is noted durably when this returns.
pub(super) fn note<T: Kept>(storage: &dyn Storage, recovery: &Recovery<T>) -> Result<Option<Lost>, Error> {
    let mut lost = read(storage)?.unwrap_or_default();
    if let Some(torn) = &recovery.torn {
        lost.add(torn, recovery);
        if !lost.processes.is_empty() {
            let text = serde_json::to_vec(&lost).map_err(|error| Error::Closed(error.to_string()))?;
            storage::put(storage, NOTE, &text).map_err(|error| io_error("writing", storage, NOTE, &error))?;
        }
    }
    Ok(Some(lost).filter(|lost| !lost.processes.is_empty()))
}

/// The marks are in the records.
pub(super) fn settled(storage: &dyn Storage) -> Result<(), Error> {
    storage::remove(storage, NOTE).map_err(|error| io_error("removing", storage, NOTE, &error))
}

fn read(storage: &dyn Storage) -> Result<Option<Lost>, Error> {
    match storage.read(NOTE) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            let path = storage.path().join(NOTE);
            Error::Unknown { path, line: 1, what: error.to_string() }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("reading", storage, NOTE, &error)),
    }
}

impl Lost {
    fn add<T: Kept>(&mut self, torn: &TornTail, recovery: &Recovery<T>) {
        self.why = format!("the end of the journal was cut off at byte {} of {}", torn.offset, torn.segment);
        let touched = |process: &&String| torn.processes.as_ref().is_none_or(|named| named.contains(process));
        // A damaged process does not run, and its chain takes no further record.
        let sound = |process: &&String| !recovery.damaged.contains_key(*process);
        for process in recovery.processes.keys().filter(touched).filter(sound) {
            let fold = recovery.processes[process].fold();
            let open: BTreeSet<String> = fold.open_events.values().map(|event| event.event_id.clone()).collect();
            if !open.is_empty() {
                self.processes.entry(process.clone()).or_default().extend(open);
            }
        }
    }

    /// The marks.
    pub fn requests(self) -> Result<Vec<Request>, Error> {
        let mark = |(process, events): (String, BTreeSet<String>)| {
            let entry = Entry::TailLost { why: self.why.clone(), events: events.into_iter().collect() };
            Request::push(process.as_str().into(), vec![entry])
        };
        self.processes.into_iter().map(mark).collect()
    }
}
