//! What lies behind a failure.

use std::error::Error as StdError;

use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;

use super::link::LinkError;

type HttpError = StreamableHttpError<reqwest::Error>;

/// Why a request that went out was certainly not acted on.
pub(super) enum Refusal {
    /// Nobody was there, or nobody who knew the session.
    NotReached,
    /// The server wants other credentials.
    NotLetIn,
}

/// Looks for proof that the server did not act on a request that failed with `error`.
pub(super) fn refusal(error: &ServiceError) -> Option<Refusal> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<HttpError>() {
            Some(HttpError::SessionExpired) => return Some(Refusal::NotReached),
            Some(HttpError::Client(error)) if error.is_connect() => return Some(Refusal::NotReached),
            Some(HttpError::AuthRequired(_) | HttpError::InsufficientScope(_)) => return Some(Refusal::NotLetIn),
            _ => next = beneath(error),
        }
    }
    None
}

/// The innermost cause: outer ones repeat it, name types of libraries, or show the address with what
/// may be secret in it.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = beneath(innermost) {
        innermost = next;
    }
    if innermost.is::<reqwest::Error>() {
        // It has no cause of its own, and its text shows the address.
        return "the HTTP request failed".to_owned();
    }
    crate::text::one_line(&innermost.to_string(), 300)
}

/// What an error wraps, also where its library does not say so.
fn beneath<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(LinkError::Transport(inner)) = error.downcast_ref() {
        return Some(inner.as_ref());
    }
    if let Some(HttpError::Client(inner)) = error.downcast_ref() {
        return Some(inner);
    }
    if let Some(ClientInitializeError::TransportError { error: inner, .. }) = error.downcast_ref() {
        return Some(inner);
    }
    error.source()
}
