//! Real HTTP over real sockets.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use flyball_core_agent::{ManualClock, TriggerEvent};
use flyball_triggers::{Error, Offer, Receipt, Refusal, Secret, Sink, Trigger, WebhookConfig, WebhookTrigger};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

type Verdict = Box<dyn Fn(&TriggerEvent) -> Result<Receipt, Refusal> + Send>;

struct Hook {
    address: SocketAddr,
    events: mpsc::UnboundedReceiver<TriggerEvent>,
    running: JoinHandle<Error>,
}

fn config() -> WebhookConfig {
    WebhookConfig { webhook_path: "/pipeline-events".to_owned(), webhook_port: 0, ..WebhookConfig::default() }
}

fn trigger(config: WebhookConfig) -> Result<WebhookTrigger, Error> {
    WebhookTrigger::new(config, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)))
}

fn taken(event: &TriggerEvent) -> Result<Receipt, Refusal> {
    Ok(Receipt { event_id: event.event_id.clone(), duplicate: false })
}

async fn hook(config: WebhookConfig) -> Hook {
    deciding(config, Box::new(taken)).await
}

/// A running webhook whose process answers each offer with `verdict`.
async fn deciding(config: WebhookConfig, verdict: Verdict) -> Hook {
    let mut trigger = trigger(config).unwrap();
    trigger.open().await.unwrap();
    let address = trigger.local_addr().unwrap();
    let (sink, mut offers) = Sink::channel(8);
    let (seen, events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Offer { event, answer }) = offers.recv().await {
            let _ = answer.send(verdict(&event));
            let _ = seen.send(event);
        }
    });
    Hook { address, events, running: tokio::spawn(Box::new(trigger).run(sink)) }
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
        all
    };
    let all = tokio::time::timeout(Duration::from_secs(30), talk).await.expect("an answer in time");
    let text = String::from_utf8(all).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an HTTP answer, not {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

/// `head` is method and path, with further header lines after a line break.
fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let host = if headers.to_ascii_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

impl Hook {
    async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        exchange(self.address, &request(head, body)).await
    }
}

