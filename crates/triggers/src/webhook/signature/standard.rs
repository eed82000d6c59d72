//! Standard Webhooks: `webhook-signature: v1,<base64>`, the HMAC-SHA256 of
//! `<webhook-id>.<webhook-timestamp>.<body>`; several signatures are separated by spaces. The key
//! is the base64 behind `whsec_`. Signatures of other versions are ignored.
//!
//! Source: the specification at github.com/standard-webhooks/standard-webhooks, version 1.0.0.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{MAX_SIGNATURES, Signed, Unsigned};
use crate::Secret;

pub(super) const HEADER: &str = "webhook-signature";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    let id = signed.text(&beside(signed, "id")).filter(|id| !id.is_empty()).ok_or(Unsigned::Wrong)?;
    let timestamp = signed.text(&beside(signed, "timestamp")).ok_or(Unsigned::Wrong)?;
    let versioned = signed.signature()?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let signatures: Vec<Vec<u8>> = versioned.filter_map(|one| STANDARD.decode(one).ok()).take(MAX_SIGNATURES).collect();
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", signed.body];
    signed.matches_keyed(|secret| key(secret).map(Cow::Owned), &parts, &signatures)?;
    signed.fresh(timestamp)
}

pub(super) fn delivery(signed: &Signed<'_>) -> Option<String> {
    let id = signed.text(&beside(signed, "id"))?;
    Some(format!("webhook-id:{id}"))
}

pub(super) fn refuse_secret(secret: &Secret) -> Option<&'static str> {
    match key(secret) {
        Some(key) if !key.is_empty() => None,
        _ => Some("must be base64, with or without `whsec_` before it"),
    }
}

pub(super) fn refuse_header(name: &str) -> Option<&'static str> {
    (!name.ends_with("-signature"))
        .then_some("must end in `-signature`: the headers that end in `-id` and `-timestamp` are read beside it")
}

fn key(secret: &Secret) -> Option<Vec<u8>> {
    let bytes = secret.bytes();
    STANDARD.decode(bytes.strip_prefix(b"whsec_").unwrap_or(bytes)).ok()
}

/// The header beside that of the signature, such as `svix-id` beside `svix-signature`.
fn beside(signed: &Signed<'_>, what: &str) -> String {
    format!("{}{what}", signed.header.strip_suffix("signature").unwrap_or("webhook-"))
}
