//! When no new run begins: who said so, until when, and that the journal knows it before anyone is told.

use chrono::{DateTime, Utc};
use flyball_journal::{IDLE, LifecycleState, Pause as Recorded};

use super::life::Life;
use super::supervise::transition;
use crate::{ControlError, Past};

/// Why no new run begins.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    pub why: String,
    pub until: Option<DateTime<Utc>>,
    /// The next event ends it.
    pub idle: bool,
}

/// A pause outlives a crash, a failure, and the wait for a restart. It is ended by whoever resumes or stops the process.
pub(super) fn still_paused(past: &Past) -> Option<Pause> {
    let Recorded { why, until } = past.fold.pause.clone().filter(|pause| pause.why != IDLE)?;
    Some(Pause { why, until, idle: false })
}

impl Life {
    /// Holds back new runs. What is on goes on; that it is paused shows already, and outlives a crash.
    pub async fn pause(&mut self, why: &str) -> Result<(), ControlError> {
        use LifecycleState::{Awaiting, Suspended};
        let from = self.reception.fold.state;
        let entries = match self.reception.fold.pause {
            // Another reason takes the place of the one on record.
            Some(_) if from != Awaiting => vec![transition(from, Awaiting, "paused anew"), transition(Awaiting, Suspended, why)],
            _ => vec![transition(from, Suspended, why)],
        };
        self.reception.append_all(entries).await?;
        self.pause = Some(Pause { why: why.to_owned(), until: None, idle: false });
        Ok(())
    }

    /// A run, or a layer, wants a pause. One that lasts longer stays, and so does the reason for it.
    pub fn pause_until(&mut self, why: String, until: Option<DateTime<Utc>>) {
        let lasting = |pause: &Pause| !pause.idle && Recorded::lasts(pause.until, until);
        if !self.pause.as_ref().is_some_and(lasting) {
            self.pause = Some(Pause { why, until, idle: false });
        }
    }

    /// Ends a pause, if there is one.
    pub async fn resume(&mut self) -> Result<(), ControlError> {
        let from = self.reception.fold.state;
        let on_record = self.reception.fold.pause.is_some() || from == LifecycleState::Suspended;
        if on_record && from != LifecycleState::Awaiting {
            self.reception.append(transition(from, LifecycleState::Awaiting, "resumed")).await?;
        }
        self.pause = None;
        Ok(())
    }

    /// Moves to the state that fits what is on.
    pub fn show_activity(&mut self) -> Result<(), String> {
        use LifecycleState::{Awaiting, Running, Suspended};
        let paused = self.pause.as_ref().map(|pause| pause.why.clone());
        match (self.runs.is_empty(), self.reception.fold.state, paused) {
            (false, Awaiting, _) | (false, Suspended, None) => self.move_to(Running, "a run is on"),
            (true, Running | Awaiting, Some(why)) => self.move_to(Suspended, &why),
            (true, Running, None) => self.move_to(Awaiting, "waiting for a trigger"),
            (true, Suspended, None) => self.move_to(Awaiting, "resumed"),
            _ => Ok(()),
        }
    }

    /// An event ends the pause of a process that had nothing to do.
    pub fn wake_if_idle(&mut self) {
        let idle = self.pause.as_ref().is_some_and(|pause| pause.idle);
        if idle && self.reception.fold.open_events.len() > self.busy.len() {
            self.pause = None;
        }
    }
}
