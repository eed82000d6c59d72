//! A double of a runtime, and HTTP by hand: what goes out is exactly what a test wrote.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use flyball_core_agent::TriggerEvent;
use flyball_journal::Decision;
use flyball_journal::{EventCounts, LifecycleState};
use flyball_runtime::{Control, ControlError, ProcessStatus, RuntimeStatus, Settlement};
use flyball_triggers::{Receipt, Refusal};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// A runtime with the process `monitor`, and with processes named after what ails them.
pub struct Fake {
    processes: Mutex<BTreeMap<String, ProcessStatus>>,
    /// The events that were taken.
    pub events: Mutex<Vec<TriggerEvent>>,
    /// Gets a permit when somebody stops `slow`.
    pub stopping: Semaphore,
    /// Lets one stop of `slow` end per permit.
    pub may_stop: Semaphore,
}

impl Default for Fake {
    fn default() -> Self {
        let names = ["monitor", "slow", "busy", "away", "full-disk", "broken-disk", "picky", "shallow", "ärger & co/2?"];
        let processes = names.iter().map(|name| ((*name).to_owned(), status(name))).collect();
        Self {
            processes: Mutex::new(processes),
            events: Mutex::default(),
            stopping: Semaphore::new(0),
            may_stop: Semaphore::new(0),
        }
    }
}

fn status(name: &str) -> ProcessStatus {
    ProcessStatus {
        name: name.to_owned(),
        process_id: format!("id-of-{name}"),
        state: LifecycleState::Awaiting,
        reason: "started".to_owned(),
        invocation_count: 3,
        consecutive_failures: 1,
        restart_count: 0,
        given_up: false,
        over: false,
        started_at: None,
        uptime_seconds: 1.5,
        last_heartbeat: Some(chrono::DateTime::UNIX_EPOCH),
        pending_events: 2,
        events: EventCounts { accepted: 5, completed: 3, ..EventCounts::default() },
        open_events: 2,
        disk_full: false,
        active_runs: 0,
        held_runs: Map::from_iter([("run-1".to_owned(), json!({"why": "approval"}))]),
        triggers: Vec::new(),
        layers: Map::from_iter([("budget".to_owned(), json!({"left": 3}))]),
    }
}

impl Fake {
    fn with<T>(&self, name: &str, act: impl FnOnce(&mut ProcessStatus) -> Result<T, ControlError>) -> Result<T, ControlError> {
        let mut processes = self.processes.lock().unwrap();
        let known = processes.keys().cloned().collect::<Vec<_>>().join(", ");
        let process = processes.get_mut(name);
        act(process.ok_or_else(|| ControlError::NotFound { name: name.to_owned(), known })?)
    }

    fn move_to(&self, name: &str, to: LifecycleState, why: &str) -> Result<(), ControlError> {
        self.with(name, |process| {
            process.state = process.state.next(to).map_err(|error| ControlError::State(error.to_string()))?;
            process.reason = why.to_owned();
            Ok(())
        })
    }
}

#[async_trait]
impl Control for Fake {
    async fn status(&self) -> RuntimeStatus {
        let processes = self.processes.lock().unwrap().clone();
        RuntimeStatus { process_count: processes.len(), processes }
    }

    async fn process_status(&self, name: &str) -> Result<ProcessStatus, ControlError> {
        self.with(name, |process| Ok(process.clone()))
    }

    async fn start(&self, name: &str) -> Result<(), ControlError> {
        self.with(name, |process| match process.state.is_alive() {
            true => Err(ControlError::State(format!("'{name}' is {} already", process.state))),
            false => Ok(()),
        })?;
        self.move_to(name, LifecycleState::Starting, "asked")
    }

    async fn stop(&self, name: &str) -> Result<(), ControlError> {
        self.move_to(name, LifecycleState::Stopping, "asked")?;
        if name == "slow" {
            self.stopping.add_permits(1);
            self.may_stop.acquire().await.unwrap().forget();
        }
        self.move_to(name, LifecycleState::Stopped, "asked")
    }

    async fn pause(&self, name: &str, why: &str) -> Result<(), ControlError> {
        self.move_to(name, LifecycleState::Suspended, why)
    }

    async fn resume(&self, name: &str) -> Result<(), ControlError> {
        self.move_to(name, LifecycleState::Awaiting, "resumed")
    }

    async fn inject(&self, name: &str, event: TriggerEvent) -> Result<Receipt, ControlError> {
        self.with(name, |_| Ok(()))?;
        match name {
            "busy" => return Err(Refusal::Full { waiting: 7 }.into()),
            "away" => return Err(Refusal::Closed.into()),
            "picky" => return Err(Refusal::Filtered { why: "filter_expression is false".into() }.into()),
            "shallow" => return Err(Refusal::TooDeep.into()),
            "full-disk" => return Err(Refusal::NoRoom.into()),
            "broken-disk" => return Err(Refusal::NotDurable("input/output error".into()).into()),
            _ => {}
        }
        let mut events = self.events.lock().unwrap();
        if let Some(first) = events.iter().find(|known| known.key() == event.key()) {
            return Ok(Receipt { event_id: first.event_id.clone(), duplicate: true });
        }
        events.push(event.clone());
        Ok(Receipt { event_id: event.event_id, duplicate: false })
    }

    async fn emit(&self, event_type: &str, source: &str, data: Value) -> Result<usize, ControlError> {
        Ok(usize::from(event_type == "alert.critical") + usize::from(source == "cli") + usize::from(data == json!({"a": 1})))
    }

    async fn publish(&self, topic: &str, sender: &str, content: Value) -> Result<usize, ControlError> {
        Ok(usize::from(topic == "analysis.complete") + usize::from(sender == "cli") + usize::from(content == json!("text")))
    }

    async fn resolve(&self, name: &str, settlement: Settlement) -> Result<(), ControlError> {
        self.with(name, |_| match settlement.decision {
            Decision::Happened { result } if result == "done" => Ok(()),
            _ => Err(ControlError::State(format!("no run {} is held", settlement.run))),
        })
    }

    async fn see_to_dead_letter(&self, name: &str, event_id: &str, again: bool, note: &str) -> Result<(), ControlError> {
        self.with(name, |_| match (event_id, again, note) {
            ("dead", true, "mended") | ("dead", false, "") => Ok(()),
            _ => Err(ControlError::State(format!("no dead letter is event {event_id}"))),
        })
    }

    async fn command(&self, name: &str, layer: &str, request: &str, body: Value) -> Result<Value, ControlError> {
        self.with(name, |_| match layer {
            "budget" => Ok(json!({"request": request, "body": body})),
            other => Err(ControlError::Failed(format!("no layer is named '{other}'"))),
        })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends `bytes` on a fresh connection and reads until the node closes it.
pub async fn raw(addr: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    // A node that refuses early may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    let text = String::from_utf8_lossy(&read).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// One request; `headers` are lines without their ends.
pub async fn request(addr: SocketAddr, line: &str, headers: &[&str], body: &str) -> Answer {
    let mut text = format!("{line} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    raw(addr, format!("{text}\r\n{body}").as_bytes()).await
}

pub async fn get(addr: SocketAddr, path: &str) -> Answer {
    request(addr, &format!("GET {path}"), &[&format!("host: {addr}")], "").await
}

pub async fn post(addr: SocketAddr, path: &str, body: &str) -> Answer {
    let host = format!("host: {addr}");
    request(addr, &format!("POST {path}"), &[&host, "content-type: application/json"], body).await
}
