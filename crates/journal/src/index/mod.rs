//! What can be read from a log again at any time, kept beside it so that not all of it need be read.
//!
//! Each index is a sled database of its own, with one owner: the one of the past belongs to whoever
//! looks back, the one of the keys to the runtime. Neither ever holds the only copy of anything. One that
//! was not closed in order, that is not as it was left, or that says something else than the log is
//! thrown away and made anew.

mod database;
mod dedup;
mod history;
mod past;
mod posting;
mod recall;
mod seal;

pub use past::History;
pub(crate) use recall::Recall;
