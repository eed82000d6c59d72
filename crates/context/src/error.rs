//! Why something of the context was refused.

/// What went wrong, told apart by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; the text names the field and the fix.
    #[error("{0}")]
    Config(String),
    /// The key may not be written. Write one of those that may, or add it to `writable_keys`.
    #[error("the state key '{key}' is not writable{hint}; writable keys: {writable}")]
    NotWritable {
        /// The key asked for.
        key: String,
        /// `, did you mean 'x'?`, or nothing.
        hint: String,
        /// The keys that may be written.
        writable: String,
    },
    /// The key, its value or their number is over a limit. Write less.
    #[error("{0}")]
    TooLarge(String),
    /// The memory did not answer, or answered with an error. Go on without it; it may be back later.
    #[error("memory is not available: {0}")]
    Memory(String),
}
