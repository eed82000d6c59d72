#![doc = include_str!("../README.md")]

mod error;
mod sink;
mod trigger;

pub use error::Error;
pub use sink::{Offer, Receipt, Refusal, Sink};
pub use trigger::Trigger;
