//! One connection, and one call on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientRequest, ErrorCode, MetaObject, PingRequest, RequestMetaObject, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle, RunningService, ServiceError, serve_client};

use super::config::{McpConfig, McpTransport};
use super::error::Error;
use super::health::Health;
use super::link::{Link, SentMark};
use super::listener::Listener;
use super::stderr::Stderr;
use super::why::{Refusal, cause, refusal};
use super::{IDEMPOTENCY_KEY, child, http, reply, spec};
use crate::{ToolCall, ToolReply, ToolSpec};

/// How long a server in doubt has to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the word that a call is given up may take to go out.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a server. Dropping it ends the connection.
pub(super) struct Session {
    pub(super) health: Arc<Health>,
    peer: Peer<RoleClient>,
    running: Mutex<Option<RunningService<RoleClient, Listener>>>,
}

/// How a call ended.
pub(super) enum CallEnd {
    /// With what the tool, or the server in its place, said.
    Answered(ToolReply),
    /// The server did not let us in.
    Refused(String),
    /// It was handed to the connection, and nobody knows what became of it.
    Lost(String),
    /// The connection is gone, and the call was not handed to it.
    NeverSent,
}

impl Session {
    /// Connects and greets. The caller sets the deadline; dropping the future ends the child.
    pub(super) async fn open(name: &str, config: &McpConfig) -> Result<Self, Error> {
        let health = Arc::new(Health::default());
        let listener = Listener { health: Arc::clone(&health) };
        let failed = |message: String| Error::Connect { name: name.to_owned(), message };
        let running = match &config.transport {
            McpTransport::Stdio { command, args, env, cwd } => {
                let (process, stderr) = child::start(name, command, args, env, cwd.as_deref())?;
                match serve_client(listener, Link::new(process, Arc::clone(&health))).await {
                    Ok(running) => running,
                    Err(error) => return Err(failed(with_last_words(cause(&error), stderr).await)),
                }
            }
            McpTransport::Http { url, headers, bearer_token } => {
                let token = bearer_token.as_deref();
                let transport = http::transport(name, url, headers, token, config.connect_timeout, Arc::clone(&health))?;
                let served = serve_client(listener, Link::new(transport, Arc::clone(&health))).await;
                served.map_err(|error| {
                    let why = why(&health, &error);
                    failed(format!("{}: {why}", http::shown_url(url)))
                })?
            }
        };
        Ok(Self { health, peer: running.peer().clone(), running: Mutex::new(Some(running)) })
    }

    /// The server's tools as they are now.
    pub(super) async fn tools(&self, config: &McpConfig) -> Result<Vec<Arc<ToolSpec>>, String> {
        match self.peer.list_all_tools().await {
            Ok(tools) => Ok(tools.into_iter().map(|tool| Arc::new(spec::spec(tool, config.trusted))).collect()),
            // A server may offer other things than tools.
            Err(ServiceError::McpError(error)) if error.code == ErrorCode::METHOD_NOT_FOUND => Ok(Vec::new()),
            // What the server says itself needs no other cause.
            Err(ServiceError::McpError(error)) => Err(format!("it does not list its tools: {}", cause(&error))),
            Err(error) => Err(format!("it does not list its tools: {}", why(&self.health, &error))),
        }
    }

    /// Whether calls can be made. Asks the server itself where a call had no answer in time.
    pub(super) async fn is_alive(&self) -> bool {
        if self.health.is_broken() || self.peer.is_transport_closed() {
            return false;
        }
        if !self.health.take_suspect() {
            return true;
        }
        let ping = self.peer.send_request(ClientRequest::PingRequest(PingRequest::default()));
        // An error is an answer too, unless the transport made it.
        let alive = match tokio::time::timeout(PING_TIMEOUT, ping).await {
            Ok(Ok(_) | Err(ServiceError::McpError(_))) => true,
            Ok(Err(_)) | Err(_) => false,
        };
        if !alive {
            self.health.note_broken();
        }
        alive
    }

