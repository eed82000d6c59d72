#![doc = include_str!("../README.md")]

mod error;
mod remote;
mod transport;
mod wire;

pub use error::Error;
pub use remote::{RemoteControl, RemoteTimeouts};
pub use transport::{RuntimeTransport, TransportConfig};
pub use wire::{Health, NodeStatus, ProcessSummary};
