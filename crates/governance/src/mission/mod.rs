//! Missions: an agent runs until a goal is reached, and a judge says when that is.
//!
//! The judge's turn is a step of the run, so that it is journalled with it and answered from the
//! journal when the run is resumed. A mission's state is a fold of its notes.

mod config;
mod core;
mod evidence;
mod layer;
mod state;
mod verdict;

pub use config::{MissionConfig, OnComplete};
pub use layer::Mission;
pub use state::{Evaluation, MissionState, MissionStatus, mission_state};
pub use verdict::{Decision, Verdict};
