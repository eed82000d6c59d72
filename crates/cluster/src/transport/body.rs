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

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Node> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Refusal> {
        let read = tokio::time::timeout(node.limits.body_timeout, Json::from_request(request, node)).await;
        let Json(body) = read.map_err(|_| too_slow())?.map_err(|rejection| refused(&rejection, node.limits.body_bytes))?;
        Ok(Self(body))
    }
}

/// A JSON body that may be left out.
pub(super) struct MaybeBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<Node> for MaybeBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, node: &Node) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let read = tokio::time::timeout(node.limits.body_timeout, Bytes::from_request(Request::new(body), node)).await;
        let bytes = match read.map_err(|_| too_slow())? {
            Ok(bytes) => bytes,
            Err(rejection) => return Err(refused(&JsonRejection::BytesRejection(rejection), node.limits.body_bytes)),
        };
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let Body(body) = Body::from_request(Request::from_parts(parts, bytes.into()), node).await?;
        Ok(Self(body))
    }
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

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", "the body did not arrive in time")
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
