//! Several webhooks on one port.

use std::sync::Arc;

use chrono::DateTime;
use flyball_core_agent::ManualClock;
use flyball_triggers::{Cursor, Error, Trigger, WebhookConfig, WebhookListeners, WebhookTrigger};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Hook, running, taken};

/// A running webhook on `port` (0: a new one) and `path`.
async fn sharing(listeners: &WebhookListeners, port: u16, path: &str) -> Result<Hook, Error> {
    let config = WebhookConfig { webhook_port: port, webhook_path: path.to_owned(), ..WebhookConfig::default() };
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let mut trigger = WebhookTrigger::sharing(config, clock, listeners, format!("the agent of {path}"))?;
    trigger.open(&Cursor::new()).await?;
    Ok(running(trigger, Box::new(taken)).await)
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn two_webhooks_share_a_port_and_one_goes_on_when_the_other_stops() {
    let (listeners, port) = (WebhookListeners::default(), free_port().await);
    let mut ci = sharing(&listeners, port, "/ci").await.unwrap();
    let mut cd = sharing(&listeners, port, "/cd").await.unwrap();
    assert_eq!(ci.ask("POST /cd", b"1").await.status, 202);
    assert_eq!(ci.ask("POST /ci", b"2").await.status, 202);
    assert_eq!(ci.events.recv().await.unwrap().payload, json!(2));
    assert_eq!(cd.events.recv().await.unwrap().payload, json!(1));
    assert_eq!(ci.ask("GET /health", b"").await.body["trigger_ids"].as_array().unwrap().len(), 2);

    ci.running.abort();
    assert!((&mut ci.running).await.unwrap_err().is_cancelled());
    let answer = ci.ask("POST /ci", b"3").await;
    assert_eq!(answer.status, 503, "its senders are to come back");
    assert!(answer.head.contains("retry-after: "), "{}", answer.head);
    assert_eq!(ci.ask("POST /elsewhere", b"3").await.status, 404);
    assert_eq!(cd.ask("POST /cd", b"4").await.status, 202);
    let again = sharing(&listeners, port, "/ci").await.unwrap();
    assert_eq!(again.ask("POST /ci", b"5").await.status, 202);

    for hook in [cd, again] {
        hook.running.abort();
        let _ = hook.running.await;
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "the last one closes the port");
    sharing(&listeners, port, "/ci").await.unwrap();
}

#[tokio::test]
async fn one_path_for_two_webhooks_is_an_error_that_names_both() {
    let (listeners, port) = (WebhookListeners::default(), free_port().await);
    let first = sharing(&listeners, port, "/ci").await.unwrap();
    let config = WebhookConfig { webhook_port: port, webhook_path: "/ci".to_owned(), ..WebhookConfig::default() };
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let mut second = WebhookTrigger::sharing(config, clock, &listeners, "the second agent").unwrap();
    let error = second.open(&Cursor::new()).await.unwrap_err().to_string();
    for part in ["the second agent", "the agent of /ci", &format!("127.0.0.1:{port}/ci"), "another webhook_path"] {
        assert!(error.contains(part), "'{part}' is missing in: {error}");
    }
    assert_eq!(first.ask("POST /ci", b"1").await.status, 202, "the first one is untouched");
}

#[tokio::test]
async fn a_webhook_that_is_open_but_does_not_run_yet_asks_to_come_back() {
    let (listeners, port) = (WebhookListeners::default(), free_port().await);
    let runs = sharing(&listeners, port, "/ci").await.unwrap();
    let config = WebhookConfig { webhook_port: port, webhook_path: "/cd".to_owned(), ..WebhookConfig::default() };
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let mut waits = WebhookTrigger::sharing(config, clock, &listeners, "the second agent").unwrap();
    waits.open(&Cursor::new()).await.unwrap();
    assert_eq!(runs.ask("POST /cd", b"1").await.status, 503);
    let hook = running(waits, Box::new(taken)).await;
    assert_eq!(hook.ask("POST /cd", b"1").await.status, 202);
}
