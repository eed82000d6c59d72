//! Every setting of a manifest reaches what it sets: manifests in, and what the assembled runtime, or the program,
//! does because of them. A setting that is read and then forgotten fails one of these.
#![cfg(test)]

mod binary;
#[path = "settings/cron.rs"]
mod cron;
#[path = "settings/delivery.rs"]
mod delivery;
#[path = "settings/effects.rs"]
mod effects;
#[path = "settings/listening.rs"]
mod listening;
#[path = "settings/restart.rs"]
mod restart;
#[path = "settings/signed.rs"]
mod signed;
#[path = "settings/standstill.rs"]
mod standstill;
#[path = "seed/support/mod.rs"]
mod support;
