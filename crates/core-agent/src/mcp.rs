//! Tools of MCP servers, over stdio and Streamable HTTP.
//!
//! A [`McpToolbox`] keeps one connection and makes a new one when the server went away, so that a
//! call after a restart works. It says honestly what became of a call: one that was never handed to
//! the server is [`Failure::unsent`], one that was and brought no answer (a deadline, an exit, noise)
//! is [`Failure::unknown`], and an error that the server reports is the tool's reply.
//!
//! Each call carries its idempotency key in `_meta` under [`IDEMPOTENCY_KEY`].

mod child;
mod config;
mod error;
mod health;
mod http;
mod link;
mod listener;
mod reply;
mod session;
mod spec;
mod stderr;
mod why;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::{CallError, Failure, ToolCall, ToolReply, ToolSpec, Toolbox};

pub use config::{McpConfig, McpTransport};
pub use error::Error;
use session::{CallEnd, Session};

/// The key in a call's `_meta` under which its idempotency key stands: the same for the same step of
/// the same run, however often it is sent.
pub const IDEMPOTENCY_KEY: &str = "flyball/idempotency-key";

/// Waits between attempts to reconnect begin with this and double.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// They end here, so that a server that comes back is found soon.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Attempts to reconnect for one call. More cannot help a caller who waits.
const MAX_ATTEMPTS: u32 = 20;

/// How long [`McpToolbox::close`] waits for the server to go.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The tools of one MCP server.
///
/// Dropping it ends the connection, and a server that it started: first its stdin is closed, after
/// 3 seconds it is asked to end, after 3 more it is killed. [`McpToolbox::close`] waits for that.
pub struct McpToolbox {
    name: String,
    config: McpConfig,
    state: Mutex<State>,
    /// Held by whoever makes a new connection, so that no two do.
    connecting: tokio::sync::Mutex<()>,
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    session: Option<Arc<Session>>,
    tools: Vec<Arc<ToolSpec>>,
}

impl McpToolbox {
    /// Starts or reaches the server and asks for its tools, once, within `config.connect_timeout`.
    /// `name` stands for the server in logs and errors.
    pub async fn connect(name: &str, config: McpConfig) -> Result<Arc<Self>, Error> {
        let toolbox = Self {
            name: name.to_owned(),
            config,
            state: Mutex::default(),
            connecting: tokio::sync::Mutex::new(()),
            closed: CancellationToken::new(),
        };
        toolbox.open().await?;
        Ok(Arc::new(toolbox))
    }

    /// The server's name, as it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the connection and the server that was started for it, waiting at most 10 seconds.
    /// Calls made afterwards fail unsent. Calls under way lose their answer.
    pub async fn close(&self) {
        self.closed.cancel();
        let session = self.state().session.take();
        if let Some(session) = session {
            session.close(CLOSE_TIMEOUT).await;
        }
    }

    /// Makes one connection and puts it, and the tools it offers, in place of what was.
    async fn open(&self) -> Result<Arc<Session>, Error> {
        let opened = async {
            let session = Session::open(&self.name, &self.config).await?;
            let tools = session.tools(&self.config).await.map_err(|message| self.cannot_connect(message))?;
            Ok((Arc::new(session), tools))
        };
        let (session, tools) = match tokio::time::timeout(self.config.connect_timeout, opened).await {
            Ok(opened) => opened?,
            Err(_) => return Err(Error::Timeout { name: self.name.clone(), limit: self.config.connect_timeout }),
        };
        *self.state() = State { session: Some(Arc::clone(&session)), tools };
        Ok(session)
    }

    fn cannot_connect(&self, message: String) -> Error {
        Error::Connect { name: self.name.clone(), message }
    }

    /// The connection, a new one where the old one is gone. Never longer than `connect_timeout`, and
    /// no longer than the run goes on.
    async fn session(&self, call: &ToolCall) -> Result<Arc<Session>, Failure> {
        let waited = tokio::time::timeout(self.config.connect_timeout, self.reconnect());
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(self.unsent("the connection was closed")),
            // Where there is a connection the call is made: its run was told to stop at a step's end, and this step
            // is recorded by now as one that was begun.
            session = waited => session.map_err(|_| self.unsent("it could not be reached in time"))?.map_err(|error| {
                Failure::unsent(error.to_string())
            }),
            () = call.run.cancel().cancelled() => Err(self.unsent("the run was cancelled")),
        }
    }

    async fn reconnect(&self) -> Result<Arc<Session>, Error> {
        let _only_one = self.connecting.lock().await;
        let current = self.state().session.clone();
        if let Some(session) = current
            && session.is_alive().await
        {
            return Ok(session);
        }
        let mut attempt = 1;
        let mut wait = FIRST_WAIT;
        loop {
            tracing::info!(target: "flyball::mcp", server = self.name, attempt, "reconnecting");
            match self.open().await {
                Err(error) if attempt >= MAX_ATTEMPTS => return Err(error),
                Err(error) => tracing::warn!(target: "flyball::mcp", server = self.name, attempt, "{error}"),
                opened => return opened,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            attempt += 1;
        }
    }

    fn unsent(&self, why: &str) -> Failure {
        Failure::unsent(format!("MCP server '{}': {why}", self.name))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each holder only assigns whole values, so what a panic left behind is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Toolbox for McpToolbox {
    /// The tools as they were found last; asked for again only after the server said that they changed.
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let (session, tools) = {
            let state = self.state();
            (state.session.clone(), state.tools.clone())
        };
        let Some(session) = session.filter(|session| session.health.take_tools_changed()) else { return Ok(tools) };
        match tokio::time::timeout(self.config.connect_timeout, session.tools(&self.config)).await {
            Ok(Ok(fresh)) => {
                self.state().tools.clone_from(&fresh);
                Ok(fresh)
            }
            _ => {
                session.health.note_tools_changed();
                tracing::warn!(target: "flyball::mcp", server = self.name, "its tools changed and cannot be listed again yet");
                Ok(tools)
            }
        }
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        // A connection may turn out to be gone only when it is used; that call was not sent, so it may
        // be made once more on a new one.
        for _ in 0..2 {
            let session = self.session(call).await?;
            match session.call(call, &self.config).await {
                CallEnd::Answered(reply) => return Ok(reply),
                CallEnd::Refused(why) => return Err(self.unsent(&why).into()),
                CallEnd::Lost(why) => {
                    return Err(Failure::unknown(format!("MCP server '{}', tool '{}': {why}", self.name, call.name)).into());
                }
                CallEnd::NeverSent => {}
            }
        }
        Err(self.unsent("the connection broke twice before the call was sent").into())
    }
}

impl std::fmt::Debug for McpToolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpToolbox").field("name", &self.name).field("config", &self.config).finish_non_exhaustive()
    }
}
