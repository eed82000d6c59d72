//! What is known of a connection's state.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a connection's link, its listener and its session.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: AtomicBool,
    suspect: AtomicBool,
    tools_changed: AtomicBool,
}

impl Health {
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
