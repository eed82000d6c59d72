//! Who may come in: looked at before any route is.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::{AUTHORIZATION, HOST, ORIGIN};
use hyper::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::config::{TransportConfig, is_loopback};
use super::refusal::Refusal;

/// What is asked of every request.
///
/// On loopback anyone on this machine may come in, but no web page that a browser here shows: the
/// `Host` tells a rebound name, the `Origin` a foreign page.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    loopback: bool,
    token: Option<[u8; 32]>,
}

impl Guard {
    pub(super) fn new(config: &TransportConfig) -> Self {
        Self { loopback: is_loopback(config.addr.ip()), token: config.token.as_deref().map(digest) }
    }

    fn check(&self, request: &Request) -> Result<(), Refusal> {
        if self.loopback {
            check_host(request)?;
            check_origin(request.headers())?;
        }
        match &self.token {
            Some(token) if request.uri().path() != "/health" => check_token(token, request.headers()),
            _ => Ok(()),
        }
    }
}

pub(super) async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, Refusal> {
    guard.check(&request)?;
    Ok(next.run(request).await)
}

/// Every name under which the request calls us must be one of this machine's own.
fn check_host(request: &Request) -> Result<(), Refusal> {
    let mut hosts: Vec<&str> = request.headers().get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default()).collect();
    hosts.extend(request.uri().authority().map(|authority| authority.as_str()));
    if !hosts.is_empty() && hosts.iter().all(|host| names_loopback(host)) {
        return Ok(());
    }
    let what = "this node listens for this machine only: call it as localhost, 127.0.0.1 or [::1]";
    Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "MISDIRECTED_REQUEST", what))
}

fn names_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<hyper::http::uri::Authority>() else { return false };
    let name = authority.host();
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || literal.parse().is_ok_and(is_loopback)
}

/// A browser names the page that sent a request. Only pages that we served ourselves may.
fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = format!("http://{host}");
    if headers.get_all(ORIGIN).iter().all(|origin| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::FORBIDDEN, "FOREIGN_ORIGIN", "a page of another origin may not talk to this node"))
}

fn check_token(token: &[u8; 32], headers: &HeaderMap) -> Result<(), Refusal> {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    // Hashes are compared, and all of them: neither time nor length tells how much was right.
    if shown.is_some_and(|shown| differing_bits(&digest(shown), token) == 0) {
        return Ok(());
    }
    let what = "this node wants its token: send the header `Authorization: Bearer TOKEN`";
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", what))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn differing_bits(a: &[u8; 32], b: &[u8; 32]) -> u8 {
    std::hint::black_box(a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)))
}
