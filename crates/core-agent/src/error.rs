//! What can go wrong, told apart by what the caller can do.

use crate::Directive;

/// Why a turn or a call brought no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// A layer ends the run early. It is a normal end: the [`Outcome`](crate::Outcome) carries the directive.
    #[error("halted: {0:?}")]
    Halt(Directive),
    /// The run cannot go on until someone answers. Its future ends; the answer runs it again.
    #[error("parked: {0}")]
    Park(String),
    /// It failed. A model's failure fails the run; a tool's is told to the model.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The run cannot go on from here, whoever failed: a step could not be recorded. It may be run again.
    #[error("{0}")]
    Abort(String),
    /// The run was told to stop before the step was begun. Run again, it begins the step.
    #[error("not begun: the run was told to stop")]
    Cancelled,
}

/// A failure, and whether the other side may have acted all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened, for a person.
    pub message: String,
    /// Whether any byte of the request may have reached the other side.
    pub sent: Sent,
}

/// Whether a request may have reached the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: a clean failure.
    No,
    /// It may have: what it did is unknown.
    Maybe,
}

impl Failure {
    /// A failure before anything was sent.
    pub fn unsent(message: impl Into<String>) -> Self {
        Self { message: message.into(), sent: Sent::No }
    }

    /// A failure after which nobody knows what happened.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self { message: message.into(), sent: Sent::Maybe }
    }
}

/// Why a run did not end in an [`Outcome`](crate::Outcome).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It failed; trying again may help.
    #[error("{0}")]
    Failed(String),
    /// It waits for an answer: run it again with the same id once there is one.
    #[error("held: {0}")]
    Parked(String),
    /// It was asked to stop.
    #[error("cancelled")]
    Cancelled,
}
