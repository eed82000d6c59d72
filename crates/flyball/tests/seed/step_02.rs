//! Step 2: the five triggers, each with its payload, which the agent is given as context.

use std::sync::Arc;

use flyball::runtime::{AgentProcess, Control};
use serde_json::{Value, json};

use crate::support::{ECHO, World, eventually, free_port, runs};

/// The seed's second example: all five in one process.
fn composed(port: u16) -> String {
    format!(
        r#"
name: watcher
instructions: You respond to pipeline events and scheduled checks.
triggers:
  - {{type: cron, cron_expression: "*/5 * * * *"}}
  - {{type: webhook, webhook_path: /pipeline-events, webhook_port: {port}}}
  - type: file_watch
    watch_path: config
    watch_patterns: ["*.yaml", "*.json"]
    watch_events: [modified]
    watch_debounce_seconds: 0.05
  - {{type: event, event_type: alert.critical}}
  - {{type: message, topic: "pipeline.alerts.*"}}
"#
    )
}

struct Watcher {
    world: World,
    process: AgentProcess,
    port: u16,
}

impl Watcher {
    async fn start() -> Self {
        let world = World::new();
        world.script(ECHO);
        std::fs::create_dir(world.dir().join("config")).expect("a folder");
        world.file("config/limits.yaml", "rows: 366\n");
        let port = free_port();
        let process = world.start(&composed(port)).await;
        Self { world, process, port }
    }

    async fn post(&self, body: &str) -> reqwest::Response {
        flyball::core_agent::install_tls_provider();
        let url = format!("http://127.0.0.1:{}/pipeline-events", self.port);
        reqwest::Client::new().post(url).body(body.to_owned()).send().await.expect("it answers")
    }

    /// The payload of the `count`th event, which must be of this kind; the agent was shown it.
    async fn payload(&self, count: u64, kind: &str) -> Value {
        runs(&self.process, count).await;
        let reading = self.world.read("watcher").await;
        assert_eq!(reading.events().len() as u64, count);
        let event = *reading.events().last().expect("it was taken in");
        assert_eq!(event.trigger_type, kind);
        let shown = reading.last_reply();
        assert!(shown.contains(&format!("Trigger: {kind} (")), "{shown}");
        let pretty = event.payload.as_str().map_or_else(|| format!("{:#}", event.payload), str::to_owned);
        assert!(shown.contains(&pretty), "{pretty} is not in {shown}");
        event.payload.clone()
    }

    async fn published(&self, topic: &str) -> usize {
        self.world.runtime.publish(topic, "monitor", json!({"row": 7})).await.expect("it is published")
    }

    async fn emitted(&self, event_type: &str) -> usize {
        self.world.runtime.emit(event_type, "monitor", json!({"pipeline": "seattle-weather"})).await.expect("it is emitted")
    }
}

#[tokio::test]
async fn cron_gives_the_scheduled_time_and_the_expression() {
    let watcher = Watcher::start().await;
    watcher.world.minutes(2);
    let payload = watcher.payload(1, "cron").await;
    assert_eq!(payload["scheduled_time"], "2026-03-02T09:00:00+00:00");
    assert_eq!(payload["cron_expression"], "*/5 * * * *");
}

#[tokio::test]
async fn a_webhook_gives_the_body_as_json_or_as_text() {
    let watcher = Watcher::start().await;
    assert_eq!(watcher.post(r#"{"build": 42, "ok": false}"#).await.status(), 202);
    assert_eq!(watcher.payload(1, "webhook").await, json!({"build": 42, "ok": false}));
    assert_eq!(watcher.post("the nightly build broke").await.status(), 202);
    assert_eq!(watcher.payload(2, "webhook").await, "the nightly build broke");
}

#[tokio::test]
async fn file_watch_gives_path_filename_and_event_type_of_matching_files() {
    let watcher = Watcher::start().await;
    watcher.world.file("config/notes.txt", "no pattern matches it");
    watcher.world.file("config/new.json", "{} which is created, not modified");
    let path = watcher.world.file("config/limits.yaml", "rows: 3660\n");
    let payload = watcher.payload(1, "file_watch").await;
    let path = path.canonicalize().expect("it is there");
    assert_eq!(payload["path"].as_str().map(std::path::PathBuf::from), Some(path));
    assert_eq!(payload["filename"], "limits.yaml");
    assert_eq!(payload["event_type"], "modified");
}

#[tokio::test]
async fn an_event_gives_type_source_and_data() {
    let watcher = Watcher::start().await;
    assert_eq!(watcher.emitted("alert.warning").await, 0);
    assert_eq!(watcher.emitted("alert.critical").await, 1);
    let payload = watcher.payload(1, "event").await;
    assert_eq!(payload["event_type"], "alert.critical");
    assert_eq!(payload["source"], "monitor");
    assert_eq!(payload["data"], json!({"pipeline": "seattle-weather"}));
}

#[tokio::test]
async fn a_message_gives_topic_sender_and_content() {
    let watcher = Watcher::start().await;
    assert_eq!(watcher.published("pipeline.alerts.rows").await, 1);
    let payload = watcher.payload(1, "message").await;
    assert_eq!(payload["topic"], "pipeline.alerts.rows");
    assert_eq!(payload["sender"], "monitor");
    assert_eq!(payload["content"], json!({"row": 7}));
}

#[tokio::test]
async fn a_star_in_a_topic_stands_for_one_segment_and_a_bracket_for_the_rest() {
    let watcher = Watcher::start().await;
    for topic in ["pipeline.alerts", "pipeline.alerts.rows.late", "pipeline.news.rows"] {
        assert_eq!(watcher.published(topic).await, 0, "{topic}");
    }
    assert_eq!(watcher.published("pipeline.alerts.schema").await, 1);
    let all = "name: all\ntriggers: [{type: message, topic: \"pipeline.>\"}]";
    watcher.world.start(all).await;
    assert_eq!(watcher.published("pipeline.alerts.rows.late").await, 1);
    assert_eq!(watcher.published("pipeline.alerts.rows").await, 2);
    assert_eq!(watcher.published("pipelines.alerts.rows").await, 0);
}

#[tokio::test]
async fn all_five_wake_the_same_agent() {
    let watcher = Watcher::start().await;
    watcher.world.minutes(2);
    watcher.payload(1, "cron").await;
    assert_eq!(watcher.post("{}").await.status(), 202);
    watcher.payload(2, "webhook").await;
    watcher.world.file("config/limits.yaml", "rows: 12\n");
    watcher.payload(3, "file_watch").await;
    watcher.emitted("alert.critical").await;
    watcher.payload(4, "event").await;
    watcher.published("pipeline.alerts.rows").await;
    watcher.payload(5, "message").await;
    let fired: Vec<u64> = watcher.process.status().triggers.iter().map(|trigger| trigger.fired).collect();
    assert_eq!(fired, [1; 5]);
}

#[tokio::test]
async fn a_stopped_process_lets_its_port_and_its_subscriptions_go() {
    let watcher = Watcher::start().await;
    watcher.process.stop().await.expect("it stops");
    assert_eq!(watcher.emitted("alert.critical").await, 0);
    assert_eq!(watcher.published("pipeline.alerts.rows").await, 0);
    let port = Arc::new(watcher.port);
    eventually("the port is free", || std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).await;
}
