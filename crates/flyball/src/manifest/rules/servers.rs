//! Servers: what belongs together.

use super::Rules;
use crate::manifest::config::{ServerConfig, Transport};
use crate::manifest::diagnostic::quote;

impl Rules<'_, '_> {
    pub(super) fn server(&mut self, name: &str, server: &ServerConfig) {
        let at = |key: &str| format!("servers.{name}.{key}");
        if let Some(url) = &server.url {
            if !is_http_url(url) {
                self.fault(&at("url"), "is not an http:// or https:// address", "write it like http://localhost:8080/mcp");
            }
            if server.transport == Some(Transport::Stdio) {
                self.wrong_transport(name, "`stdio` does not fit a `url`", "write `streamable-http`, or give a `command`");
            }
            let authorized = server.headers.keys().any(|header| header.eq_ignore_ascii_case("authorization"));
            if authorized && server.bearer_token.is_some() {
                self.fault(&at("bearer_token"), "would be a second Authorization header", "keep it or the one in `headers`");
            }
        }
        if server.command.is_some() && server.transport == Some(Transport::StreamableHttp) {
            self.wrong_transport(name, "does not fit a `command`", "leave it out, or give a `url`");
        }
        if let Some(alias) = &server.alias
            && !super::is_name(alias)
        {
            let message = format!("is {}", quote(alias));
            self.fault(&at("alias"), message, "write a letter, then letters, digits, `_` or `-`");
        }
    }

    /// `transport` has two names; the mistake stands at the one that is written.
    fn wrong_transport(&mut self, server: &str, message: &str, help: &str) {
        let path = |key: &str| format!("servers.{server}.{key}");
        let (field, _) = super::locate(self.checker, &path("type"));
        let key = if self.checker.places.contains_key(&field) { "type" } else { "transport" };
        self.fault(&path(key), message, help);
    }
}

/// Whether `url` has a scheme that we speak and a host.
pub(in crate::manifest) fn is_http_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    !host.is_empty() && !host.starts_with(':') && !url.contains(char::is_whitespace)
}
