#![doc = include_str!("../README.md")]

mod control;
mod status;

pub use control::{Control, ControlError};
pub use status::{ProcessStatus, RuntimeStatus, TriggerStatus};
