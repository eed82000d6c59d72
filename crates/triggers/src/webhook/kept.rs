//! What of a request's head is written down: what tells what the request is, and no secrets.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

/// Headers that say what was sent, by what and which one it is. Any other may carry a secret: senders
/// invent names for theirs.
const KEPT: [&str; 42] = [
    "accept",
    "accept-language",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "host",
    "user-agent",
    "x-request-id",
    "x-correlation-id",
    "x-amzn-trace-id",
    "traceparent",
    "tracestate",
    "idempotency-key",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "ce-id",
    "ce-source",
    "ce-specversion",
    "ce-subject",
    "ce-time",
    "ce-type",
    "ce-datacontenttype",
    "webhook-id",
    "webhook-timestamp",
    "x-webhook-id",
    "x-webhook-event",
    "x-webhook-timestamp",
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitea-event",
    "x-gitea-delivery",
    "x-event-key",
    "x-hook-uuid",
    "x-shopify-topic",
    "x-slack-request-timestamp",
    "x-slack-retry-num",
    "x-slack-retry-reason",
];

/// Words in the name of a query's parameter by which its value is a secret.
const SECRET_WORDS: [&str; 22] = [
    "auth",
    "authorization",
    "bearer",
    "code",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "key",
    "otp",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "session",
    "sid",
    "sig",
    "signature",
    "token",
];

/// Parts of such a name that make it a secret even where they are no word of their own, as in `accesstoken`.
const SECRET_PARTS: [&str; 7] = ["password", "authorization", "cookie", "signature", "secret", "token", "apikey"];

/// Whether a header's value is written down. `name` is in small letters.
pub(super) fn keeps_header(name: &str) -> bool {
    KEPT.contains(&name)
}

/// Whether the value of a query's parameter is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let whole: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SECRET_PARTS.iter().any(|part| whole.contains(part)) || words(name).iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
}

/// The words of `name`: what stands between other characters than letters, or before a capital.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for c in name.chars() {
        if !c.is_alphabetic() || (c.is_uppercase() && was_small) {
            words.push(String::new());
        }
        was_small = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Whether a body of what the head announces can be read: JSON and text. A sender that says nothing is
/// believed to send these; so is one that says `form`, as curl does where nobody tells it otherwise.
pub(super) fn can_be_read(headers: &HeaderMap) -> bool {
    let Some(announced) = headers.get(CONTENT_TYPE) else { return true };
    let announced = String::from_utf8_lossy(announced.as_bytes()).to_ascii_lowercase();
    let media = announced.split(';').next().unwrap_or_default().trim();
    let Some((kind, of)) = media.split_once('/') else { return media.is_empty() };
    let texts = ["json", "ndjson", "x-ndjson", "jsonl", "xml", "yaml", "x-yaml", "x-www-form-urlencoded"];
    kind == "text" || kind == "application" && texts.contains(&of) || of.ends_with("+json") || of.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_secret_by_its_words() {
        let secret = [
            "password",
            "key",
            "code",
            "api_key",
            "apiKey",
            "X-Api-Key",
            "accessToken",
            "accesstoken",
            "client.secret",
            "sig",
            "auth2",
        ];
        assert!(secret.into_iter().all(is_secret));
        let plain = ["keyboard", "run", "author", "zipcodes", "monkey", "decoded", "tag", "passenger"];
        assert!(!plain.into_iter().any(is_secret));
    }

    #[test]
    fn json_and_text_can_be_read() {
        let can = |media: &str| can_be_read(&HeaderMap::from_iter([(CONTENT_TYPE, media.parse().expect("a header's value"))]));
        let read = ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json", "text/plain", ""];
        assert!(read.into_iter().all(can));
        assert!(!["image/png", "application/octet-stream", "multipart/form-data; boundary=x", "what"].into_iter().any(can));
    }
}
