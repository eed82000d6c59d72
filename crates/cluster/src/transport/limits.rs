//! How much one caller may take of a node.

use std::time::Duration;

/// The limits of one transport. They are not for users to set; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at the same time. Operators are few; what floods us waits with the system.
    pub(super) connections: usize,
    /// A request's head must be there within this time, and an idle connection is closed after it.
    pub(super) header_timeout: Duration,
    /// A request's head has at most this many bytes.
    pub(super) header_bytes: usize,
    /// A body must be there within this time.
    pub(super) body_timeout: Duration,
    /// A body has at most this many bytes.
    pub(super) body_bytes: usize,
    /// How long a question may take to be answered.
    pub(super) request_timeout: Duration,
    /// How long a start or a stop may take: tool servers come up, runs are drained.
    pub(super) lifecycle_timeout: Duration,
    /// A connection lives this long, so that one that reads its answers slowly frees its place.
    pub(super) connection_age: Duration,
    /// A connection that shall end gets this long for its last request.
    pub(super) grace: Duration,
    /// The pause after an accept that failed.
    pub(super) accept_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            header_timeout: Duration::from_secs(10),
            header_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            lifecycle_timeout: Duration::from_secs(120),
            connection_age: Duration::from_secs(300),
            grace: Duration::from_secs(10),
            accept_pause: Duration::from_millis(100),
        }
    }
}
