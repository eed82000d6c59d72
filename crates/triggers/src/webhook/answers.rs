//! What is said to senders.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub(super) type Answer = Response<Full<Bytes>>;

/// How long to stay away, in seconds: until a queue has moved, and until something was mended.
pub(super) const RETRY_SOON: u32 = 5;
pub(super) const RETRY_LATER: u32 = 30;

pub(super) fn not_now(status: StatusCode, why: &str, seconds: u32) -> Answer {
    let mut refusal = refused(status, why);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    *refusal
}

pub(super) fn refused(status: StatusCode, why: &str) -> Box<Answer> {
    Box::new(answer(status, &json!({"error": why})))
}

pub(super) fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    answer
}
