//! Whether a body was signed by somebody who knows the secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::Secret;

/// The header that carries the signature, as `sha256=<hex>`.
pub(super) const HEADER: &str = "x-webhook-signature";

/// Compares in a time that does not depend on the bytes.
pub(super) fn verify(secret: &Secret, body: &[u8], header: Option<&[u8]>) -> bool {
    let Some(signature) = header.and_then(|header| header.strip_prefix(b"sha256=")).and_then(from_hex) else {
        return false;
    };
    match Hmac::<Sha256>::new_from_slice(secret.bytes()) {
        Ok(mac) => mac.chain_update(body).verify_slice(&signature).is_ok(),
        Err(_) => false,
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if text.len() != 64 {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
