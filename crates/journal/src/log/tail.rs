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

use super::Recovery;
use super::recover::{Kept, io_error};
use super::request::Request;
use crate::storage::{self, SPARE, Storage};
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
    let noted = read(storage)?;
    let unreadable = matches!(noted, Some(None));
    let mut lost = noted.flatten().unwrap_or_default();
    if unreadable {
        // Whatever it said is true of some of these.
        lost.why = format!("the end of the journal was torn, and {NOTE}, which said what that cost, is damaged");
        lost.add(None, recovery);
    }
    if let Some(torn) = &recovery.torn {
        lost.why = format!("the end of the journal is torn, from byte {} of {} on", torn.offset, torn.segment);
        lost.add(torn.processes.as_deref(), recovery);
    }
    if lost.processes.is_empty() {
        return if unreadable { settled(storage).map(|()| None) } else { Ok(None) };
    }
    if recovery.torn.is_some() || unreadable {
        // Its room is needed where the disk is full; another one is made.
        let _ = storage.remove(SPARE);
        let text = serde_json::to_vec(&lost).map_err(|error| Error::Closed(error.to_string()))?;
        storage::put(storage, NOTE, &text).map_err(|error| io_error("writing", storage, NOTE, &error))?;
    }
    Ok(Some(lost))
}

/// The marks are in the records.
pub(super) fn settled(storage: &dyn Storage) -> Result<(), Error> {
    storage::remove(storage, NOTE).map_err(|error| io_error("removing", storage, NOTE, &error))
}

/// `None` where nothing is noted, or nothing that can be read.
fn read(storage: &dyn Storage) -> Result<Option<Option<Lost>>, Error> {
    match storage.read(NOTE) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).ok())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("reading", storage, NOTE, &error)),
    }
}

impl Lost {
    /// Adds the open events of processes: of those that are `named`, where it is known whose it was.
    fn add<T: Kept>(&mut self, named: Option<&[String]>, recovery: &Recovery<T>) {
        let touched = |process: &&String| named.is_none_or(|named| named.contains(process));
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
