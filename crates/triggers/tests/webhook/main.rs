//! Real HTTP over real sockets.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod limits;
mod shared;
mod signed;
mod support;
mod vendors;

use std::time::Duration;

use flyball_core_agent::TriggerEvent;
use flyball_triggers::{Cursor, Error, Receipt, Refusal, Secret, SignatureScheme, Sink, Trigger, WebhookAuth, WebhookConfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use common::next_offer;
use support::{config, deciding, exchange, hook, request, signed, taken, trigger};

#[tokio::test]
async fn a_post_becomes_an_event_with_its_json_body() {
    let mut hook = hook(config()).await;
    let head = "POST /pipeline-events?run=7&tag=a&tag=b%20c&api_key=hush&password=hush&code=hush&key=hush\n\
                Authorization: Bearer hush\nX-Api-Key: hush\nX-Auth-Key: hush\nX-Password: hush\nX-Own: hush\n\
                X-GitHub-Event: push\nX-Request-Id: 7";
    let answer = hook.ask(head, br#"{"status": "failed"}"#).await;
    let event = hook.events.recv().await.unwrap();
    assert_eq!((answer.status, &answer.body), (202, &json!({"status": "accepted", "event_id": event.event_id})));
    assert_eq!(event.payload, json!({"status": "failed"}));
    assert_eq!((event.trigger_type.as_str(), event.dedup_key.as_deref()), ("webhook", None));
    assert_eq!(event.metadata["method"], "POST");
    assert_eq!(event.metadata["path"], "/pipeline-events");
    let hidden = "[hidden]";
    assert_eq!(
        event.metadata["query"],
        json!({"run": "7", "tag": ["a", "b c"], "api_key": hidden, "password": hidden, "code": hidden, "key": hidden})
    );
    assert_eq!(event.metadata["headers"]["x-github-event"], "push");
    assert_eq!(event.metadata["headers"]["x-request-id"], "7");
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
async fn a_body_that_says_it_is_neither_json_nor_text_is_refused() {
    let mut hook = hook(config()).await;
    for media in ["image/png", "application/octet-stream"] {
        assert_eq!(hook.ask(&format!("POST /pipeline-events\nContent-Type: {media}"), b"\x89PNG").await.status, 415, "{media}");
    }
    for media in ["application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded"] {
        assert_eq!(hook.ask(&format!("POST /pipeline-events\nContent-Type: {media}"), b"{}").await.status, 202, "{media}");
        assert_eq!(hook.events.recv().await.unwrap().payload, json!({}));
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
async fn health_says_that_the_trigger_is_there() {
    let hook = hook(config()).await;
    let answer = hook.ask("GET /health", b"").await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ok")));
    assert!(answer.body["trigger_id"].as_str().unwrap().starts_with("webhook-"));
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
        ("POST /pipeline-events\nContent-Type: application/cloudevents+json; charset=utf-8", Some("ce-source:/ci ce-id:1")),
        ("POST /pipeline-events\nContent-Type: application/cloudevents+json\nIdempotency-Key: x", Some("ce-source:/ci ce-id:1")),
        ("POST /pipeline-events\nContent-Type: application/json", None),
    ];
    for (head, key) in cases {
        hook.ask(head, br#"{"specversion": "1.0", "id": "1", "source": "/ci", "type": "built"}"#).await;
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

    let refusals = [
        (429, Refusal::Full { waiting: 3 }),
        (503, Refusal::Closed),
        (507, Refusal::NoRoom),
        (503, Refusal::NotDurable("/var/lib/journal: input/output error".to_owned())),
    ];
    for (status, refusal) in refusals {
        let refuse = {
            let refusal = refusal.clone();
            move |_: &TriggerEvent| Err(refusal.clone())
        };
        let answer = deciding(config(), Box::new(refuse)).await.ask("POST /pipeline-events", b"1").await;
        assert_eq!(answer.status, status, "{refusal}");
        assert!(answer.head.contains("retry-after: "), "{}", answer.head);
        assert!(!answer.body.to_string().contains("/var/lib"), "{}", answer.body);
    }
}

#[tokio::test]
async fn nobody_is_told_yes_before_the_process_said_it() {
    let mut trigger = trigger(config()).unwrap();
    trigger.open(&Cursor::new()).await.unwrap();
    let address = trigger.local_addr().unwrap();
    let (sink, mut offers) = Sink::channel(1);
    let running = tokio::spawn(Box::new(trigger).run(sink));
    let asking = tokio::spawn(async move { exchange(address, &request("POST /pipeline-events", b"1")).await });
    let offer = next_offer(&mut offers).await.unwrap();
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
    let error = second.open(&Cursor::new()).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(why) if why.contains(&format!("127.0.0.1:{port}"))), "{error}");
    drop(squatter);
    second.open(&Cursor::new()).await.unwrap();

    let hook = hook(config()).await;
    hook.ask("GET /health", b"").await;
    hook.running.abort();
    let _ = hook.running.await;
    trigger(WebhookConfig { webhook_port: hook.address.port(), ..config() }).unwrap().open(&Cursor::new()).await.unwrap();
}

#[tokio::test]
async fn a_process_that_is_gone_ends_the_trigger() {
    let mut trigger = trigger(config()).unwrap();
    trigger.open(&Cursor::new()).await.unwrap();
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
        (WebhookConfig { hmac_secret: vec![Secret::new("")], ..config() }, "hmac_secret: is empty"),
        (WebhookConfig { signature_scheme: SignatureScheme::Slack, ..config() }, "signature_scheme: needs hmac_secret"),
        (signed(SignatureScheme::Standard, &["a secret!"]), "hmac_secret: must be base64"),
        (signed(SignatureScheme::Telegram, &["a secret!"]), "hmac_secret: must be 1 to 256 letters"),
        (signed(SignatureScheme::Generic, &["x"; 9]), "hmac_secret: are more than 8"),
        (WebhookConfig { auth: Some(WebhookAuth::None), ..signed(SignatureScheme::Generic, &["x"]) }, "auth: says that nobody"),
        (WebhookConfig { signature_header: Some("x".to_owned()), ..config() }, "signature_header: needs hmac_secret"),
        (
            WebhookConfig { signature_header: Some("x".to_owned()), ..signed(SignatureScheme::Standard, &["eA=="]) },
            "signature_header: must end in `-signature`",
        ),
        (WebhookConfig { signature_tolerance: 0, ..config() }, "signature_tolerance: must be between 1"),
        (WebhookConfig { webhook_max_body_bytes: 0, ..config() }, "webhook_max_body_bytes"),
    ];
    for (config, why) in cases {
        let error = trigger(config).err().unwrap();
        assert!(matches!(&error, Error::Config(text) if text.contains(why)), "{error}");
    }
    for open in [signed(SignatureScheme::Generic, &["x"]), WebhookConfig { auth: Some(WebhookAuth::None), ..config() }] {
        assert!(trigger(WebhookConfig { webhook_host: "0.0.0.0".to_owned(), ..open }).is_ok());
    }
}

#[test]
fn bounds_do_not_rename_a_trigger_and_where_it_listens_does() {
    let id = |config| trigger(config).unwrap().id().to_owned();
    // As it was when bounds were part of the name.
    assert_eq!(id(WebhookConfig::default()), "webhook-508b51cda5");
    let bounded = WebhookConfig {
        webhook_max_body_bytes: 7,
        signature_tolerance: 60,
        allowed_sources: vec!["10.0.0.0/8".parse().unwrap()],
        ..WebhookConfig::default()
    };
    assert_eq!(id(bounded), id(WebhookConfig::default()));
    assert_ne!(id(WebhookConfig { webhook_port: 9091, ..WebhookConfig::default() }), id(WebhookConfig::default()));
}

#[test]
fn the_secret_is_in_neither_the_id_nor_the_debug_text() {
    let with = |secret: Option<&str>| WebhookConfig { hmac_secret: secret.map(Secret::new).into_iter().collect(), ..config() };
    let id = |config| trigger(config).unwrap().id().to_owned();
    assert_eq!(id(with(None)), id(with(Some("hush"))));
    assert!(!format!("{:?}", with(Some("hush"))).contains("hush"));
}
