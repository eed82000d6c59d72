//! The context as its users see it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, and says where")]

mod context {
    mod config;
    mod conversation;
    mod memory;
    mod notes;
    mod sources;
    mod state;
    mod state_tools;
    pub mod support;
}
