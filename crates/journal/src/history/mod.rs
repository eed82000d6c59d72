//! What happened, as folds over records: for people who look back, not for the runtime.

mod check;
mod engine;
mod runs;
mod tree;

pub use check::{Contradiction, check};
pub use engine::{Recovered, ReplayEngine, process_id};
pub use runs::{FindRun, RunOutcome, RunSummary, Runs};
#[cfg(feature = "index")]
pub(crate) use tree::MAX_DEPTH;
pub use tree::{Because, Caused, Moment, RunTree};

#[cfg(test)]
mod sample;
