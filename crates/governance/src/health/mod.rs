//! Behavioural health: whether an agent does what it should be doing, seen from its calls and answers alone.

mod config;
mod detect;
mod layer;
mod watch;

pub use config::{HealthConfig, OnAnomaly};
pub use detect::{Anomaly, Seen, empty_response, error_rate, looping, stuck};
pub use layer::Health;
