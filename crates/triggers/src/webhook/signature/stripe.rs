//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<seconds>.<body>`. While
//! a secret is replaced there are several `v1`; other versions are ignored.
//!
//! Source: "Verify webhook signatures manually", docs.stripe.com/webhooks.

use serde_json::Value;

use super::{MAX_SIGNATURES, Signed, Unsigned, from_hex};

pub(super) const HEADER: &str = "stripe-signature";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    let (mut timestamp, mut signatures) = (None, Vec::new());
    for (key, value) in signed.signature()?.split(',').filter_map(|part| part.trim().split_once('=')) {
        match key {
            // Of two timestamps, one was not signed.
            "t" if timestamp.replace(value).is_some() => return Err(Unsigned::Wrong),
            "v1" if signatures.len() < MAX_SIGNATURES => signatures.extend(from_hex(value)),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Unsigned::Wrong)?;
    signed.matches(&[timestamp.as_bytes(), b".", signed.body], &signatures)?;
    signed.fresh(timestamp)
}

pub(super) fn delivery(payload: &Value) -> Option<String> {
    let id = payload.get("id")?.as_str().filter(|id| !id.is_empty())?;
    Some(format!("stripe:{id}"))
}
