//! Step 2, the filter: an event that is not wanted starts no run, whichever trigger brings it.

use flyball::runtime::{AgentProcess, Control, TriggerStatus};
use serde_json::{Value, json};

use crate::support::{ECHO, World, free_port, runs, until};

/// A process with one trigger, which has a filter.
struct Picky {
    world: World,
    process: AgentProcess,
}

impl Picky {
    /// `trigger` as the manifest has it, in braces.
    async fn start(trigger: &str, filter: &str) -> Self {
        let world = World::new();
        world.script(ECHO);
        std::fs::create_dir(world.dir().join("inbox")).expect("a folder");
        let process = world.start(&format!("name: picky\ntriggers: [{{{trigger}, filter_expression: \"{filter}\"}}]")).await;
        Self { world, process }
    }

    /// Waits until the filter has kept out so many, and gives what it shows.
    async fn filtered(&self, count: u64) -> TriggerStatus {
        let what = format!("{count} filtered");
        until(&self.process, &what, |status| status.triggers[0].filtered == count).await.triggers[0].clone()
    }

    /// The payload of the only event that was ever taken, which made the only run.
    async fn only(&self) -> Value {
        let status = runs(&self.process, 1).await;
        assert_eq!((status.triggers[0].fired, status.pending_events), (1, 0));
        let reading = self.world.read("picky").await;
        let payloads: Vec<&Value> = reading.events().iter().map(|event| &event.payload).collect();
        assert_eq!(payloads.len(), 1, "{payloads:?}");
        payloads[0].clone()
    }
}

#[tokio::test]
async fn a_cron_instant_that_is_not_wanted_passes_and_the_next_is_waited_for() {
    let picky = Picky::start("type: cron, cron_expression: '*/5 * * * *'", "!scheduled_time.contains('T09:00:')").await;
    picky.world.minutes(2);
    let shown = picky.filtered(1).await;
    assert_eq!(shown.last_filtered.as_deref(), Some("2026-03-02T09:00:00Z: filter_expression is false"));
    picky.world.minutes(5);
    assert_eq!(picky.only().await["scheduled_time"], "2026-03-02T09:05:00+00:00");
}

#[tokio::test]
async fn a_webhook_request_that_is_not_wanted_is_answered_as_ignored() {
    let port = free_port();
    let picky =
        Picky::start(&format!("type: webhook, webhook_port: {port}"), "payload.lag > 3 && metadata.method == 'POST'").await;
    flyball::core_agent::install_tls_provider();
    let client = reqwest::Client::new();
    let post = async |body: &'static str| {
        let sent = client.post(format!("http://127.0.0.1:{port}/webhook")).body(body).send();
        let answer = sent.await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    };
    for unwanted in [r#"{"lag": 3}"#, r#"{"delay": 5.5}"#, "no json at all"] {
        assert_eq!(post(unwanted).await, (200, r#"{"status":"ignored"}"#.to_owned()), "{unwanted}");
    }
    assert_eq!(post(r#"{"lag": 5.5}"#).await.0, 202);
    assert_eq!(picky.only().await, json!({"lag": 5.5}));
    let last = picky.filtered(3).await.last_filtered.expect("it says why");
    assert!(last.ends_with("Z: filter_expression failed: a string has no keys"), "{last}");
}

#[tokio::test]
async fn a_changed_file_that_is_not_wanted_is_passed_over() {
    let watch = "type: file_watch, watch_path: inbox, watch_debounce_seconds: 0.05";
    let picky = Picky::start(watch, "filename.matches('^sales-[0-9]+[.]csv$')").await;
    picky.world.file("inbox/notes.txt", "no drop");
    picky.filtered(1).await;
    picky.world.file("inbox/sales-7.csv", "a,b\n");
    assert_eq!(picky.only().await["filename"], "sales-7.csv");
}

#[tokio::test]
async fn an_event_that_is_not_wanted_is_taken_by_nobody() {
    let picky = Picky::start("type: event, event_type: alert.*", "data.rows.exists(row, row > 100)").await;
    let emitted = async |rows: &[u32]| {
        let data = json!({"rows": rows});
        picky.world.runtime.emit("alert.late", "monitor", data).await.expect("it is emitted")
    };
    assert_eq!(emitted(&[1, 2]).await, 0);
    assert_eq!(emitted(&[1, 200]).await, 1);
    assert_eq!(picky.only().await["data"]["rows"], json!([1, 200]));
    picky.filtered(1).await;
}

#[tokio::test]
async fn a_message_that_is_not_wanted_is_taken_by_nobody() {
    let picky = Picky::start("type: message, topic: analysis.>", "content.action in ['reload', 'quarantine']").await;
    let published = async |action: &str| {
        let content = json!({"action": action});
        picky.world.runtime.publish("analysis.complete", "analyst", content).await.expect("it is published")
    };
    assert_eq!(published("wait").await, 0);
    assert_eq!(published("reload").await, 1);
    assert_eq!(picky.only().await["content"]["action"], "reload");
    picky.filtered(1).await;
}

#[tokio::test]
async fn an_operator_who_fires_the_process_is_not_asked_for_a_reason() {
    let picky = Picky::start("type: event, event_type: alert.*", "false").await;
    crate::support::fire(&picky.process, json!({"by": "hand"})).await;
    runs(&picky.process, 1).await;
    assert_eq!(picky.process.status().triggers[0].filtered, 0);
}
