//! The autonomy budget: an agent acts freely until it has spent what it was given.
//!
//! A call's share is reserved before anything is awaited, and travels in the call's intent record, so that
//! after a crash the [`Ledger`] is a fold of the journal that can count too much and never too little.

mod config;
mod core;
mod layer;
mod ledger;
mod limits;

pub use config::{BudgetConfig, OnExceeded, ToolCostAnnotation};
pub use layer::Budget;
pub use ledger::{Day, Ledger};
