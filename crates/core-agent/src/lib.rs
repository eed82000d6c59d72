#![doc = include_str!("../README.md")]

mod agent;
mod clock;
mod error;
mod event;
mod layer;
mod model;
pub mod nesting;
mod run;
pub mod text;
mod tool_loop;
mod toolbox;

#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "openai")]
pub mod openai;
#[cfg(feature = "scripted")]
pub mod scripted;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(any(feature = "mcp", feature = "openai"))]
mod tls;

pub use agent::{Agent, Directive, Invocation, Note, Outcome};
pub use clock::{Clock, ManualClock, NodeClock, SystemClock};
pub use error::{CallError, Error, Failure, Sent};
pub use event::{Cause, TriggerEvent};
pub use layer::{Due, Layer, Stack};
pub use model::{MAX_CALLS_PER_REPLY, Message, Model, Reply, Turn, Usage, WantedCall};
pub use run::{Run, RunId, StepId};
#[cfg(any(feature = "mcp", feature = "openai"))]
pub use tls::install_provider as install_tls_provider;
pub use tool_loop::{DEFAULT_MAX_TURNS, ToolLoop};
pub use toolbox::{Change, Effect, NameClash, ToolCall, ToolReply, ToolSpec, Toolbox, join};

/// A new unique id. Ids made later sort after ids made earlier.
pub fn fresh_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Twelve hexadecimal digits of a SHA-256: a name for some bytes, short enough for people.
pub fn short_hash(bytes: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(bytes);
    digest[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}
