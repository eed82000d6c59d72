//! Telegram: the secret itself, in `X-Telegram-Bot-Api-Secret-Token`. Nothing is signed; whoever
//! reads one request can send others.
//!
//! Source: `setWebhook` and its `secret_token`, core.telegram.org/bots/api.

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{Signed, Unsigned};
use crate::Secret;

pub(super) const HEADER: &str = "x-telegram-bot-api-secret-token";

/// Both sides are hashed with it, so that neither bytes nor lengths show in the time.
const COMPARING: &[u8] = b"compared by hash";

pub(super) fn verify(signed: &Signed<'_>) -> Result<(), Unsigned> {
    let token = signed.signature()?.as_bytes();
    let hash = |text: &[u8]| Hmac::<Sha256>::new_from_slice(COMPARING).map(|mac| mac.chain_update(text));
    let token = hash(token).map_err(|_| Unsigned::Wrong)?.finalize().into_bytes();
    let mut fits = false;
    for secret in signed.secrets {
        fits |= hash(secret.bytes()).is_ok_and(|mac| mac.verify(&token).is_ok());
    }
    if fits { Ok(()) } else { Err(Unsigned::Wrong) }
}

pub(super) fn delivery(payload: &Value) -> Option<String> {
    let id = payload.get("update_id")?.as_i64()?;
    Some(format!("telegram:{id}"))
}

pub(super) fn refuse_secret(secret: &Secret) -> Option<&'static str> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let fits = secret.bytes().len() <= 256 && secret.bytes().iter().all(allowed);
    (!fits).then_some("must be 1 to 256 letters, digits, `_` and `-`, as Telegram has it")
}
