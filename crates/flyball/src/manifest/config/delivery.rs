//! What becomes of an event whose run fails, or that has to wait.

use serde::{Deserialize, Serialize};

use crate::manifest::table::{Key, Kind, Kinds, SECONDS, SOME_SECONDS, Section};

/// What becomes of an event whose run fails, or that has to wait. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct DeliveryConfig {
    pub max_retries: u32,
    pub retry_backoff: f64,
    pub retry_backoff_max: f64,
    pub max_age: f64,
    pub strict_order: bool,
    pub max_pending: usize,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            max_retries: 0,
            retry_backoff: 2.0,
            retry_backoff_max: 60.0,
            max_age: 0.0,
            strict_order: false,
            max_pending: 1_000,
        }
    }
}

pub(in crate::manifest) const DELIVERY: Section = Section {
    name: "trigger_delivery",
    kinds: Kinds::One,
    keys: &[
        Key::new(
            "max_retries",
            Kind::Int(0, 10),
            "A failed run is tried again so often, from its last recorded step; then its event is a dead letter (`flyball dlq`).",
        )
        .or("0"),
        Key::new("retry_backoff", SOME_SECONDS, "Seconds before the first retry; each further one waits twice as long.")
            .or("2.0"),
        Key::new("retry_backoff_max", SOME_SECONDS, "The longest wait, in seconds.").or("60.0"),
        Key::new("max_age", SECONDS, "An event that waits longer for its first run is given up; 0 is never.").or("0.0"),
        Key::new(
            "strict_order",
            Kind::Bool,
            "An event waits until every earlier one of its trigger has ended, even one that is held or tried again.",
        )
        .or("false"),
        Key::new(
            "max_pending",
            Kind::Int(1, 100_000),
            "Events that may wait to be handled; more are refused before they are taken, a webhook's with 503.",
        )
        .or("1000"),
        Key::refused("dead_letter_size", "dead letters stay in the journal: `flyball dlq list`"),
        Key::refused("scan_payloads", "every payload is shown to the model as data from outside"),
        Key::refused("max_payload_chars", "a payload is shown to the model up to its first 20000 characters"),
    ],
};
