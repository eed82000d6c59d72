//! Why a node cannot be served or reached.

use std::net::SocketAddr;

/// What went wrong, told apart by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong; the text names the field and the fix.
    #[error("{0}")]
    Config(String),
    /// Somebody else listens there. Stop that one, name another address, or let the next free port be taken.
    #[error("{addr} is in use{}: stop what listens there, or choose another address", tried_text(*tried))]
    AddressTaken {
        /// The address asked for.
        addr: SocketAddr,
        /// How many ports from it on were tried.
        tried: u16,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {addr}: {cause}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        cause: String,
    },
}

fn tried_text(tried: u16) -> String {
    if tried > 1 { format!(", and so are the {} ports after it", tried - 1) } else { String::new() }
}
