//! A webhook's configuration and its checks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hyper::header::HeaderName;
use serde::{Deserialize, Serialize};

use super::signature::SignatureScheme;
use super::sources::Source;
use crate::{Error, Secret};

/// Where a [`WebhookTrigger`](super::WebhookTrigger) listens and what it takes.
///
/// What is as it was before an option existed is not written down, so that no trigger gets another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// The exact path; `/webhook` where nothing is said.
    pub webhook_path: String,
    /// The port; 9090 where nothing is said. 0 takes a free one.
    pub webhook_port: u16,
    /// The address to bind, an IP address or `localhost`; 127.0.0.1 where nothing is said.
    pub webhook_host: String,
    /// With them, each request must be signed with one of them. Several while one replaces another.
    #[serde(skip_serializing)]
    pub hmac_secret: Vec<Secret>,
    /// How requests are signed.
    #[serde(skip_serializing_if = "is_default")]
    pub signature_scheme: SignatureScheme,
    /// The header that carries the signature, where it is not the scheme's own.
    pub signature_header: Option<String>,
    /// How many seconds a signed timestamp may lie from now; 300 where nothing is said. For the
    /// schemes that sign one: `stripe`, `standard` and `slack`.
    #[serde(skip_serializing_if = "is_usual")]
    pub signature_tolerance: u64,
    /// Says that requests need no signature, though others than this machine can send.
    pub auth: Option<WebhookAuth>,
    /// Who may send; anybody where it is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_sources: Vec<Source>,
    /// The largest body, in bytes; 1 MiB where nothing is said, 1 GiB at most.
    pub webhook_max_body_bytes: usize,
}

/// How senders show who they are, where that is not by a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookAuth {
    /// They do not: anybody who can reach the port is heard.
    None,
}

/// The path that answers whether the trigger is there.
pub(super) const HEALTH: &str = "/health";

const MAX_BODY_BYTES: usize = 1 << 30;

/// A longer path is a mistake.
const MAX_PATH_BYTES: usize = 1024;

/// Each is tried on each request; two are enough to replace one by another.
const MAX_SECRETS: usize = 8;

/// Clocks that differ by more are wrong, and a captured request could be used for a day.
const MAX_TOLERANCE: u64 = 86_400;

const TOLERANCE: u64 = 300;

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            webhook_path: "/webhook".to_owned(),
            webhook_port: 9090,
            webhook_host: "127.0.0.1".to_owned(),
            hmac_secret: Vec::new(),
            signature_scheme: SignatureScheme::Generic,
            signature_header: None,
            signature_tolerance: TOLERANCE,
            auth: None,
            allowed_sources: Vec::new(),
            webhook_max_body_bytes: 1 << 20,
        }
    }
}

impl WebhookConfig {
    /// The part that names the trigger: where it listens and how is signed. What only bounds what it
    /// takes is as it usually is, so that an edit of that loses no key of an event that was taken.
    pub(super) fn naming(&self) -> Self {
        let Self { signature_tolerance, allowed_sources, webhook_max_body_bytes, .. } = Self::default();
        Self { signature_tolerance, allowed_sources, webhook_max_body_bytes, ..self.clone() }
    }

    /// Says where to bind, or which field is wrong.
    pub(super) fn check(&self) -> Result<SocketAddr, Error> {
        self.check_path()?;
        if !(1..=MAX_BODY_BYTES).contains(&self.webhook_max_body_bytes) {
            return wrong("webhook_max_body_bytes", format!("must be between 1 and {MAX_BODY_BYTES}"));
        }
        if (1..=1024).contains(&self.webhook_port) {
            return wrong("webhook_port", "must be between 1025 and 65535, or 0 for a free one".to_owned());
        }
        self.check_signature()?;
        let ip = self.ip()?;
        if !ip.is_loopback() && !self.is_signed() && self.auth.is_none() {
            let why = format!(
                "{ip} can be reached from other machines: set hmac_secret, or bind 127.0.0.1; `auth: none` lets anybody send"
            );
            return wrong("webhook_host", why);
        }
        Ok(SocketAddr::new(ip, self.webhook_port))
    }

    /// Whether requests must be signed.
    pub(super) fn is_signed(&self) -> bool {
        !self.hmac_secret.is_empty()
    }

    /// The header that carries the signature.
    pub(super) fn header(&self) -> &str {
        self.signature_header.as_deref().unwrap_or(self.signature_scheme.header())
    }

    fn check_signature(&self) -> Result<(), Error> {
        let scheme = self.signature_scheme;
        if let Some(why) = self.hmac_secret.iter().find_map(|secret| scheme.refuse_secret(secret)) {
            return wrong("hmac_secret", why.to_owned());
        }
        if self.hmac_secret.len() > MAX_SECRETS {
            return wrong("hmac_secret", format!("are more than {MAX_SECRETS}; remove those that nobody signs with"));
        }
        if !self.is_signed() && scheme != SignatureScheme::Generic {
            return wrong("signature_scheme", "needs hmac_secret".to_owned());
        }
        if self.is_signed() && self.auth.is_some() {
            return wrong("auth", "says that nobody signs, and there is an hmac_secret; remove one of the two".to_owned());
        }
        if !(1..=MAX_TOLERANCE).contains(&self.signature_tolerance) {
            return wrong("signature_tolerance", format!("must be between 1 and {MAX_TOLERANCE} seconds"));
        }
        let Some(name) = &self.signature_header else { return Ok(()) };
        if !self.is_signed() {
            return wrong("signature_header", "needs hmac_secret".to_owned());
        }
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return wrong("signature_header", "is no name of a header".to_owned());
        }
        match scheme.refuse_header(&name.to_ascii_lowercase()) {
            Some(why) => wrong("signature_header", why.to_owned()),
            None => Ok(()),
        }
    }

    fn check_path(&self) -> Result<(), Error> {
        let path = self.webhook_path.as_str();
        let why = if !path.starts_with('/') {
            "must begin with '/'"
        } else if path.len() > MAX_PATH_BYTES {
            "is longer than 1024 bytes"
        } else if path == HEALTH {
            "'/health' answers whether the trigger is there; choose another path"
        } else if path.contains(['?', '#']) || path.chars().any(|c| !c.is_ascii_graphic()) {
            "must be a plain path: no query, no spaces, other characters percent-encoded"
        } else {
            return Ok(());
        };
        wrong("webhook_path", why.to_owned())
    }

    fn ip(&self) -> Result<IpAddr, Error> {
        match self.webhook_host.as_str() {
            "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => match host.parse() {
                Ok(ip) => Ok(ip),
                Err(_) => wrong("webhook_host", format!("'{}' is neither an IP address nor localhost", host.escape_debug())),
            },
        }
    }
}

fn wrong<T>(field: &str, why: String) -> Result<T, Error> {
    Err(Error::Config(format!("{field}: {why}")))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_usual(tolerance: &u64) -> bool {
    *tolerance == TOLERANCE
}
