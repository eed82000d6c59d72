use std::net::SocketAddr;
use std::sync::Arc;

use flyball_cluster::{RuntimeTransport, TransportConfig};
use serde_json::{Value, json};

use super::support::{Fake, get, post, raw, request};

async fn serve() -> (RuntimeTransport, SocketAddr, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let addr = "127.0.0.1:0".parse().unwrap();
    let config = TransportConfig { addr, node_id: "node-1".into(), ..TransportConfig::default() };
    let transport = RuntimeTransport::serve(Arc::clone(&fake) as _, config).await.unwrap();
    let addr = transport.local_addr();
    (transport, addr, fake)
}

#[tokio::test]
async fn a_node_tells_its_health_and_its_status() {
    let (_transport, addr, _) = serve().await;
    assert_eq!(get(addr, "/health").await.json(), json!({"status": "healthy", "node_id": "node-1", "process_count": 9}));
    let status = get(addr, "/status").await.json();
    assert_eq!((&status["node_id"], &status["process_count"]), (&json!("node-1"), &json!(9)));
    assert_eq!(status["processes"]["monitor"]["state"], "awaiting");
    let list = get(addr, "/processes").await.json();
    let monitor = json!({"name": "monitor", "process_id": "id-of-monitor", "state": "awaiting", "reason": "started"});
    assert!(list["processes"].as_array().unwrap().contains(&monitor), "{list}");
    assert_eq!(get(addr, "/processes/monitor").await.json()["layers"]["budget"]["left"], 3);
}

#[tokio::test]
async fn a_process_is_stopped_and_started_with_or_without_a_body() {
    let (_transport, addr, _) = serve().await;
    let stopped = post(addr, "/processes/monitor/stop", "").await;
    assert_eq!((stopped.status, stopped.json()), (200, json!({"name": "monitor", "result": "stopped"})));
    assert_eq!(get(addr, "/processes/monitor").await.json()["state"], "stopped");
    assert_eq!(post(addr, "/processes/monitor/start", "{}").await.status, 200);
    let again = post(addr, "/processes/monitor/resume", "").await;
    assert_eq!(again.status, 200);
    let refused = post(addr, "/processes/monitor/start", "").await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "WRONG_STATE"));
    assert_eq!(refused.message(), "'monitor' is awaiting already");
}

