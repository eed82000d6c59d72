#![doc = include_str!("../README.md")]

pub mod assemble;
pub mod cli;
mod housekeeping;
pub mod instance;
pub mod manifest;
pub mod story;
mod words;

pub use flyball_cluster as cluster;
pub use flyball_context as context;
pub use flyball_core_agent as core_agent;
pub use flyball_governance as governance;
pub use flyball_journal as journal;
pub use flyball_runtime as runtime;
pub use flyball_triggers as triggers;
