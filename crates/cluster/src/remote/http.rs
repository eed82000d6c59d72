//! One request to a node, on a connection of its own: what was not connected was certainly not sent.

use std::fmt::Write;
use std::time::Duration;

use flyball_runtime::ControlError;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::Error;
use crate::transport::check_token;
use crate::wire::Refused;

/// An answer has at most this many bytes. The status of a thousand processes fits.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The port where a URL names none.
const DEFAULT_PORT: u16 = 80;

/// Where a node is, and what it wants to be shown.
pub(super) struct Connector {
    host: String,
    port: u16,
    authority: HeaderValue,
    authorization: Option<HeaderValue>,
}

impl Connector {
    pub(super) fn new(url: &str, token: Option<String>) -> Result<Self, Error> {
        let wrong = || Error::Config(format!("'{url}' is not a node's address: write http://HOST:PORT"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !plain || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned();
        Ok(Self {
            host,
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            authorization: token.as_deref().map(authorization).transpose()?,
        })
    }

    /// Where the node is, for people.
    pub(super) fn node(&self) -> String {
        format!("http://{}", self.authority.to_str().unwrap_or(&self.host))
    }

    /// Asks, and reads the answer as `T`, or as the error that the node made of it.
    pub(super) async fn ask<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
        connect_timeout: Duration,
        answer_timeout: Duration,
    ) -> Result<T, ControlError> {
        let request = self.request(method, path, body)?;
        let stream = self.connect(connect_timeout).await?;
        let answer = tokio::time::timeout(answer_timeout, exchange(stream, request)).await;
        let (status, bytes) = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(cause)) => return Err(self.failed(format!("broke off: {cause}"))),
            Err(_) => return Err(self.failed(format!("gave no answer within {answer_timeout:?}"))),
        };
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| self.failed(format!("answered what we cannot read: {error}")));
        }
        match serde_json::from_slice::<Refused>(&bytes) {
            Ok(refused) => Err(refused.error.into()),
            Err(_) => Err(self.failed(format!("answered {status}, and not as a flyball node does"))),
        }
    }

    fn request<B: Serialize>(&self, method: Method, path: &str, body: Option<&B>) -> Result<Request<Full<Bytes>>, ControlError> {
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| ControlError::Failed(error.to_string()))?,
            None => Vec::new(),
        };
        let mut request = Request::new(Full::from(bytes));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|_| ControlError::Failed(format!("'{path}' is not a path")))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.authority.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }

    async fn connect(&self, timeout: Duration) -> Result<TcpStream, ControlError> {
        match tokio::time::timeout(timeout, TcpStream::connect((self.host.as_str(), self.port))).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(format!("cannot be reached: {error}"))),
            Err(_) => Err(self.failed(format!("cannot be reached within {timeout:?}"))),
        }
    }

    fn failed(&self, what: String) -> ControlError {
        ControlError::Failed(format!("the node at {} {what}", self.node()))
    }
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        if response.body().size_hint().lower() > MAX_ANSWER_BYTES as u64 {
            return Err(format!("the answer has more than {MAX_ANSWER_BYTES} bytes"));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven here and dropped with the answer: nothing is left behind.
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        done = &mut answer => done,
        _ = connection => answer.await,
    }
}

fn authorization(token: &str) -> Result<HeaderValue, Error> {
    check_token(token)?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| Error::Config("token: does not fit into a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// `name` as one segment of a path.
pub(super) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
