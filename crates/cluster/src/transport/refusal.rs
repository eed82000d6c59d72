//! Every answer that is not a success, in one shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use flyball_runtime::ControlError;
use flyball_triggers::Refusal as EventRefusal;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Map;

use crate::wire::{Reason, Refused};

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    reason: Reason,
    retry_after_s: Option<u32>,
}

/// A queue drains quickly; a process or a disk takes longer to come back. In seconds.
const RETRY_WHEN_FULL_S: u32 = 1;
const RETRY_WHEN_AWAY_S: u32 = 5;

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let reason = Reason { code: code.to_owned(), message: message.into(), details: Map::new() };
        Self { status, reason, retry_after_s: None }
    }

    /// A field that says something which cannot be.
    pub(super) fn field(name: &str, what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY", format!("{name}: {what}"))
    }
}

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        let (status, retry_after_s) = match &error {
            ControlError::NotFound { .. } => (StatusCode::NOT_FOUND, None),
            // To send it again is pointless.
            ControlError::State(_) | ControlError::Refused(EventRefusal::Filtered { .. } | EventRefusal::Overlaps) => {
                (StatusCode::CONFLICT, None)
            }
            ControlError::Refused(EventRefusal::Full { .. }) => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_WHEN_FULL_S)),
            ControlError::Refused(EventRefusal::TooDeep) => (StatusCode::UNPROCESSABLE_ENTITY, None),
            ControlError::Refused(EventRefusal::NoRoom) => (StatusCode::INSUFFICIENT_STORAGE, Some(RETRY_WHEN_AWAY_S)),
            ControlError::Refused(EventRefusal::Closed | EventRefusal::NotDurable(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_WHEN_AWAY_S))
            }
            ControlError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Self { status, reason: Reason::from(error), retry_after_s }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Refused { error: self.reason })).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
