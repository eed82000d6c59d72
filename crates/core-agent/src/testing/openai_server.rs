//! An HTTP server that speaks OpenAI's chat completions protocol and forgives nothing.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, Response, Uri};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::check::{self, Violation};
use super::{RawReply, translate};
use crate::{Model, StepId};

/// A server on a free port of 127.0.0.1. It ends when it is dropped.
///
/// Every request is checked strictly: method, path, headers, known fields, roles, the shape and the
/// names of tools, and that each call of an assistant's message is answered at once and only once.
/// What is wrong is remembered and answered with 400 (401 without a key).
pub struct OpenAiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Whom a request stands for: the process, and the step where it is not the next turn of the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The process's name.
    pub process: String,
    /// The step; where it is not given, turns are counted from the last user message.
    pub step: Option<StepId>,
}

impl<T: Into<String>> From<T> for Place {
    fn from(process: T) -> Self {
        Self { process: process.into(), step: None }
    }
}

/// The largest request that is read.
const MAX_REQUEST_BYTES: usize = 16 << 20;

/// How many requests and violations are remembered; a test that loops must not fill the memory.
const MAX_REMEMBERED: usize = 1000;

struct Shared {
    brain: Brain,
    log: Mutex<Log>,
}

enum Brain {
    Model { model: Arc<dyn Model>, place: Box<dyn Fn(&Value) -> Place + Send + Sync> },
    Replies(Mutex<VecDeque<RawReply>>),
}

#[derive(Default)]
struct Log {
    hits: usize,
    requests: Vec<Value>,
    violations: Vec<String>,
    anonymous: bool,
}

impl OpenAiServer {
    /// A server that answers through `model`. `place` sees each request's body and says which
    /// process, and where need be which step, the model's [`Turn`](crate::Turn) belongs to. Tools have the names they
    /// have on the wire.
    pub async fn with_model<F, P>(model: Arc<dyn Model>, place: F) -> io::Result<Self>
    where
        F: Fn(&Value) -> P + Send + Sync + 'static,
        P: Into<Place>,
    {
        Self::start(Brain::Model { model, place: Box::new(move |request| place(request).into()) }).await
    }

    /// A server that answers with `replies`, one a request, and with 500 when there are no more.
    pub async fn with_replies(replies: impl IntoIterator<Item = RawReply>) -> io::Result<Self> {
        Self::start(Brain::Replies(Mutex::new(replies.into_iter().collect()))).await
    }

    /// What goes into `OPENAI_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// From now on requests without a key are fine, as for a local server.
    pub fn allow_anonymous(&self) {
        self.shared.log().anonymous = true;
    }

    /// How many requests came.
    pub fn hits(&self) -> usize {
        self.shared.log().hits
    }

    /// The bodies of the good requests, oldest first; the first 1000.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.log().requests.clone()
    }

    /// What was wrong with requests, oldest first; the first 1000. A test asserts that it is empty.
    pub fn violations(&self) -> Vec<String> {
        self.shared.log().violations.clone()
    }

    async fn start(brain: Brain) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { brain, log: Mutex::default() });
        let router =
            Router::new().fallback(answer).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // It ends with an error only if the listener does, and then every request shows it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }
}

impl Drop for OpenAiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of the log panics")
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let anonymous = {
        let mut log = shared.log();
        log.hits += 1;
        log.anonymous
    };
    let checked = check::head(&method, uri.path(), &headers, anonymous).and_then(|()| check::body(&body));
    let reply = match checked {
        Ok(request) => {
            shared.remember(&request);
            shared.brain.answer(&request).await
        }
        Err(violation) => Err(violation),
    };
    reply.unwrap_or_else(|violation| shared.refuse(violation)).send().await
}

impl Shared {
    fn remember(&self, request: &Value) {
        let mut log = self.log();
        if log.requests.len() < MAX_REMEMBERED {
            log.requests.push(request.clone());
        }
    }

    fn refuse(&self, violation: Violation) -> RawReply {
        let mut log = self.log();
        if log.violations.len() < MAX_REMEMBERED {
            log.violations.push(violation.message.clone());
        }
        RawReply::error(violation.status, "invalid_request_error", &violation.message)
    }
}

impl Brain {
    async fn answer(&self, request: &Value) -> Result<RawReply, Violation> {
        match self {
            Self::Replies(replies) => {
                let next = replies.lock().expect("no holder of the replies panics").pop_front();
                next.ok_or_else(|| Violation { status: 500, message: "a request came after the last canned reply".to_owned() })
            }
            Self::Model { model, place } => {
                let turn = translate::turn(request, place(request));
                Ok(match model.reply(&turn).await {
                    Ok(reply) => RawReply::json(200, &translate::completion(request, &reply)),
                    Err(error) => RawReply::error(500, "server_error", &error.to_string()),
                })
            }
        }
    }
}
