#![doc = include_str!("../README.md")]

mod admin;
mod calls;
pub mod drop_name;
mod drops;
mod error;
pub mod health;
pub mod http;
pub mod incident;
pub mod inspect;
pub mod ledger;
pub mod load;
mod lock;
pub mod observation;
mod pipeline;
pub mod quarantine;
pub mod reconcile;
mod text;
mod tools;
pub mod validate;
mod warehouse;

pub use admin::AdminKey;
pub use error::Error;
pub use pipeline::{NAME, Pipeline};
pub use tools::{KEY_IN_META, PipelineServer};
