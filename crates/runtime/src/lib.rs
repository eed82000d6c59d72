#![doc = include_str!("../README.md")]

mod control;
mod process;
mod runtime;
mod spec;
mod status;

pub use control::{Control, ControlError, Settlement};
pub use process::{AgentProcess, StatusWatch};
pub use runtime::{AgentRuntime, JournalHome, RuntimeParts, Unclaimed};
pub use spec::{Blueprint, Built, Cleanup, Delivery, Past, ProcessSpec, Records, Restart, RestartPolicy, StartCause};
pub use status::{ProcessStatus, RuntimeStatus, TriggerStatus};
