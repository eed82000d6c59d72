//! What lies behind a failure.

use std::error::Error as StdError;

use rmcp::service::ServiceError;
use rmcp::transport::streamable_http_client::StreamableHttpError;

use super::link::LinkError;

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
        if let Some(http) = error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            match http {
                StreamableHttpError::SessionExpired => return Some(Refusal::NotReached),
                StreamableHttpError::Client(error) if error.is_connect() => return Some(Refusal::NotReached),
                StreamableHttpError::AuthRequired(_) | StreamableHttpError::InsufficientScope(_) => {
                    return Some(Refusal::NotLetIn);
                }
                _ => {}
            }
        }
        // The link's errors show what they wrap in place of themselves, so it must be looked into by hand.
        next = match error.downcast_ref::<LinkError>() {
            Some(LinkError::Transport(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    None
}

/// The innermost cause: outer ones repeat it, or show the address with what may be secret in it.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    crate::text::one_line(&innermost.to_string(), 300)
}
