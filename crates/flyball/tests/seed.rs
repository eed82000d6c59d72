//! The seed's eleven steps and its complete example, each claim of them a test: manifests in, real tools, what the
//! journal and the status say.
#![cfg(test)]

#[path = "seed/complete.rs"]
mod complete;
#[path = "seed/filters.rs"]
mod filters;
#[path = "seed/step_01.rs"]
mod step_01;
#[path = "seed/step_02.rs"]
mod step_02;
#[path = "seed/step_03.rs"]
mod step_03;
#[path = "seed/step_04.rs"]
mod step_04;
#[path = "seed/step_05.rs"]
mod step_05;
#[path = "seed/step_06.rs"]
mod step_06;
#[path = "seed/step_07.rs"]
mod step_07;
#[path = "seed/step_08.rs"]
mod step_08;
#[path = "seed/step_09.rs"]
mod step_09;
#[path = "seed/step_10.rs"]
mod step_10;
#[path = "seed/step_11.rs"]
mod step_11;
#[path = "seed/support/mod.rs"]
mod support;