#[tokio::test]
async fn an_injected_event_is_the_nodes_own_and_never_trusted() {
    let (_transport, addr, fake) = serve().await;
    let taken = post(addr, "/processes/monitor/event", r#"{"payload": {"a": 1}, "metadata": {"by": "me"}}"#).await;
    assert_eq!(taken.status, 202);
    let event = fake.events.lock().unwrap()[0].clone();
    assert_eq!(taken.json(), json!({"event_id": event.event_id, "duplicate": false}));
    assert_eq!((event.trigger_type.as_str(), event.trigger_id.as_str(), event.trusted), ("remote", "remote", false));
    assert_eq!((event.payload, Value::Object(event.metadata)), (json!({"a": 1}), json!({"by": "me"})));
    let trusted = post(addr, "/processes/monitor/event", r#"{"payload": 1, "trusted": true}"#).await;
    assert_eq!(trusted.status, 422);
}

#[tokio::test]
async fn an_event_that_is_not_taken_may_be_sent_again_later() {
    let (_transport, addr, _) = serve().await;
    let refusals = [
        ("busy", 429, "FULL", "1"),
        ("away", 503, "CLOSED", "5"),
        ("full-disk", 507, "NO_ROOM", "5"),
        ("broken-disk", 503, "NOT_DURABLE", "5"),
    ];
    for (process, status, code, after) in refusals {
        let answer = post(addr, &format!("/processes/{process}/event"), r#"{"payload": 1}"#).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
        assert!(answer.head.contains(&format!("retry-after: {after}")), "{answer:?}");
    }
    let unwanted = post(addr, "/processes/picky/event", r#"{"payload": 1}"#).await;
    assert_eq!((unwanted.status, unwanted.code().as_str()), (409, "FILTERED"));
    assert!(!unwanted.head.contains("retry-after"), "to send it again is pointless");
    let deep = post(addr, "/processes/shallow/event", r#"{"payload": 1}"#).await;
    assert_eq!((deep.status, deep.code().as_str()), (422, "TOO_DEEP"));
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_the_fields_name() {
    let (_transport, addr, fake) = serve().await;
    for (path, body, status, expected) in [
        ("/processes/monitor/event", r#"{"payload": 1, "prioritty": 2}"#, 422, "unknown field `prioritty`"),
        ("/processes/monitor/event", "{}", 422, "missing field `payload`"),
        ("/processes/monitor/event", r#"{"payload": 1, "metadata": 7}"#, 422, "metadata: invalid type"),
        ("/processes/monitor/event", r#"{"payload": 1, "payload": 2}"#, 422, "duplicate field `payload`"),
        ("/processes/monitor/event", r#"{"payload": 1, "trigger_id": ""}"#, 422, "trigger_id: must have 1 to 256 bytes"),
        ("/processes/monitor/event", r#"{"payload": "#, 400, "EOF while parsing"),
        ("/processes/monitor/event", r#"{"payload": 1} x"#, 400, "trailing characters"),
        ("/processes/monitor/event", "", 400, "the body is no JSON"),
        ("/processes/monitor/event", " [1]", 422, "must be a JSON object"),
        ("/processes/monitor/event", "1", 422, "invalid type"),
        ("/processes/monitor/stop", "[]", 422, "must be a JSON object"),
        ("/processes/monitor/stop", r#"{"force": true}"#, 422, "unknown field `force`"),
        ("/processes/monitor/pause", r#"{"why": 3}"#, 422, "why: invalid type"),
        ("/events", r#"{"event_type": "", "data": 1}"#, 422, "event_type: must have"),
        ("/events", r#"{"event_type": "a"}"#, 422, "missing field `data`"),
        ("/messages", r#"{"topic": "a", "content": 1, "to": "b"}"#, 422, "unknown field `to`"),
        ("/processes/monitor/command", r#"{"layer": "budget"}"#, 422, "missing field `request`"),
    ] {
        let answer = post(addr, path, body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.message().contains(expected), "{body}: {}", answer.message());
    }
    assert!(fake.events.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_or_not_json_or_too_big_is_told_apart() {
    let (_transport, addr, _) = serve().await;
    let nobody = get(addr, "/processes/monitr").await;
    assert_eq!((nobody.status, nobody.code().as_str()), (404, "PROCESS_NOT_FOUND"));
    assert!(nobody.message().contains("there are: away, broken-disk, busy"), "{nobody:?}");
    assert_eq!(get(addr, "/nothing").await.code(), "NO_SUCH_ROUTE");
    let method = get(addr, "/events").await;
    assert_eq!((method.status, method.code().as_str()), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(get(addr, "/processes/%ff").await.status, 400);
    let host = format!("host: {addr}");
    let text = request(addr, "POST /events", &[&host, "content-type: text/plain"], r#"{"event_type": "a", "data": 1}"#).await;
    assert_eq!((text.status, text.code().as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"));
    let big = format!(r#"{{"event_type": "a", "data": "{}"}}"#, "x".repeat(1024 * 1024));
    for path in ["/events", "/processes/monitor/stop"] {
        let answer = post(addr, path, &big).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "PAYLOAD_TOO_LARGE"), "{path}");
    }
}

#[tokio::test]
async fn a_megabyte_less_its_frame_is_taken() {
    let (_transport, addr, _) = serve().await;
    let body = format!(r#"{{"event_type": "a", "data": "{}"}}"#, "x".repeat(1024 * 1024 - 40));
    assert_eq!(post(addr, "/events", &body).await.json(), json!({"delivered": 0}));
}

#[tokio::test]
async fn noise_is_answered_and_the_node_goes_on() {
    let (_transport, addr, _) = serve().await;
    assert_eq!(raw(addr, b"\x16\x03\x01garbage\r\n\r\n").await.status, 400);
    let many = "x: y\r\n".repeat(20_000);
    let answer = raw(addr, format!("GET /health HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert!([0, 431].contains(&answer.status), "{answer:?}");
    assert_eq!(get(addr, "/health").await.status, 200);
}
