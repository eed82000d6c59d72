//! What is known of a connection's state.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a connection's transport, link, listener and session.
#[derive(Debug, Default)]
pub(super) struct Health {
    first_failure: OnceLock<String>,
    broken: AtomicBool,
    suspect: AtomicBool,
    tools_changed: AtomicBool,
}

impl Health {
    /// A request failed because of `cause`. Where that ends the connection, rmcp says only that it is closed.
    pub(super) fn note_failure(&self, cause: String) {
        // The first one is the cause; what comes later follows from it.
        let _ = self.first_failure.set(cause);
    }

    /// Why a request failed, if one did.
    pub(super) fn first_failure(&self) -> Option<String> {
        self.first_failure.get().cloned()
    }

    /// The connection is gone for good.
    pub(super) fn note_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// A call had no answer in time; the server may be dead.
    pub(super) fn note_suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// Whether someone had doubts since this was last asked.
    pub(super) fn take_suspect(&self) -> bool {
        self.suspect.swap(false, Ordering::AcqRel)
    }

    /// The server said that it has other tools now.
    pub(super) fn note_tools_changed(&self) {
        self.tools_changed.store(true, Ordering::Release);
    }

    pub(super) fn take_tools_changed(&self) -> bool {
        self.tools_changed.swap(false, Ordering::AcqRel)
    }
}