#[tokio::test]
async fn a_post_becomes_an_event_with_its_json_body() {
    let mut hook = hook(config()).await;
    let head = "POST /pipeline-events?run=7&tag=a&tag=b%20c&api_key=hush\nAuthorization: Bearer hush\nX-Api-Key: hush\nX-Run: 7";
    let answer = hook.ask(head, br#"{"status": "failed"}"#).await;
    let event = hook.events.recv().await.unwrap();
    assert_eq!((answer.status, &answer.body), (202, &json!({"status": "accepted", "event_id": event.event_id})));
    assert_eq!(event.payload, json!({"status": "failed"}));
    assert_eq!((event.trigger_type.as_str(), event.dedup_key.as_deref()), ("webhook", None));
    assert_eq!(event.metadata["method"], "POST");
    assert_eq!(event.metadata["path"], "/pipeline-events");
    assert_eq!(event.metadata["query"], json!({"run": "7", "tag": ["a", "b c"], "api_key": "[hidden]"}));
    assert_eq!(event.metadata["headers"]["x-run"], "7");
    assert_eq!(event.metadata["signature_verified"], false);
    assert!(event.metadata["remote"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!serde_json::to_string(&event).unwrap().contains("hush"));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_text() {
    let mut hook = hook(config()).await;
    for (body, payload) in [(&b"deploy done"[..], json!("deploy done")), (b"", json!("")), (b"a\xffb", json!("a\u{fffd}b"))] {
        assert_eq!(hook.ask("POST /pipeline-events", body).await.status, 202);
        assert_eq!(hook.events.recv().await.unwrap().payload, payload);
    }
}

#[tokio::test]
async fn what_is_not_a_post_on_the_path_is_refused() {
    let mut hook = hook(WebhookConfig { webhook_max_body_bytes: 10, ..config() }).await;
    let cases = [
        ("GET /pipeline-events", &b""[..], 405),
        ("POST /health", b"", 405),
        ("POST /pipeline-events/", b"", 404),
        ("POST /", b"", 404),
        ("POST /pipeline-events", b"12345678901", 413),
        ("POST /pipeline-events\nContent-Encoding: gzip", b"1", 415),
        ("POST /pipeline-events\nHost: evil.example", b"1", 421),
        ("POST /pipeline-events\nHost: localhost.evil.example:9090", b"1", 421),
        ("POST /pipeline-events\nOrigin: https://evil.example", b"1", 403),
        ("POST /pipeline-events\nOrigin: null", b"1", 403),
    ];
    for (head, body, status) in cases {
        let answer = hook.ask(head, body).await;
        assert_eq!(answer.status, status, "{head}: {}", answer.body);
        assert!(answer.body["error"].is_string(), "{head}");
    }
    assert!(hook.ask("GET /pipeline-events", b"").await.head.contains("allow: post"));
    assert!(hook.events.try_recv().is_err(), "none of them became an event");
    for host in ["127.0.0.1", "LOCALHOST:80", "[::1]:9090"] {
        let head = format!("POST /pipeline-events\nHost: {host}\nOrigin: http://localhost:3000");
        assert_eq!(hook.ask(&head, b"1").await.status, 202, "{host}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_at_the_limit() {
    let mut hook = hook(WebhookConfig { webhook_max_body_bytes: 10, ..config() }).await;
    let chunked = |chunk: &str| {
        let head = "POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked";
        format!("{head}\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n", chunk.len()).into_bytes()
    };
    assert_eq!(exchange(hook.address, &chunked("123456789012")).await.status, 413);
    assert_eq!(exchange(hook.address, &chunked("1234567890")).await.status, 202);
    assert_eq!(hook.events.recv().await.unwrap().payload, json!(1_234_567_890));
}

#[tokio::test]
async fn health_says_that_the_trigger_is_there() {
    let hook = hook(config()).await;
    let answer = hook.ask("GET /health", b"").await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")));
    assert!(answer.body["trigger_id"].as_str().unwrap().starts_with("webhook-"));
}

#[tokio::test]
async fn only_who_knows_the_secret_is_heard() {
    let mut hook = hook(WebhookConfig { hmac_secret: Some(Secret::new("s3cret")), ..config() }).await;
    let sign = |secret: &str, body: &[u8]| {
        let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize();
        mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let head = |signature: &str| format!("POST /pipeline-events\nX-Webhook-Signature: {signature}\nHost: public.example");
    let good = sign("s3cret", b"{}");
    let wrong = [
        String::new(),
        good.clone(),
        format!("sha256={}", sign("guess", b"{}")),
        format!("sha256={}", sign("s3cret", b"{ }")),
        format!("sha256={}", &good[..62]),
        format!("sha256={}zz", &good[..62]),
        "sha256=".to_owned(),
    ];
    for signature in wrong {
        assert_eq!(hook.ask(&head(&signature), b"{}").await.status, 401, "{signature}");
    }
    assert_eq!(hook.ask("POST /pipeline-events", b"{}").await.status, 401);
    assert!(hook.events.try_recv().is_err());
    assert_eq!(hook.ask(&head(&format!("sha256={good}")), b"{}").await.status, 202);
    let event = hook.events.recv().await.unwrap();
    assert_eq!(event.metadata["signature_verified"], true);
    assert!(event.metadata["headers"].get("x-webhook-signature").is_none());
}

#[tokio::test]
async fn a_delivery_is_known_by_its_senders_key() {
    let mut hook = hook(config()).await;
    let long = format!("POST /pipeline-events\nIdempotency-Key: {}", "k".repeat(300));
    let cases = [
        ("POST /pipeline-events\nwebhook-id: msg_1\nIdempotency-Key: x", Some("webhook-id:msg_1")),
        ("POST /pipeline-events\nX-GitHub-Delivery: 72d3", Some("x-github-delivery:72d3")),
        ("POST /pipeline-events\nIdempotency-Key: x", Some("idempotency-key:x")),
        ("POST /pipeline-events\nce-id: 1\nce-source: /ci", Some("ce-source:/ci ce-id:1")),
        ("POST /pipeline-events\nce-id: 1", None),
    ];
    for (head, key) in cases {
        hook.ask(head, b"1").await;
        assert_eq!(hook.events.recv().await.unwrap().dedup_key.as_deref(), key, "{head}");
    }
    hook.ask(&long, b"1").await;
    assert!(hook.events.recv().await.unwrap().dedup_key.unwrap().starts_with("sha256:"));
}

#[tokio::test]
async fn the_answer_tells_what_became_of_the_event() {
    let known = |_: &TriggerEvent| Ok(Receipt { event_id: "first".to_owned(), duplicate: true });
    let answer = deciding(config(), Box::new(known)).await.ask("POST /pipeline-events", b"1").await;
    let body = json!({"status": "accepted", "event_id": "first", "duplicate": true});
    assert_eq!((answer.status, answer.body), (200, body));

    let refusals =
        [Refusal::Full { waiting: 3 }, Refusal::Closed, Refusal::NotDurable("/var/lib/journal: no space left".to_owned())];
    for refusal in refusals {
        let refuse = {
            let refusal = refusal.clone();
            move |_: &TriggerEvent| Err(refusal.clone())
        };
        let answer = deciding(config(), Box::new(refuse)).await.ask("POST /pipeline-events", b"1").await;
        assert_eq!(answer.status, 503, "{refusal}");
        assert!(answer.head.contains("retry-after: "), "{}", answer.head);
        assert!(!answer.body.to_string().contains("/var/lib"), "{}", answer.body);
    }
}

#[tokio::test]
async fn nobody_is_told_yes_before_the_process_said_it() {
    let mut trigger = trigger(config()).unwrap();
    trigger.open().await.unwrap();
    let address = trigger.local_addr().unwrap();
    let (sink, mut offers) = Sink::channel(1);
    let running = tokio::spawn(Box::new(trigger).run(sink));
    let asking = tokio::spawn(async move { exchange(address, &request("POST /pipeline-events", b"1")).await });
    let offer = offers.recv().await.unwrap();
    assert!(!asking.is_finished());
    // Stopped now, the trigger still lets the request end.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    offer.answer.send(taken(&offer.event)).unwrap();
    assert_eq!(asking.await.unwrap().status, 202);
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_taken_port_is_named_and_is_free_again_after_the_stop() {
    let squatter = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = squatter.local_addr().unwrap().port();
    let mut second = trigger(WebhookConfig { webhook_port: port, ..config() }).unwrap();
    let error = second.open().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains(&format!("127.0.0.1:{port}"))), "{error}");
    drop(squatter);
    second.open().await.unwrap();

    let hook = hook(config()).await;
    hook.ask("GET /health", b"").await;
    hook.running.abort();
    let _ = hook.running.await;
    trigger(WebhookConfig { webhook_port: hook.address.port(), ..config() }).unwrap().open().await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_gone_ends_the_trigger() {
    let mut trigger = trigger(config()).unwrap();
    trigger.open().await.unwrap();
    let (sink, offers) = Sink::channel(1);
    drop(offers);
    let error = tokio::time::timeout(Duration::from_secs(20), Box::new(trigger).run(sink)).await.unwrap();
    assert!(matches!(error, Error::Unavailable(_)));
}

#[test]
fn a_wrong_configuration_says_which_field_and_what_to_do() {
    let cases = [
        (WebhookConfig { webhook_host: "0.0.0.0".to_owned(), ..config() }, "set hmac_secret, or bind 127.0.0.1"),
        (WebhookConfig { webhook_host: "example.org".to_owned(), ..config() }, "webhook_host: 'example.org'"),
        (WebhookConfig { webhook_port: 80, ..config() }, "webhook_port: must be between 1025"),
        (WebhookConfig { webhook_path: "hook".to_owned(), ..config() }, "webhook_path: must begin with '/'"),
        (WebhookConfig { webhook_path: "/health".to_owned(), ..config() }, "choose another path"),
        (WebhookConfig { webhook_path: "/a b".to_owned(), ..config() }, "webhook_path: must be a plain path"),
        (WebhookConfig { hmac_secret: Some(Secret::new("")), ..config() }, "hmac_secret: is empty"),
        (WebhookConfig { webhook_max_body_bytes: 0, ..config() }, "webhook_max_body_bytes"),
    ];
    for (config, why) in cases {
        let error = trigger(config).err().unwrap();
        assert!(matches!(&error, Error::Config(text) if text.contains(why)), "{error}");
    }
    let signed = WebhookConfig { webhook_host: "0.0.0.0".to_owned(), hmac_secret: Some(Secret::new("x")), ..config() };
    assert!(trigger(signed).is_ok());
}

#[test]
fn the_secret_is_in_neither_the_id_nor_the_debug_text() {
    let with = |secret: Option<&str>| WebhookConfig { hmac_secret: secret.map(Secret::new), ..config() };
    let id = |config| trigger(config).unwrap().id().to_owned();
    assert_eq!(id(with(None)), id(with(Some("hush"))));
    assert!(!format!("{:?}", with(Some("hush"))).contains("hush"));
}

// The runtime's clock jumps to the next deadline whenever nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn who_sends_too_slowly_is_sent_away() {
    let mut hook = hook(config()).await;
    let mut stream = TcpStream::connect(hook.address).await.unwrap();
    stream.write_all(b"POST /pipeline-events HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert!(all.is_empty() || all.starts_with(b"HTTP/1.1 408"), "a half-sent head ends the connection");

    let half = b"POST /pipeline-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n12345";
    assert_eq!(exchange(hook.address, half).await.status, 408);
    assert!(hook.events.try_recv().is_err());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let hook = hook(config()).await;
    let head = format!("POST /pipeline-events\nX-Long: {}", "x".repeat(70_000));
    assert_eq!(hook.ask(&head, b"1").await.status, 431);
}
