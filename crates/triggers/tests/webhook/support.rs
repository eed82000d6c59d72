//! A webhook that runs, and requests over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::common::next_offer;
use chrono::DateTime;
use flyball_core_agent::{ManualClock, TriggerEvent};
use flyball_triggers::{
    Cursor, Error, Filter, News, Offer, Receipt, Refusal, Secret, SignatureScheme, Sink, Trigger, WebhookConfig, WebhookTrigger,
};
use hmac::{Hmac, Mac};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub type Verdict = Box<dyn Fn(&TriggerEvent) -> Result<Receipt, Refusal> + Send>;

pub struct Hook {
    pub address: SocketAddr,
    pub events: mpsc::UnboundedReceiver<TriggerEvent>,
    pub running: JoinHandle<Error>,
}

pub fn config() -> WebhookConfig {
    WebhookConfig { webhook_path: "/pipeline-events".to_owned(), webhook_port: 0, ..WebhookConfig::default() }
}

pub fn trigger(config: WebhookConfig) -> Result<WebhookTrigger, Error> {
    WebhookTrigger::new(config, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)))
}

pub fn taken(event: &TriggerEvent) -> Result<Receipt, Refusal> {
    Ok(Receipt { event_id: event.event_id.clone(), duplicate: false })
}

pub fn signed(signature_scheme: SignatureScheme, secrets: &[&str]) -> WebhookConfig {
    let hmac_secret = secrets.iter().map(|secret| Secret::new(*secret)).collect();
    WebhookConfig { hmac_secret, signature_scheme, ..config() }
}

pub async fn hook(config: WebhookConfig) -> Hook {
    deciding(config, Box::new(taken)).await
}

/// A running webhook whose process answers each offer with `verdict`.
pub async fn deciding(config: WebhookConfig, verdict: Verdict) -> Hook {
    running(trigger(config).unwrap(), verdict).await
}

pub async fn running(trigger: WebhookTrigger, verdict: Verdict) -> Hook {
    let (sink, offers) = Sink::channel(8);
    into_process(trigger, sink, offers, verdict).await
}

/// A running webhook with a filter on it.
pub async fn filtered(config: WebhookConfig, filter: &str) -> Hook {
    let (sink, offers) = Sink::channel(8);
    let sink = sink.filtered(Arc::new(Filter::parse(filter).unwrap()));
    into_process(trigger(config).unwrap(), sink, offers, Box::new(taken)).await
}

async fn into_process(mut trigger: WebhookTrigger, sink: Sink, mut offers: mpsc::Receiver<News>, verdict: Verdict) -> Hook {
    trigger.open(&Cursor::new()).await.unwrap();
    let address = trigger.local_addr().unwrap();
    let (seen, events) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Offer { event, answer, .. }) = next_offer(&mut offers).await {
            let _ = answer.send(verdict(&event));
            let _ = seen.send(event);
        }
    });
    Hook { address, events, running: tokio::spawn(Box::new(trigger).run(sink)) }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

pub async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
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
pub fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let host = if headers.to_ascii_lowercase().contains("host:") { "" } else { "Host: localhost\r\n" };
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

impl Hook {
    pub async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        exchange(self.address, &request(head, body)).await
    }
}

/// The HMAC-SHA256 of `text`, in hexadecimal digits.
pub fn hmac(secret: &str, text: &[u8]) -> String {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(text).finalize();
    mac.into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
