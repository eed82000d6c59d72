#![doc = include_str!("../README.md")]

mod dedup;
mod doubt;
mod entry;
mod error;
mod fold;
pub mod history;
#[cfg(feature = "index")]
mod index;
mod intent;
mod journal;
mod lifecycle;
mod log;
mod replay;
mod storage;
mod tape;
mod weight;

pub use dedup::{DEDUP_WINDOW, MAX_DEDUP_KEYS, Recalled};
pub use doubt::{Decision, Doubt, doubts, doubts_left};
pub use entry::{Again, Entry, Record};
pub use error::Error;
pub use fold::{
    DeadLetter, EventCounts, Exchange, MAX_DEAD_LETTERS, MAX_EXCHANGES, MAX_HISTORY, OpenRun, Pause, ProcessFold, TriggerFold,
    Window,
};
pub use history::ReplayEngine;
#[cfg(feature = "index")]
pub use index::History;
pub use intent::Intent;
pub use journal::{Appended, Journal, MemoryJournal, append_patiently};
pub use lifecycle::{IDLE, InvalidTransition, LifecycleState, TOO_OLD};
pub use log::{
    Anchor, Audit, Compacted, DEFAULT_SEGMENT_BYTES, Damage, Exported, Log, ProcessAudit, Recovered, Recovery, Retention,
    TornTail, audit, audit_against, audit_storage, damaged, export, is_held, is_log, raw_records, read, read_storage,
};
pub use replay::Replay;
pub use storage::{Fault, FileStorage, MemoryStorage, SegmentFile, Storage, Unsynced, make_folder};
pub use tape::{LeftCall, Tape};
pub use weight::weight;
