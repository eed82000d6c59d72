//! One request, from its head to its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::{Clock, TriggerEvent, nesting};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::answers::{Answer, RETRY_LATER, RETRY_SOON, answer, not_now, refused};
use super::config::WebhookConfig;
use super::seats::Guest;
use super::signature::Signed;
use super::{kept, request};
use crate::{Refusal, Sink};

/// What answers requests.
pub(super) struct Door {
    pub(super) id: String,
    pub(super) config: WebhookConfig,
    /// The header that carries the signature, in small letters.
    pub(super) header: String,
    /// Unsigned on loopback: requests that a web page may have caused are refused.
    pub(super) guarded: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sink: Sink,
}

/// A sender that trickles its body must not hold a connection for long.
const BODY_WITHIN: Duration = Duration::from_secs(15);

/// Senders give up after some 10 to 30 s themselves, and send again.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

impl Door {
    pub(super) async fn answer(&self, request: Request<Incoming>, guest: &Guest) -> Answer {
        let (parts, body) = request.into_parts();
        match self.checked(parts, body, guest).await {
            Ok(event) => self.offer(event).await,
            Err(answer) => *answer,
        }
    }

    /// Whether this address may send here.
    pub(super) fn admits(&self, remote: SocketAddr) -> bool {
        let sources = &self.config.allowed_sources;
        sources.is_empty() || sources.iter().any(|source| source.holds(remote.ip()))
    }

    /// Every check, the cheap ones first, or the answer to what fails one or is no event.
    async fn checked(&self, parts: Parts, body: Incoming, guest: &Guest) -> Result<TriggerEvent, Box<Answer>> {
        if !self.admits(guest.remote) {
            return Err(refused(StatusCode::FORBIDDEN, "this address may not send here"));
        }
        if self.guarded {
            request::guard(&parts).map_err(|(status, why)| refused(status, why))?;
        }
        if parts.method != Method::POST {
            let mut refusal = refused(StatusCode::METHOD_NOT_ALLOWED, "this method is not answered here");
            refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Err(refusal);
        }
        let plain = parts.headers.get(CONTENT_ENCODING).is_none_or(|coding| coding.as_bytes() == b"identity");
        if !plain {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not read"));
        }
        if !kept::can_be_read(&parts.headers) {
            let why = "only JSON and text are read: send `Content-Type: application/json` or `text/plain`";
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = self.read(body).await?;
        if !guest.has_asked() {
            // The connection is closing: whoever sends again has a better chance.
            return Err(Box::new(not_now(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections", RETRY_SOON)));
        }
        let signed = self.verify(&parts, &body)?;
        let payload = payload(&body)?;
        let scheme = self.config.signature_scheme;
        if let Some(challenge) = signed.as_ref().and_then(|_| scheme.challenge(&payload)) {
            return Err(Box::new(answer(StatusCode::OK, &json!({"challenge": challenge}))));
        }
        let mut event = TriggerEvent::new(&self.id, "webhook", self.clock.now(), payload);
        event.metadata = request::metadata(&parts, guest.remote, signed.is_some(), self.config.signature_header.as_deref());
        // Whoever could not sign has no say in what counts as a duplicate of what was signed.
        let delivery = signed.and_then(|signed| scheme.delivery(&signed, &event.payload));
        event.dedup_key = delivery.map(request::bounded).or_else(|| request::dedup_key(&parts.headers, &event.payload));
        Ok(event)
    }

    /// The request as it was signed; nothing where it need not be.
    fn verify<'a>(&'a self, parts: &'a Parts, body: &'a [u8]) -> Result<Option<Signed<'a>>, Box<Answer>> {
        if !self.config.is_signed() {
            return Ok(None);
        }
        let signed = Signed {
            headers: &parts.headers,
            body,
            secrets: &self.config.hmac_secret,
            header: &self.header,
            now: self.clock.now().timestamp(),
            tolerance: self.config.signature_tolerance,
        };
        match self.config.signature_scheme.verify(&signed) {
            Ok(()) => Ok(Some(signed)),
            Err(why) => Err(refused(StatusCode::UNAUTHORIZED, &format!("{} {why}", self.header))),
        }
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
            // Why is the operator's business, and not the sender's.
            Ok(Err(Refusal::Filtered { .. })) => answer(StatusCode::OK, &json!({"status": "ignored"})),
            Ok(Err(refusal @ Refusal::Full { .. })) => not_now(StatusCode::TOO_MANY_REQUESTS, &refusal.to_string(), RETRY_SOON),
            Ok(Err(refusal @ (Refusal::Closed | Refusal::Overlaps))) => {
                not_now(StatusCode::SERVICE_UNAVAILABLE, &refusal.to_string(), RETRY_LATER)
            }
            Ok(Err(Refusal::TooDeep)) => *too_deep(),
            Ok(Err(refusal @ Refusal::NoRoom)) => {
                tracing::warn!(parent: self.sink.span(), trigger = self.id, %refusal, "a webhook event was refused");
                not_now(StatusCode::INSUFFICIENT_STORAGE, "there is no room for the event", RETRY_LATER)
            }
            Ok(Err(refusal @ Refusal::NotDurable(_))) => {
                tracing::warn!(parent: self.sink.span(), trigger = self.id, %refusal, "a webhook event was refused");
                // The cause names files and disks, which are none of the sender's business.
                not_now(StatusCode::SERVICE_UNAVAILABLE, "the event could not be made durable", RETRY_LATER)
            }
            Err(_) => not_now(StatusCode::SERVICE_UNAVAILABLE, "the process did not answer in time", RETRY_LATER),
        }
    }
}

/// The body as JSON, or as a text where it is none.
fn payload(body: &[u8]) -> Result<Value, Box<Answer>> {
    let looks_like_json = matches!(body.trim_ascii_start().first(), Some(b'[' | b'{'));
    // What is too deep for the parser would else be taken for a text.
    if looks_like_json && nesting::levels(body) > nesting::MAX_NESTING {
        return Err(too_deep());
    }
    Ok(serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned())))
}

fn too_deep() -> Box<Answer> {
    refused(StatusCode::BAD_REQUEST, &format!("the body: {}", nesting::refusal()))
}
