//! A webhook's configuration and its checks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{Error, Secret};

/// Where a [`WebhookTrigger`](super::WebhookTrigger) listens and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookConfig {
    /// The exact path; `/webhook` where nothing is said.
    pub webhook_path: String,
    /// The port; 9090 where nothing is said. 0 takes a free one.
    pub webhook_port: u16,
    /// The address to bind, an IP address or `localhost`; 127.0.0.1 where nothing is said.
    pub webhook_host: String,
    /// With it, each request must carry `X-Webhook-Signature: sha256=<hex>`, the HMAC-SHA256 of its body.
    #[serde(skip_serializing)]
    pub hmac_secret: Option<Secret>,
    /// The largest body, in bytes; 1 MiB where nothing is said, 1 GiB at most.
    pub webhook_max_body_bytes: usize,
}

/// The path that answers whether the trigger is there.
pub(super) const HEALTH: &str = "/health";

const MAX_BODY_BYTES: usize = 1 << 30;

/// A longer path is a mistake.
const MAX_PATH_BYTES: usize = 1024;

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            webhook_path: "/webhook".to_owned(),
            webhook_port: 9090,
            webhook_host: "127.0.0.1".to_owned(),
            hmac_secret: None,
            webhook_max_body_bytes: 1 << 20,
        }
    }
}

impl WebhookConfig {
    /// Says where to bind, or which field is wrong.
    pub(super) fn check(&self) -> Result<SocketAddr, Error> {
        self.check_path()?;
        if !(1..=MAX_BODY_BYTES).contains(&self.webhook_max_body_bytes) {
            return wrong("webhook_max_body_bytes", format!("must be between 1 and {MAX_BODY_BYTES}"));
        }
        if (1..=1024).contains(&self.webhook_port) {
            return wrong("webhook_port", "must be between 1025 and 65535, or 0 for a free one".to_owned());
        }
        if self.hmac_secret.as_ref().is_some_and(|secret| secret.bytes().is_empty()) {
            return wrong("hmac_secret", "is empty; a signature made with it protects nothing".to_owned());
        }
        let ip = self.ip()?;
        if !ip.is_loopback() && self.hmac_secret.is_none() {
            let why = format!("{ip} can be reached from other machines: set hmac_secret, or bind 127.0.0.1");
            return wrong("webhook_host", why);
        }
        Ok(SocketAddr::new(ip, self.webhook_port))
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
