//! What a request says about itself: whether a browser was tricked into sending it, under which
//! key it is known, and what of it is written down.

use std::net::{IpAddr, SocketAddr};

use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode, Uri};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::kept::{is_secret, keeps_header};

/// A key longer than this is replaced by its hash: it is kept for days.
const MAX_KEY_BYTES: usize = 256;

/// Refuses what a web page may have made the user's browser send to this machine: an unsigned
/// request on loopback must name a loopback host, and must not come from another site.
pub(super) fn guard(parts: &Parts) -> Result<(), (StatusCode, &'static str)> {
    let host = parts.uri.authority().map(|authority| authority.as_str()).or_else(|| text(&parts.headers, "host"));
    if !host.is_some_and(|host| is_loopback(host_of(host))) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "the Host header must name this machine, such as localhost"));
    }
    match parts.headers.get("origin") {
        None => Ok(()),
        Some(origin) if origin.to_str().is_ok_and(comes_from_here) => Ok(()),
        Some(_) => Err((StatusCode::FORBIDDEN, "requests from pages of other sites are refused")),
    }
}

fn comes_from_here(origin: &str) -> bool {
    origin.parse::<Uri>().ok().and_then(|uri| uri.host().map(is_loopback)).unwrap_or(false)
}

fn host_of(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ipv6, _)) => ipv6,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The key under which the sender would send the same thing again.
pub(super) fn dedup_key(headers: &HeaderMap, payload: &Value) -> Option<String> {
    let named = |name: &str| text(headers, name).filter(|value| !value.is_empty()).map(|value| format!("{name}:{value}"));
    let structured = is_cloud_event(headers);
    let of_a_header = || ["webhook-id", "x-github-delivery", "idempotency-key"].into_iter().find_map(named);
    let of_a_cloud_event = || cloud_event(headers, structured.then_some(payload));
    // What stands in the body is signed where anything is, so no header outranks it.
    let key = if structured { of_a_cloud_event().or_else(of_a_header) } else { of_a_header().or_else(of_a_cloud_event) };
    Some(bounded(key?))
}

/// The source and id of a CloudEvent, from its `body` in the structured mode, else from its headers.
fn cloud_event(headers: &HeaderMap, body: Option<&Value>) -> Option<String> {
    let attribute = |header: &str, name: &str| {
        let value = match body {
            Some(body) => body.get(name)?.as_str(),
            None => text(headers, header),
        };
        value.filter(|value| !value.is_empty()).map(|value| format!("{header}:{value}"))
    };
    Some(format!("{} {}", attribute("ce-source", "source")?, attribute("ce-id", "id")?))
}

/// The body is a CloudEvent in the structured mode.
fn is_cloud_event(headers: &HeaderMap) -> bool {
    let essence = text(headers, "content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/cloudevents+json")
}

/// `key`, or its hash where it is too long to be kept.
pub(super) fn bounded(key: String) -> String {
    if key.len() <= MAX_KEY_BYTES {
        return key;
    }
    let digest = Sha256::digest(key.as_bytes());
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// `method`, `path`, `query`, those `headers` that are sure to hold no secret, `remote`, `signature_verified`. `private` is
/// the header that carries the signature where that was chosen.
pub(super) fn metadata(parts: &Parts, remote: SocketAddr, verified: bool, private: Option<&str>) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in &parts.headers {
        let is_private = private.is_some_and(|private| name.as_str().eq_ignore_ascii_case(private));
        if !is_private && keeps_header(name.as_str()) {
            add(&mut headers, name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
    }
    let mut query = Map::new();
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        let value = if is_secret(&name) { "[hidden]".to_owned() } else { value.into_owned() };
        add(&mut query, &name, value);
    }
    let all = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": query,
        "headers": headers,
        "remote": remote.to_string(),
        "signature_verified": verified,
    });
    match all {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// One value is a text, several of one name are a list.
fn add(map: &mut Map<String, Value>, name: &str, value: String) {
    match map.get_mut(name) {
        None => {
            map.insert(name.to_owned(), Value::String(value));
        }
        Some(Value::Array(all)) => all.push(Value::String(value)),
        Some(first) => *first = json!([first.take(), value]),
    }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
