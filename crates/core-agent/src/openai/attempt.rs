//! One attempt: a request out, a checked JSON body back, or a fault.
//!
//! It sits under async-openai as its HTTP service. That client retries by rules of its own, loses
//! the status of bodies it cannot read, sets no size limit and logs bodies; so everything it would
//! do that with is turned into a [`Fault`] before it sees it.

use std::net::IpAddr;
use std::task::{Context, Poll};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use chrono::Utc;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Url};

use super::config::{Error, OpenAiConfig};
use super::fault::{Fault, Said};
use super::retry;

/// The longest answer that is read. A model's reply is far below; a larger one is a mistake or an attack.
const MAX_BODY_BYTES: usize = 8 << 20;

/// Sends a request once.
#[derive(Clone)]
pub(super) struct Attempt {
    http: reqwest::Client,
    with_key: bool,
}

impl Attempt {
    pub(super) fn new(http: reqwest::Client, with_key: bool) -> Self {
        Self { http, with_key }
    }

    async fn send(self, request: HttpRequestFactory) -> Result<Response, Fault> {
        let mut request = request.build().await.map_err(|error| Fault::Shape(error.to_string()))?;
        if !self.with_key {
            request.headers_mut().remove(AUTHORIZATION);
        }
        let response = self.http.execute(request).await.map_err(fault)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = read(response).await?;
        if !status.is_success() {
            let retry_after = retry::asked(&headers, Utc::now());
            return Err(Fault::Status { status, said: Said::read(&body), retry_after });
        }
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            return Err(Fault::NotJson { content_type: content_type(&headers) });
        }
        Ok(Response::from(http::Response::new(body)))
    }
}

impl tower::Service<HttpRequestFactory> for Attempt {
    type Response = Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let attempt = self.clone();
        Box::pin(async move { attempt.send(request).await.map_err(|fault| OpenAIError::Boxed(Box::new(fault))) })
    }
}

/// The client for `base`. It follows no redirect: a key must not travel on.
pub(super) fn http_client(config: &OpenAiConfig, base: &Url) -> Result<reqwest::Client, Error> {
    let mut builder =
        reqwest::Client::builder().connect_timeout(config.connect_timeout).redirect(reqwest::redirect::Policy::none());
    if is_loopback(base) {
        // A proxy of this machine's user cannot reach this machine's servers.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Error::Client(error.without_url().to_string()))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Fault::TooLong(MAX_BODY_BYTES));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn fault(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let why = root_cause(&error);
    if error.is_connect() { Fault::Connect(why) } else { Fault::Broken(why) }
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn content_type(headers: &HeaderMap) -> String {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    crate::text::one_line(named.filter(|text| !text.is_empty()).unwrap_or("untyped"), 60)
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
