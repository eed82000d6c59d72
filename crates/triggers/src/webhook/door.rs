//! One request, from its head to its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::{Clock, TriggerEvent};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::config::{HEALTH, WebhookConfig};
use super::{request, signature};
use crate::{Refusal, Sink};

/// What answers requests.
pub(super) struct Door {
    pub(super) id: String,
    pub(super) config: WebhookConfig,
    /// Unsigned on loopback: requests that a web page may have caused are refused.
    pub(super) guarded: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sink: Sink,
}

pub(super) type Answer = Response<Full<Bytes>>;

/// A sender that trickles its body must not hold a connection for long.
const BODY_WITHIN: Duration = Duration::from_secs(15);

/// Senders give up after some 10 to 30 s themselves, and send again.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// How long to stay away, in seconds: until a queue has moved, and until something was mended.
const RETRY_SOON: u32 = 5;
const RETRY_LATER: u32 = 30;

impl Door {
    pub(super) async fn answer(&self, request: Request<Incoming>, remote: SocketAddr) -> Answer {
        let (parts, body) = request.into_parts();
        match self.checked(parts, body, remote).await {
            Ok(event) => self.offer(event).await,
            Err(answer) => *answer,
        }
    }

    /// Every check, the cheap ones first, or the answer to what fails one.
    async fn checked(&self, parts: Parts, body: Incoming, remote: SocketAddr) -> Result<TriggerEvent, Box<Answer>> {
        if self.guarded {
            request::guard(&parts).map_err(|(status, why)| refused(status, why))?;
        }
        self.route(&parts)?;
        let plain = parts.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes() == b"identity");
        if !plain {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not read"));
        }
        let body = self.read(body).await?;
        let verified = match &self.config.hmac_secret {
            None => false,
            Some(secret) => {
                let header = parts.headers.get(signature::HEADER).map(HeaderValue::as_bytes);
                if !signature::verify(secret, &body, header) {
                    return Err(refused(StatusCode::UNAUTHORIZED, "X-Webhook-Signature is missing or wrong"));
                }
                true
            }
        };
        let mut event = TriggerEvent::new(&self.id, "webhook", self.clock.now(), payload(&body));
        event.metadata = request::metadata(&parts, remote, verified);
        event.dedup_key = request::dedup_key(&parts.headers);
        Ok(event)
    }

    fn route(&self, parts: &Parts) -> Result<(), Box<Answer>> {
        let path = parts.uri.path();
        if path == HEALTH && matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(Box::new(answer(StatusCode::OK, &json!({"status": "ok", "trigger_id": self.id}))));
        }
        let allowed = match path {
            HEALTH => "GET, HEAD",
            path if path == self.config.webhook_path => "POST",
            _ => return Err(refused(StatusCode::NOT_FOUND, "nothing is at this path")),
        };
        if path != HEALTH && parts.method == Method::POST {
            return Ok(());
        }
        let mut refusal = refused(StatusCode::METHOD_NOT_ALLOWED, "this method is not answered here");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        Err(refusal)
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Box<Answer>> {
        let max = self.config.webhook_max_body_bytes;
        let too_large = || refused(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body may have {max} bytes"));
        // What announces itself as too large is not read at all.
        if body.size_hint().lower() > max as u64 {
            return Err(too_large());
        }
        match tokio::time::timeout(BODY_WITHIN, Limited::new(body, max).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "the body did not arrive whole")),
            Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        }
    }

    /// Says yes only to what is durable.
    async fn offer(&self, event: TriggerEvent) -> Answer {
        match tokio::time::timeout(TAKEN_WITHIN, self.sink.offer(event)).await {
            Ok(Ok(receipt)) if receipt.duplicate => {
                answer(StatusCode::OK, &json!({"status": "accepted", "event_id": receipt.event_id, "duplicate": true}))
            }
            Ok(Ok(receipt)) => answer(StatusCode::ACCEPTED, &json!({"status": "accepted", "event_id": receipt.event_id})),
            Ok(Err(refusal @ Refusal::Full { .. })) => not_now(&refusal.to_string(), RETRY_SOON),
            Ok(Err(refusal @ Refusal::Closed)) => not_now(&refusal.to_string(), RETRY_LATER),
            Ok(Err(refusal @ Refusal::NotDurable(_))) => {
                tracing::warn!(trigger = self.id, %refusal, "a webhook event was refused");
                // The cause names files and disks, which are none of the sender's business.
                not_now("the event could not be made durable", RETRY_LATER)
            }
            Err(_) => not_now("the process did not answer in time", RETRY_LATER),
        }
    }
}

fn payload(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

fn not_now(why: &str, seconds: u32) -> Answer {
    let mut refusal = refused(StatusCode::SERVICE_UNAVAILABLE, why);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    *refusal
}

fn refused(status: StatusCode, why: &str) -> Box<Answer> {
    Box::new(answer(status, &json!({"error": why})))
}

fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    answer
}
