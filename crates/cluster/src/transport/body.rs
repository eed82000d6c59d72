//! Reading what a request says, strictly.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use hyper::StatusCode;
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use super::routes::Node;

/// A JSON object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Node> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Refusal> {
        let (parts, bytes) = read(request, node).await?;
        parse(parts, bytes, node).await.map(Self)
    }
}

/// A JSON object that may be left out.
pub(super) struct MaybeBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Node> for MaybeBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Refusal> {
        let (parts, bytes) = read(request, node).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(parts, bytes, node).await.map(Self)
    }
}

/// The whole body, within the limits of size and time.
async fn read(request: Request, node: &Node) -> Result<(Parts, Bytes), Refusal> {
    let (parts, body) = request.into_parts();
    let mut request = Request::new(body);
    // The size limit travels here.
    *request.extensions_mut() = parts.extensions.clone();
    match tokio::time::timeout(node.limits.body_timeout, Bytes::from_request(request, node)).await {
        Ok(Ok(bytes)) => Ok((parts, bytes)),
        Ok(Err(rejection)) => Err(refused(&JsonRejection::BytesRejection(rejection), node.limits.body_bytes)),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "the body did not arrive in time")),
    }
}

async fn parse<T: DeserializeOwned>(parts: Parts, bytes: Bytes, node: &Node) -> Result<T, Refusal> {
    // A list would be taken for an object's values in order, without their names.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY", "the body must be a JSON object"));
    }
    let read = Json::from_request(Request::from_parts(parts, bytes.into()), node).await;
    let Json(body) = read.map_err(|rejection| refused(&rejection, node.limits.body_bytes))?;
    Ok(body)
}

/// The `{name}` of the path.
pub(super) struct Name(pub(super) String);

impl FromRequestParts<Node> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, node: &Node) -> Result<Self, Refusal> {
        let Path(name) = Path::from_request_parts(parts, node)
            .await
            .map_err(|rejection| Refusal::new(StatusCode::BAD_REQUEST, "INVALID_PATH", rejection.body_text()))?;
        Ok(Self(name))
    }
}

/// A name in a body, such as a topic, has at most this many bytes.
const MAX_NAME_BYTES: usize = 256;

/// Refuses a name that is empty or very long.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err(Refusal::field(field, format!("must have 1 to {MAX_NAME_BYTES} bytes, has {}", name.len())));
    }
    Ok(())
}

fn refused(rejection: &JsonRejection, max_bytes: usize) -> Refusal {
    match rejection {
        JsonRejection::JsonDataError(_) => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_BODY", innermost(rejection)),
        JsonRejection::JsonSyntaxError(_) => {
            Refusal::new(StatusCode::BAD_REQUEST, "INVALID_JSON", format!("the body is no JSON: {}", innermost(rejection)))
        }
        JsonRejection::MissingJsonContentType(_) => {
            let what = "send JSON, and say so: `Content-Type: application/json`";
            Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", what)
        }
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let what = format!("a body has at most {max_bytes} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", what)
        }
        other => Refusal::new(other.status(), "UNREADABLE_BODY", other.body_text()),
    }
}

/// The cause at the bottom, which names the field, without what the framework says around it.
fn innermost(rejection: &JsonRejection) -> String {
    let mut error: &dyn std::error::Error = rejection;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
