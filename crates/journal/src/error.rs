//! Why the journal cannot do what it was asked.

use std::path::PathBuf;

/// What went wrong, told apart by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Another runtime owns the log. Stop it, or name another directory.
    #[error("{} is in use by another runtime ({holder}): stop that one first, or choose another data directory", path.display())]
    Locked {
        /// The log's directory.
        path: PathBuf,
        /// What its lock says of who holds it.
        holder: String,
    },
    /// The disk is full. Nothing was accepted; free some space and try again.
    #[error("the disk under {} is full: nothing more is accepted until there is room", path.display())]
    Full {
        /// The file that was written.
        path: PathBuf,
    },
    /// What was to be recorded is nested so deep that it could not be read back. Nothing of it was written.
    #[error("it cannot be recorded: it is nested {levels} levels deep, and {max} is the most")]
    TooDeep {
        /// How deep it is.
        levels: usize,
        /// How deep it may be.
        max: usize,
    },
    /// Records were appended meanwhile, and what was to be appended was made without them. Make it anew.
    #[error("records were appended meanwhile")]
    MovedOn,
    /// Reading or writing failed. What was not acknowledged may be lost, and the segment is not written again.
    #[error("{action} {} failed: {cause}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The journal says something that this version does not know. Use the version that wrote it, or a newer one.
    #[error(
        "{} holds at line {line} a record that this version does not understand ({what}): \
         run the version of flyball that wrote it, or a newer one", path.display()
    )]
    Unknown {
        /// The segment.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is not understood.
        what: String,
    },
    /// A process's records are not what was written. It must not go on from them.
    #[error("the journal of {process} is damaged: {what}")]
    Damaged {
        /// The process.
        process: String,
        /// What is wrong.
        what: String,
    },
    /// The log's writer has ended, after an earlier error or a close.
    #[error("the journal is closed: {0}")]
    Closed(String),
}
