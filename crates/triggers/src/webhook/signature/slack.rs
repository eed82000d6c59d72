//! Slack: `X-Slack-Signature: v0=<hex>`, the HMAC-SHA256 of `v0:<seconds>:<body>`, where the
//! seconds stand in `X-Slack-Request-Timestamp`.
//!
//! Sources: "Verifying requests from Slack" and "url_verification event", docs.slack.dev.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Signed, Unsigned, from_hex};

pub(super) const HEADER: &str = "x-slack-signature";

const TIMESTAMP: &str = "x-slack-request-timestamp";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    let timestamp = signed.text(TIMESTAMP).ok_or(Unsigned::Wrong)?;
    let signature = signed.signature()?.strip_prefix("v0=").and_then(from_hex).ok_or(Unsigned::Wrong)?;
    signed.matches(&[b"v0:", timestamp.as_bytes(), b":", signed.body], &[signature])?;
    signed.fresh(timestamp)
}

/// Events have an id, which stays the same when Slack tries again. Of the rest, such as slash
/// commands, what was signed is the id: the same bytes again are a replay.
pub(super) fn delivery(signed: &Signed<'_>, payload: &Value) -> Option<String> {
    if let Some(id) = payload.get("event_id").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        return Some(format!("slack:{id}"));
    }
    let digest = Sha256::new().chain_update(signed.text(TIMESTAMP)?).chain_update(":").chain_update(signed.body).finalize();
    Some(format!("slack:sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// The Events API asks an address to repeat a word before it sends events there.
pub(super) fn challenge(payload: &Value) -> Option<&str> {
    let asks = payload.get("type").and_then(Value::as_str) == Some("url_verification");
    payload.get("challenge").and_then(Value::as_str).filter(|_| asks)
}
