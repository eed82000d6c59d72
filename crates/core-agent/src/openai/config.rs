//! What an OpenAI-compatible model needs to know.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use zeroize::Zeroizing;

/// Where OpenAI itself answers.
const OPENAI_BASE_URL: &str = "https://api.openai.com/v1";

/// How a model is reached.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The model's name, as the server knows it.
    pub model: String,
    /// Where the server answers, up to what comes before `/chat/completions`; OpenAI's where nothing is given.
    pub base_url: Option<String>,
    /// The key that is sent as a bearer token. Local servers often need none.
    pub api_key: Option<ApiKey>,
    /// How long one attempt may take in all. 120 seconds by default: a long answer is not streamed.
    pub timeout: Duration,
    /// How long a connection may take to be made. 10 seconds by default.
    pub connect_timeout: Duration,
    /// How often a passing failure is tried again. 3 by default.
    pub max_retries: u32,
    /// The longest wait that a server's Retry-After gets. 60 seconds by default.
    pub max_retry_after: Duration,
    /// The sampling temperature; the server's own where nothing is given.
    pub temperature: Option<f32>,
}

impl OpenAiConfig {
    /// The defaults for `model`, without a key.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            base_url: None,
            api_key: None,
            timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            max_retries: 3,
            max_retry_after: Duration::from_secs(60),
            temperature: None,
        }
    }

    /// The defaults for `model`, with `OPENAI_API_KEY` and `OPENAI_BASE_URL` from the environment
    /// where they are set and not empty.
    pub fn from_env(model: impl Into<String>) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self {
            base_url: variable("OPENAI_BASE_URL").map(|url| url.trim().to_owned()),
            api_key: variable("OPENAI_API_KEY").map(|key| ApiKey::new(key.trim())),
            ..Self::new(model)
        }
    }

    pub(super) fn checked_base_url(&self) -> Result<Url, Error> {
        let text = self.base_url.as_deref().unwrap_or(OPENAI_BASE_URL);
        let bad = |why: &str| Error::BaseUrl(why.to_owned());
        let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("it must begin with http:// or https:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it must not hold a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it must end before '?' and '#'"));
        }
        Ok(url)
    }

    pub(super) fn checked_api_key(&self) -> Result<Option<&str>, Error> {
        let Some(key) = self.api_key.as_ref().map(ApiKey::expose).filter(|key| !key.is_empty()) else { return Ok(None) };
        if key.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(Some(key)) } else { Err(Error::ApiKey) }
    }
}

/// A key. It does not show itself, and its memory is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// A key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(Zeroizing::new(key.into()))
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// Why a model cannot be made of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The base URL is no use; someone has to mend it.
    #[error("OPENAI_BASE_URL cannot be used: {0}")]
    BaseUrl(String),
    /// The key holds what cannot stand in a header, such as a space or a newline.
    #[error("OPENAI_API_KEY holds a space, a line break or a letter that no key has")]
    ApiKey,
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}
