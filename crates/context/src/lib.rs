#![doc = include_str!("../README.md")]

mod args;
mod config;
mod context;
mod conversation;
mod env;
mod error;
mod memory;
mod mounts;
mod state;
mod suggest;

pub use config::{ContextConfig, MemoryProvider};
pub use context::Context;
pub use conversation::{Conversation, Exchange};
pub use env::EnvView;
pub use error::Error;
pub use memory::{EmbeddedMemory, Memory, MemoryHit, MemoryToolbox};
pub use mounts::FileMounts;
pub use state::{State, StateConfig, StateEntry, StateToolbox};
