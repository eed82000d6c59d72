//! Step 10: a node over HTTP.

use std::sync::Arc;

use flyball::cluster::{RuntimeTransport, TransportConfig};
use flyball::journal::LifecycleState;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{CONTENT, World, fire, runs};

/// A node with two processes, of which one is started.
struct Node {
    world: World,
    transport: RuntimeTransport,
}

impl Node {
    async fn start(id: &str) -> Self {
        flyball::core_agent::install_tls_provider();
        let world = World::new();
        world.script(CONTENT);
        world.start("name: monitor\ntriggers: [{type: cron, cron_expression: '*/5 * * * *'}]").await;
        world.add("name: analyst");
        let addr = ([127, 0, 0, 1], 0).into();
        let config = TransportConfig { addr, node_id: id.into(), ..TransportConfig::default() };
        let control = Arc::clone(&world.runtime);
        Self { world, transport: RuntimeTransport::serve(control, config).await.expect("a port is free") }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Client::new().request(method, format!("http://{}{path}", self.transport.local_addr()));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("it answers");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.ask(Method::POST, path, body).await
    }
}

#[tokio::test]
async fn health_says_that_the_node_is_well_and_how_many_processes_it_has() {
    let node = Node::start("node-1").await;
    assert_eq!(node.get("/health").await, json!({"status": "healthy", "node_id": "node-1", "process_count": 2}));
}

#[tokio::test]
async fn status_says_everything_of_every_process() {
    let node = Node::start("node-1").await;
    let monitor = node.world.runtime.get_process("monitor").expect("it is there");
    fire(&monitor, json!({})).await;
    runs(&monitor, 1).await;
    let status = node.get("/status").await;
    assert_eq!((&status["node_id"], &status["process_count"]), (&json!("node-1"), &json!(2)));
    assert_eq!(status["processes"]["monitor"]["invocation_count"], 1);
    assert_eq!(status["processes"]["monitor"]["triggers"][0]["kind"], "cron");
    assert_eq!(status["processes"]["analyst"]["state"], "created");
}

#[tokio::test]
async fn processes_lists_them_with_their_states() {
    let node = Node::start("node-1").await;
    let list = node.get("/processes").await;
    let states: Vec<(&str, &str)> = list["processes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|process| (process["name"].as_str().expect("a name"), process["state"].as_str().expect("a state")))
        .collect();
    assert_eq!(states, [("analyst", "created"), ("monitor", "awaiting")]);
}

#[tokio::test]
async fn a_process_is_started_and_stopped() {
    let node = Node::start("node-1").await;
    let analyst = node.world.runtime.get_process("analyst").expect("it is there");
    assert_eq!(node.post("/processes/analyst/start", None).await.0, StatusCode::OK);
    assert_eq!(analyst.status().state, LifecycleState::Awaiting);
    assert_eq!(node.post("/processes/analyst/start", None).await.0, StatusCode::CONFLICT);
    assert_eq!(node.post("/processes/analyst/stop", None).await.0, StatusCode::OK);
    assert_eq!(analyst.status().state, LifecycleState::Stopped);
    assert_eq!(node.post("/processes/nobody/start", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_event_is_injected_once_and_wakes_the_agent() {
    let node = Node::start("node-1").await;
    let event = json!({"payload": {"file": "weather-2013-01.csv"}, "dedup_key": "delivery-7"});
    let (status, first) = node.post("/processes/monitor/event", Some(event.clone())).await;
    assert_eq!((status, &first["duplicate"]), (StatusCode::ACCEPTED, &json!(false)));
    let (_, again) = node.post("/processes/monitor/event", Some(event)).await;
    assert_eq!((&again["duplicate"], &again["event_id"]), (&json!(true), &first["event_id"]));
    let monitor = node.world.runtime.get_process("monitor").expect("it is there");
    runs(&monitor, 1).await;
    let reading = node.world.read("monitor").await;
    assert_eq!(reading.events().len(), 1);
    assert_eq!(reading.events()[0].payload, json!({"file": "weather-2013-01.csv"}));
    let (status, _) = node.post("/processes/analyst/event", Some(json!({"payload": {}}))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "it is not started");
}

#[tokio::test]
async fn two_nodes_answer_for_themselves() {
    let (one, two) = (Node::start("node-1").await, Node::start("node-2").await);
    assert_eq!(two.get("/health").await["node_id"], "node-2");
    one.transport.shutdown().await;
    assert_eq!(two.get("/status").await["process_count"], 2);
}
