//! Who is heard.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use flyball_core_agent::ManualClock;
use flyball_triggers::{Secret, SignatureScheme, WebhookConfig, WebhookTrigger};
use serde_json::json;

use crate::support::{config, filtered, hmac, hook, running, signed, taken};

#[tokio::test]
async fn only_who_knows_the_secret_is_heard() {
    let mut hook = hook(WebhookConfig { hmac_secret: vec![Secret::new("s3cret")], ..config() }).await;
    let head = |signature: &str| format!("POST /pipeline-events\nX-Webhook-Signature: {signature}\nHost: public.example");
    let good = hmac("s3cret", b"{}");
    let wrong = [
        String::new(),
        good.clone(),
        format!("sha256={}", hmac("guess", b"{}")),
        format!("sha256={}", hmac("s3cret", b"{ }")),
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
async fn who_is_heard_and_not_wanted_is_told_so_and_nothing_of_the_filter() {
    let mut hook = filtered(signed(SignatureScheme::Generic, &["s3cret"]), "payload.lag > 3").await;
    let ask = async |secret: &str, body: &str| {
        let signature = hmac(secret, body.as_bytes());
        let head = format!("POST /pipeline-events\nX-Webhook-Signature: sha256={signature}");
        let answer = hook.ask(&head, body.as_bytes()).await;
        (answer.status, answer.body)
    };
    let ignored = (200, json!({"status": "ignored"}));
    assert_eq!(ask("s3cret", r#"{"lag": 3}"#).await, ignored);
    assert_eq!(ask("s3cret", r#"{"delay": 3}"#).await, ignored);
    assert_eq!(ask("s3cret", r#"{"lag": 4}"#).await.0, 202);
    for body in [r#"{"lag": 3}"#, r#"{"lag": 4}"#] {
        assert_eq!(ask("guess", body).await.0, 401, "the signature comes first");
    }
    assert_eq!(hook.events.recv().await.unwrap().payload, json!({"lag": 4}));
    assert!(hook.events.try_recv().is_err());
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_pause_and_its_header_may_have_another_name() {
    let config =
        WebhookConfig { signature_header: Some("X-Hook-Proof".to_owned()), ..signed(SignatureScheme::Github, &["new", "old"]) };
    let mut hook = hook(config).await;
    let sign = |secret: &str| format!("sha256={}", hmac(secret, b"{}"));
    for secret in ["new", "old"] {
        let head = format!("POST /pipeline-events\nX-GitHub-Delivery: {secret}\nx-hook-proof: {}", sign(secret));
        assert_eq!(hook.ask(&head, b"{}").await.status, 202, "{secret}");
        let event = hook.events.recv().await.unwrap();
        assert_eq!(event.dedup_key, Some(format!("x-github-delivery:{secret}")));
        assert!(event.metadata["headers"].get("x-hook-proof").is_none(), "a signature is not written down");
    }
    for head in [format!("X-Hook-Proof: {}", sign("older")), format!("X-Hub-Signature-256: {}", sign("new"))] {
        let answer = hook.ask(&format!("POST /pipeline-events\nX-GitHub-Delivery: 3\n{head}"), b"{}").await;
        assert_eq!((answer.status, &answer.body["error"]), (401, &json!("x-hook-proof is missing or wrong")));
    }
    assert!(hook.events.try_recv().is_err());
}

#[tokio::test]
async fn what_was_signed_long_ago_is_a_replay() {
    let sign = |seconds: i64| {
        let text = format!("{seconds}.{{\"id\":\"evt_1\"}}");
        let hex = hmac("whsec_1", text.as_bytes());
        format!("POST /pipeline-events\nIdempotency-Key: another\nStripe-Signature: t={seconds},v1={hex}")
    };
    let config = WebhookConfig { signature_tolerance: 60, ..signed(SignatureScheme::Stripe, &["whsec_1"]) };
    let clock = ManualClock::new(DateTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let trigger = WebhookTrigger::new(config, Arc::new(clock.clone())).unwrap();
    let mut hook = running(trigger, Box::new(taken)).await;
    let body = br#"{"id":"evt_1"}"#;
    assert_eq!(hook.ask(&sign(999_940), body).await.status, 202);
    let event = hook.events.recv().await.unwrap();
    assert_eq!(event.dedup_key.as_deref(), Some("stripe:evt_1"), "a header that nobody signed does not count");
    for stale in [999_939, 1_000_061] {
        let answer = hook.ask(&sign(stale), body).await;
        assert_eq!(answer.status, 401, "{stale}");
        assert!(answer.body["error"].as_str().unwrap().contains("timestamp"), "{}", answer.body);
    }
}

#[tokio::test]
async fn slacks_question_whether_somebody_listens_is_answered_and_is_no_event() {
    let body = r#"{"token":"x","challenge":"abc","type":"url_verification"}"#;
    let head = |secret: &str, body: &str| {
        let hex = hmac(secret, format!("v0:0:{body}").as_bytes());
        format!("POST /pipeline-events\nX-Slack-Request-Timestamp: 0\nX-Slack-Signature: v0={hex}")
    };
    let mut slack = hook(signed(SignatureScheme::Slack, &["s3cret"])).await;
    let answer = slack.ask(&head("s3cret", body), body.as_bytes()).await;
    assert_eq!((answer.status, answer.body), (200, json!({"challenge": "abc"})));
    assert_eq!(slack.ask(&head("guess", body), body.as_bytes()).await.status, 401, "the signature comes first");
    let event = r#"{"type":"event_callback","challenge":"abc","event_id":"Ev1"}"#;
    assert_eq!(slack.ask(&head("s3cret", event), event.as_bytes()).await.status, 202);
    assert_eq!(slack.events.recv().await.unwrap().dedup_key.as_deref(), Some("slack:Ev1"));
    assert!(slack.events.try_recv().is_err());

    // Nobody else asks so: with another scheme it is a body as any other.
    let mut other = hook(signed(SignatureScheme::Generic, &["s3cret"])).await;
    let head = format!("POST /pipeline-events\nX-Webhook-Signature: sha256={}", hmac("s3cret", body.as_bytes()));
    assert_eq!(other.ask(&head, body.as_bytes()).await.status, 202);
    assert_eq!(other.events.recv().await.unwrap().payload["challenge"], "abc");
}

#[tokio::test]
async fn only_allowed_sources_are_heard() {
    let from = |sources: &[&str]| {
        let allowed_sources = sources.iter().map(|source| source.parse().unwrap()).collect();
        hook(WebhookConfig { allowed_sources, ..config() })
    };
    let closed = from(&["10.0.0.0/8", "::1"]).await;
    let head = "POST /pipeline-events\nX-Forwarded-For: 10.0.0.1";
    assert_eq!(closed.ask(head, b"1").await.status, 403, "a header is not who sends");
    assert_eq!(closed.ask("GET /health", b"").await.status, 403);
    let open = from(&["10.0.0.0/8", "127.0.0.0/8"]).await;
    assert_eq!(open.ask(head, b"1").await.status, 202);
}
