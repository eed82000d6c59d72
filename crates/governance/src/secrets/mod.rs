//! Scoped secrets: a process's tools use them, its model never sees them, its journal never holds them.

mod config;
mod forms;
mod layer;
mod resolve;
mod vault;

pub use config::SecretScopeConfig;
pub use layer::Secrets;
pub use resolve::{MissingVariable, resolve_text};
