//! The seed's own scheme: `X-Webhook-Signature: sha256=<hex>`, the HMAC-SHA256 of the body. It has
//! no timestamp, so that only a dedup key tells a replay from a delivery.

use super::{Signed, Unsigned, from_hex};

pub(super) const HEADER: &str = "x-webhook-signature";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    let signature = signed.signature()?.strip_prefix("sha256=").and_then(from_hex).ok_or(Unsigned::Wrong)?;
    signed.matches(&[signed.body], &[signature])
}
