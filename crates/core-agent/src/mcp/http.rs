//! A server behind Streamable HTTP.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError, StreamableHttpPostResponse,
    StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use super::error::Error;
use super::health::Health;
use super::why::cause;

/// Redirects that are followed, and only within the same origin: headers of ours must not travel on.
const MAX_REDIRECTS: usize = 5;

/// How often a broken event stream is opened again before the connection counts as gone: a call that
/// waits for its answer on it must hear of that within seconds.
const MAX_STREAM_RETRIES: usize = 4;

/// The wait before that, doubled each time.
const FIRST_STREAM_WAIT: Duration = Duration::from_millis(250);

/// The transport to `url`; nothing is sent yet.
pub(super) fn transport(
    name: &str,
    url: &str,
    headers: &BTreeMap<String, String>,
    token: Option<&str>,
    connect_timeout: Duration,
    health: Arc<Health>,
) -> Result<StreamableHttpClientTransport<HttpClient>, Error> {
    crate::tls::install_provider();
    let bad = |message: String| Error::Config { name: name.to_owned(), message };
    let parsed = Url::parse(url).map_err(|error| bad(format!("its url is no URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(bad("its url must begin with http:// or https:// and name a host".to_owned()));
    }
    // An idle connection may have died unnoticed, and a request written to it is in doubt. On a connection
    // of its own a call either finds nobody, and then it certainly was not sent, or it finds the server.
    let mut builder =
        reqwest::Client::builder().connect_timeout(connect_timeout).redirect(same_origin()).pool_max_idle_per_host(0);
    if is_loopback(&parsed) {
        builder = builder.no_proxy();
    }
    let client = builder.build().map_err(|error| bad(format!("no HTTP client: {}", error.without_url())))?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(custom_headers(headers).map_err(bad)?)
        // A new session means that tools must be listed again, so sessions are renewed by us.
        .reinit_on_expired_session(false);
    config.auth_header = token.map(str::to_owned);
    let mut retry = ExponentialBackoff::default();
    retry.max_times = Some(MAX_STREAM_RETRIES);
    retry.base_duration = FIRST_STREAM_WAIT;
    config.retry_config = Arc::new(retry);
    Ok(StreamableHttpClientTransport::with_client(HttpClient { inner: client, health }, config))
}

/// The address without what may be secret in it.
pub(super) fn shown_url(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else { return "?".to_owned() };
    // These fail for URLs that have no host, which have nothing to hide there either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn custom_headers(headers: &BTreeMap<String, String>) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let mut parsed = HashMap::new();
    for (name, value) in headers {
        let key: HeaderName = name.parse().map_err(|_| format!("'{name}' is no name of a header"))?;
        let mut value: HeaderValue =
            value.parse().map_err(|_| format!("the header '{name}' has a value that no header can have"))?;
        value.set_sensitive(true);
        parsed.insert(key, value);
    }
    Ok(parsed)
}

fn same_origin() -> Policy {
    Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        if attempt.previous().len() > MAX_REDIRECTS || first != Some(attempt.url().origin()) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// reqwest, but for two things: some servers answer a request of a session that they do not know (after
/// a restart) with an error that has no id, and rmcp would wait for the answer for ever; and why a
/// notification did not go out, which ends the connection, would be known to nobody.
#[derive(Clone)]
pub(super) struct HttpClient {
    inner: reqwest::Client,
    health: Arc<Health>,
}

type HttpError = StreamableHttpError<reqwest::Error>;

impl StreamableHttpClient for HttpClient {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(uri, message, session, token, headers, limits).await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, HttpError> {
        let in_session = session.is_some() && matches!(message, JsonRpcMessage::Request(_));
        let answer = self.inner.post_message_with_response_limits(uri, message, session, token, headers, limits).await;
        let answer = answer.inspect_err(|error| self.health.note_failure(cause(error)))?;
        match answer {
            // An error without an id means that the request was not even understood, so it was not acted on.
            StreamableHttpPostResponse::Json(JsonRpcMessage::Error(error), _) if in_session && error.id.is_none() => {
                Err(StreamableHttpError::SessionExpired)
            }
            answer => Ok(answer),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), HttpError> {
        self.inner.delete_session(uri, session, token, headers).await
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, HttpError> {
        self.inner.get_stream(uri, session, last_event, token, headers).await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
        max: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, HttpError> {
        self.inner.get_stream_with_max_sse_event_size(uri, session, last_event, token, headers, max).await
    }
}
