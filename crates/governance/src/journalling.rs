//! Writing a layer's own facts down.

use std::sync::Arc;

use flyball_core_agent::{CallError, RunId};
use flyball_journal::{Entry, Error, Journal};
use serde::Serialize;

/// One layer's hand on the journal.
#[derive(Clone)]
pub(crate) struct Notes {
    layer: &'static str,
    journal: Arc<dyn Journal>,
}

impl Notes {
    pub(crate) fn new(layer: &'static str, journal: Arc<dyn Journal>) -> Self {
        Self { layer, journal }
    }

    /// Writes `body` down. It is durable before anything that is written later.
    pub(crate) fn push(&self, run: Option<&RunId>, body: &impl Serialize) -> Result<(), Error> {
        let body = serde_json::to_value(body).unwrap_or_default();
        self.journal.push(Entry::Note { layer: self.layer.to_owned(), run: run.cloned(), body }).map(drop)
    }
}

/// A fact that cannot be written down must not be built upon.
pub(crate) fn not_recorded(error: Error) -> CallError {
    CallError::Abort(format!("a policy's fact could not be recorded: {error}"))
}
