//! Models behind any endpoint that speaks OpenAI's chat completions protocol: OpenAI itself,
//! llama.cpp, vLLM, Ollama, OpenRouter and others.
//!
//! The wire types are our own and take what such servers really send: unknown finish reasons,
//! content as a list of parts, arguments as an object, missing ids. Retries are ours too, so that
//! each has a limit and can be cancelled. Nothing that was said, and no key, is ever logged.

mod attempt;
mod config;
mod fault;
mod names;
mod retry;
mod wire;

use async_openai::Client;
use async_openai::config::OpenAIConfig as ClientConfig;
use async_openai::error::OpenAIError;
use async_trait::async_trait;

use crate::{CallError, Failure, Model, Reply, Turn};

use attempt::Attempt;
pub use config::{ApiKey, Error, OpenAiConfig};
use fault::{Endpoint, Fault};
use wire::{ChatReply, ChatRequest};

/// A model of an OpenAI-compatible server, asked without streaming.
///
/// One turn makes `1 + max_retries` attempts at most, each of at most `timeout`. It gives up early
/// when the run is cancelled.
pub struct OpenAiModel {
    config: OpenAiConfig,
    endpoint: Endpoint,
    client: Client<ClientConfig>,
}

impl OpenAiModel {
    /// A model; nothing is sent yet. The error says what to change in `config`.
    pub fn new(config: OpenAiConfig) -> Result<Self, Error> {
        crate::tls::install_provider();
        let base = config.checked_base_url()?;
        let http = attempt::http_client(&config, &base)?;
        let key = config.checked_api_key()?;
        // Organisation and project would be read from variables that we do not document.
        let wire = ClientConfig::new().with_api_base(base.as_str().trim_end_matches('/')).with_org_id("").with_project_id("");
        let wire = wire.with_api_key(key.unwrap_or_default());
        let service = Attempt::new(http.clone(), key.is_some());
        let client = Client::build(http, wire).with_http_service(service);
        let endpoint = Endpoint::new(&base, &config.model, key);
        Ok(Self { config, endpoint, client })
    }

    async fn attempt(&self, request: &ChatRequest) -> Result<ChatReply, Fault> {
        let chat = self.client.chat();
        let asked = chat.create_byot::<_, ChatReply>(request);
        match tokio::time::timeout(self.config.timeout, asked).await {
            Ok(answered) => answered.map_err(Fault::from).and_then(ChatReply::checked),
            Err(_) => Err(Fault::Timeout(self.config.timeout)),
        }
    }

    /// Asks until there is an answer, or no use in asking again.
    async fn persist(&self, request: &ChatRequest) -> Result<ChatReply, Failure> {
        let mut attempt = 1;
        loop {
            let fault = match self.attempt(request).await {
                Ok(reply) => return Ok(reply),
                Err(fault) => fault,
            };
            if attempt > self.config.max_retries || !fault.is_passing() {
                return Err(self.endpoint.failure(&fault, attempt));
            }
            let wait = retry::wait(attempt, fault.retry_after(), self.config.max_retry_after);
            tracing::warn!(
                target: "flyball::openai", model = self.config.model, attempt, wait_ms = wait.as_millis() as u64,
                "asking again: {}", fault.kind()
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

#[async_trait]
impl Model for OpenAiModel {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let names = names::Names::new(&turn.tools);
        let request = ChatRequest::new(&self.config, turn, &names);
        tokio::select! {
            biased;
            () = turn.run.cancel().cancelled() => {
                Err(Failure::unknown("the run was cancelled while the model was asked").into())
            }
            reply = self.persist(&request) => Ok(reply?.into_reply(&names)),
        }
    }
}

impl std::fmt::Debug for OpenAiModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenAiModel").field("config", &self.config).finish_non_exhaustive()
    }
}

impl From<OpenAIError> for Fault {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<Self>() {
                Ok(fault) => *fault,
                Err(_) => Self::Shape("the request could not be made".to_owned()),
            },
            // The message of this one would quote the whole body.
            OpenAIError::JSONDeserialize(error, _) => Self::Shape(error.to_string()),
            other => Self::Shape(other.to_string()),
        }
    }
}
