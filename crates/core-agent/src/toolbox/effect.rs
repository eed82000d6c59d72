//! What a call does to the world, and so what may be done after a crash.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What calling a tool does. Someone we trust must have said so; undeclared counts as irreversible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It only looks. It may be called again at any time.
    Read,
    /// Called again with the same idempotency key it does nothing more.
    Idempotent,
    /// It must never be called twice for one intent.
    Irreversible,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Irreversible => "irreversible",
        })
    }
}
