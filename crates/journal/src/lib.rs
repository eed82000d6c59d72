#![doc = include_str!("../README.md")]

mod entry;
mod error;
mod journal;
mod lifecycle;

pub use entry::{Entry, Record};
pub use error::Error;
pub use journal::{Journal, MemoryJournal};
pub use lifecycle::{InvalidTransition, LifecycleState};