    /// Makes one call, within the limits of `config`. Dropping the future tells the server to give the call up.
    pub(super) async fn call(&self, call: &ToolCall, config: &McpConfig) -> CallEnd {
        let mark = SentMark::default();
        let mut pending = match self.peer.send_request_with_option(request(call, &mark), key(call)).await {
            Ok(handle) => Pending(Some(handle)),
            Err(_) => return CallEnd::NeverSent,
        };
        let Ok(received) = tokio::time::timeout(config.call_timeout, pending.answer()).await else {
            self.health.note_suspect();
            return CallEnd::Lost(format!("no answer within {} s", config.call_timeout.as_secs_f32()));
        };
        pending.0 = None;
        match received {
            Some(Ok(ServerResult::CallToolResult(result))) => CallEnd::Answered(reply::reply(result, config.max_output_bytes)),
            Some(Ok(ServerResult::EmptyResult(_))) => CallEnd::Answered(ToolReply::default()),
            Some(Ok(_)) => CallEnd::Lost("the answer is no tool's result".to_owned()),
            Some(Err(ServiceError::McpError(error))) => CallEnd::Answered(reply::refusal(&error, config.max_output_bytes)),
            Some(Err(error)) => self.failed(&error, &mark),
            None => self.failed(&ServiceError::TransportClosed, &mark),
        }
    }

    /// Ends the connection and waits for the server to go, at most `limit`.
    pub(super) async fn close(&self, limit: Duration) {
        self.health.note_broken();
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut running) = running {
            // What is left after the limit goes on ending in the background.
            let _ = running.close_with_timeout(limit).await;
        }
    }

    fn failed(&self, error: &ServiceError, mark: &SentMark) -> CallEnd {
        if matches!(error, ServiceError::TransportClosed | ServiceError::TransportSend(_)) {
            self.health.note_broken();
        }
        if !mark.is_set() {
            return CallEnd::NeverSent;
        }
        match refusal(error) {
            Some(Refusal::NotReached) => CallEnd::NeverSent,
            Some(Refusal::NotLetIn) => CallEnd::Refused(format!("it wants other credentials: {}", cause(error))),
            None if matches!(error, ServiceError::TransportClosed) => {
                CallEnd::Lost("the connection ended before the answer came".to_owned())
            }
            None => CallEnd::Lost(cause(error)),
        }
    }
}

/// A request that must be given up when nobody waits for it any more.
struct Pending(Option<RequestHandle<RoleClient>>);

impl Pending {
    /// The answer, or nothing where the connection ended.
    async fn answer(&mut self) -> Option<Result<ServerResult, ServiceError>> {
        match &mut self.0 {
            Some(handle) => (&mut handle.rx).await.ok(),
            None => None,
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let reason = Some("nobody waits for the answer any more".to_owned());
                // It is a courtesy to the server; there is nothing to do where it fails.
                let _ = tokio::time::timeout(GIVE_UP_TIMEOUT, handle.cancel(reason)).await;
            });
        }
    }
}

/// Why a connection that was just made is gone: where its transport ended itself, `error` says no more than that.
fn why(health: &Health, error: &(dyn std::error::Error + 'static)) -> String {
    health.first_failure().unwrap_or_else(|| cause(error))
}

fn request(call: &ToolCall, mark: &SentMark) -> ClientRequest {
    let params = CallToolRequestParams::new(call.name.clone()).with_arguments(call.args.clone());
    let mut request = CallToolRequest::new(params);
    request.extensions.insert(mark.clone());
    ClientRequest::CallToolRequest(request)
}

fn key(call: &ToolCall) -> PeerRequestOptions {
    let mut meta = MetaObject::new();
    meta.0.insert(IDEMPOTENCY_KEY.to_owned(), call.idempotency_key().into());
    PeerRequestOptions::no_options().with_meta(RequestMetaObject(meta))
}

async fn with_last_words(message: String, stderr: Option<Stderr>) -> String {
    let said = match stderr {
        Some(stderr) => stderr.last_words().await,
        None => None,
    };
    match said {
        Some(said) => format!("{message}; it said: {said}"),
        None => message,
    }
}
