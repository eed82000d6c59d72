//! Why a trigger cannot be made or cannot go on.

/// What went wrong, told apart by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; the text names the field and the fix.
    #[error("{0}")]
    Config(String),
    /// What the trigger needs is not to be had now; it may be later.
    #[error("{0}")]
    Unavailable(String),
}
