//! What can go wrong with one attempt, and what a person reads of it.

use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::Failure;

/// Longer words of a server are cut; they may quote what it was sent.
const MAX_QUOTED_CHARS: usize = 300;

/// Why an attempt brought no answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.kind())]
pub(super) enum Fault {
    /// No connection.
    Connect(String),
    /// No whole answer in time.
    Timeout(Duration),
    /// The connection broke after the request was on its way.
    Broken(String),
    /// The answer is longer than we take.
    TooLong(usize),
    /// The server said no.
    Status { status: StatusCode, said: Said, retry_after: Option<Duration> },
    /// A good status, and a body that is no JSON.
    NotJson { content_type: String },
    /// JSON that is no chat completion.
    Shape(String),
}

/// A server's error message, in whichever shape it came.
#[derive(Debug, Default)]
pub(super) struct Said {
    message: String,
    codes: Vec<String>,
}

impl Said {
    /// Reads OpenAI's `{"error": {"message", "type", "code"}}`, Ollama's `{"error": "text"}`,
    /// OpenRouter's numeric codes and others' `{"message"}` or `{"detail"}`.
    pub(super) fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        Self::of(body.get("error").unwrap_or(&body))
    }

    pub(super) fn of(error: &Value) -> Self {
        let message = match error {
            Value::String(text) => text.as_str(),
            _ => ["message", "detail", "error"].iter().find_map(|key| error.get(key)?.as_str()).unwrap_or_default(),
        };
        let code = |key: &str| match error.get(key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        Self {
            message: crate::text::one_line(message, MAX_QUOTED_CHARS),
            codes: [code("code"), code("type")].into_iter().flatten().collect(),
        }
    }

    /// The HTTP status that an error inside a good answer names.
    pub(super) fn status(&self) -> Option<StatusCode> {
        let code = self.codes.iter().find_map(|code| code.parse().ok())?;
        StatusCode::from_u16(code).ok().filter(|status| status.is_client_error() || status.is_server_error())
    }

    fn out_of_quota(&self) -> bool {
        self.codes.iter().any(|code| matches!(code.as_str(), "insufficient_quota" | "billing_hard_limit_reached"))
    }
}

impl Fault {
    /// Asking again may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout(_) | Self::Broken(_) => true,
            Self::Status { said, .. } if said.out_of_quota() => false,
            Self::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 429),
            Self::TooLong(_) | Self::NotJson { .. } | Self::Shape(_) => false,
        }
    }

    /// How long the server wants us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The fault in words that quote nothing.
    pub(super) fn kind(&self) -> String {
        match self {
            Self::Connect(_) => "no connection".to_owned(),
            Self::Timeout(limit) => format!("no answer within {} s", limit.as_secs_f32()),
            Self::Broken(_) => "the connection broke".to_owned(),
            Self::TooLong(limit) => format!("the answer is longer than {limit} bytes"),
            Self::Status { status, .. } => format!("status {}", status.as_u16()),
            Self::NotJson { content_type } => format!("the answer is {content_type}, not JSON"),
            Self::Shape(_) => "the answer is no chat completion".to_owned(),
        }
    }
}

/// Who is asked; makes messages that say what to do.
pub(super) struct Endpoint {
    url: String,
    model: String,
    key: Option<super::ApiKey>,
}

impl Endpoint {
    pub(super) fn new(base: &Url, model: &str, key: Option<&str>) -> Self {
        Self { url: base.to_string(), model: model.to_owned(), key: key.map(super::ApiKey::new) }
    }

    /// What a person is told after `attempts`.
    pub(super) fn failure(&self, fault: &Fault, attempts: u32) -> Failure {
        let tried = if attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() };
        let message = self.without_key(&format!("{}{tried}", self.message(fault)));
        match fault {
            Fault::Connect(_) => Failure::unsent(message),
            _ => Failure::unknown(message),
        }
    }

    fn message(&self, fault: &Fault) -> String {
        let (url, model) = (&self.url, &self.model);
        match fault {
            Fault::Connect(why) => format!("cannot reach {url}: {why}; is the server up, and OPENAI_BASE_URL right?"),
            Fault::Timeout(_) => format!("model '{model}' at {url} gave {}", fault.kind()),
            Fault::Broken(why) => format!("the connection to {url} broke: {why}"),
            Fault::TooLong(_) => format!("model '{model}' at {url}: {}", fault.kind()),
            Fault::NotJson { .. } => {
                format!("{url} does not speak OpenAI's protocol: {}; is OPENAI_BASE_URL right?", fault.kind())
            }
            Fault::Shape(why) => format!("{url} does not speak OpenAI's protocol: {why}"),
            Fault::Status { status, said, .. } => self.refusal(*status, said),
        }
    }

    fn refusal(&self, status: StatusCode, said: &Said) -> String {
        let (url, model, code) = (&self.url, &self.model, status.as_u16());
        let quoted = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
        match code {
            // The server's own words may show parts of the key.
            401 if self.key.is_none() => format!("{url} wants an API key (401): set OPENAI_API_KEY"),
            401 => format!("{url} refused the API key (401): set OPENAI_API_KEY to one that is valid there"),
            403 => format!("{url} refuses this key the model '{model}' (403){quoted}"),
            404 => format!("{url} knows no model '{model}' (404): check the model's name and OPENAI_BASE_URL{quoted}"),
            429 if said.out_of_quota() => {
                format!("the account of OPENAI_API_KEY has no quota left at {url} (429): raise its limit or use another{quoted}")
            }
            429 => format!("{url} limits our rate (429){quoted}"),
            300..=399 => format!("{url} redirects ({code}): set OPENAI_BASE_URL to where it leads"),
            400..=499 => format!("{url} refused the request to model '{model}' ({code}){quoted}"),
            _ => format!("{url} answered {code}{quoted}"),
        }
    }

    fn without_key(&self, message: &str) -> String {
        match &self.key {
            Some(key) => message.replace(key.expose(), "***"),
            None => message.to_owned(),
        }
    }
}
