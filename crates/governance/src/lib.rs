#![doc = include_str!("../README.md")]

pub mod budget;
mod error;
pub mod health;
mod journalling;
pub mod mission;
mod notify;
mod owed;
pub mod secrets;

pub use budget::{Budget, BudgetConfig, OnExceeded, ToolCostAnnotation};
pub use error::{Error, SecretProblem};
pub use health::{Health, HealthConfig, OnAnomaly};
pub use mission::{Mission, MissionConfig, MissionState, MissionStatus, OnComplete, mission_state};
pub use notify::{EscalationTarget, Facts, NoFacts, NoNotify, Notice, Notify};
pub use secrets::{SecretScopeConfig, Secrets};

/// What is wrong with a section: the field's path inside it, and what to do. Empty where all is well.
pub type Problems = Vec<(String, String)>;
