//! Whether a request was signed by somebody who knows a secret, and under which key its sender
//! would send the same thing again.

mod generic;
mod github;
mod slack;
mod standard;
mod stripe;
mod telegram;

use std::borrow::Cow;

use hmac::{Hmac, Mac};
use hyper::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::Secret;

/// How senders sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureScheme {
    /// `X-Webhook-Signature: sha256=<hex>`, the HMAC-SHA256 of the body.
    #[default]
    Generic,
    /// As GitHub signs: `X-Hub-Signature-256: sha256=<hex>`.
    Github,
    /// As Stripe signs: `Stripe-Signature: t=<seconds>,v1=<hex>`.
    Stripe,
    /// As <https://www.standardwebhooks.com> has it: `webhook-id`, `webhook-timestamp` and
    /// `webhook-signature`. Secrets are base64, `whsec_` may stand before it.
    Standard,
    /// As Slack signs: `X-Slack-Signature: v0=<hex>` with `X-Slack-Request-Timestamp`.
    Slack,
    /// As Telegram does: the secret itself, in `X-Telegram-Bot-Api-Secret-Token`.
    Telegram,
}

/// A request whose signature is in question.
pub(super) struct Signed<'a> {
    pub(super) headers: &'a HeaderMap,
    /// As it came, byte by byte.
    pub(super) body: &'a [u8],
    /// One of them must fit; several while one replaces another.
    pub(super) secrets: &'a [Secret],
    /// The header that carries the signature.
    pub(super) header: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
    /// How many seconds a timestamp may lie from now.
    pub(super) tolerance: u64,
}

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsigned {
    #[error("is missing or wrong")]
    Wrong,
    #[error("has a timestamp outside of the tolerance; look at the clocks of both machines")]
    Stale,
}

impl SignatureScheme {
    /// The header that carries the signature where nothing else is said, in small letters.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Generic => generic::HEADER,
            Self::Github => github::HEADER,
            Self::Stripe => stripe::HEADER,
            Self::Standard => standard::HEADER,
            Self::Slack => slack::HEADER,
            Self::Telegram => telegram::HEADER,
        }
    }

    /// Compares in a time that does not depend on the bytes.
    pub(super) fn verify(self, signed: &Signed<'_>) -> Result<(), Unsigned> {
        match self {
            Self::Generic => generic::verify(signed),
            Self::Github => github::verify(signed),
            Self::Stripe => stripe::verify(signed),
            Self::Standard => standard::verify(signed),
            Self::Slack => slack::verify(signed),
            Self::Telegram => telegram::verify(signed),
        }
    }

    /// The scheme's own name for a delivery. It counts only once the signature was verified.
    pub(super) fn delivery(self, signed: &Signed<'_>, payload: &Value) -> Option<String> {
        match self {
            Self::Generic => None,
            Self::Github => github::delivery(signed),
            Self::Stripe => stripe::delivery(payload),
            Self::Standard => standard::delivery(signed),
            Self::Slack => slack::delivery(signed, payload),
            Self::Telegram => telegram::delivery(payload),
        }
    }

    /// What a sender asks to be told back before it sends anything, so that it knows who listens. It
    /// counts only once the signature was verified.
    pub(super) fn challenge(self, payload: &Value) -> Option<&str> {
        (self == Self::Slack).then(|| slack::challenge(payload)).flatten()
    }

    /// Why no sender could sign with `secret`, if so.
    pub(super) fn refuse_secret(self, secret: &Secret) -> Option<&'static str> {
        match self {
            _ if secret.bytes().is_empty() => Some("is empty; a signature made with it protects nothing"),
            Self::Standard => standard::refuse_secret(secret),
            Self::Telegram => telegram::refuse_secret(secret),
            _ => None,
        }
    }

    /// Why the signature cannot be in the header `name`, if so.
    pub(super) fn refuse_header(self, name: &str) -> Option<&'static str> {
        (self == Self::Standard).then(|| standard::refuse_header(name)).flatten()
    }
}

impl Signed<'_> {
    fn signature(&self) -> Result<&str, Unsigned> {
        self.text(self.header).ok_or(Unsigned::Wrong)
    }

    /// What the header `name` says, where it is there once.
    fn text(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(first)
    }

    /// Whether `timestamp`, in seconds, is near enough to now.
    fn fresh(&self, timestamp: &str) -> Result<(), Unsigned> {
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let then: i64 = digits.then(|| timestamp.parse().ok()).flatten().ok_or(Unsigned::Wrong)?;
        if self.now.abs_diff(then) <= self.tolerance { Ok(()) } else { Err(Unsigned::Stale) }
    }

    /// Whether one of `signatures` is the HMAC-SHA256 of `parts` with one of the secrets.
    fn matches(&self, parts: &[&[u8]], signatures: &[Vec<u8>]) -> Result<(), Unsigned> {
        self.matches_keyed(|secret| Some(Cow::Borrowed(secret.bytes())), parts, signatures)
    }

    fn matches_keyed<'k>(
        &'k self,
        key: impl Fn(&'k Secret) -> Option<Cow<'k, [u8]>>,
        parts: &[&[u8]],
        signatures: &[Vec<u8>],
    ) -> Result<(), Unsigned> {
        let mut fits = false;
        for key in self.secrets.iter().filter_map(key) {
            let Ok(mac) = Hmac::<Sha256>::new_from_slice(&key) else { continue };
            let mac = parts.iter().fold(mac, |mac, part| mac.chain_update(part));
            for signature in signatures {
                // Which of them fits is not told by the time either.
                fits |= mac.clone().verify_slice(signature).is_ok();
            }
        }
        if fits { Ok(()) } else { Err(Unsigned::Wrong) }
    }
}

/// Signatures in one header that are looked at: a sender has one for each secret in use.
const MAX_SIGNATURES: usize = 16;

/// 32 bytes from 64 hexadecimal digits.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 64 {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests;
