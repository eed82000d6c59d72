//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, the HMAC-SHA256 of the body.
//!
//! Source: "Validating webhook deliveries", docs.github.com. The delivery's id is not signed.

use super::{Signed, Unsigned, generic};

pub(super) const HEADER: &str = "x-hub-signature-256";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    generic::verify(signed)
}

pub(super) fn delivery(signed: &Signed<'_>) -> Option<String> {
    let id = signed.text("x-github-delivery").filter(|id| !id.is_empty())?;
    Some(format!("x-github-delivery:{id}"))
}
