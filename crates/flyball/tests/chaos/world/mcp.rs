//! The tool server.
//!
//! `look` reads. `put` may be repeated under its key. `act` cannot be undone, and `act_checked` neither, but
//! `reconcile` tells whether it happened. `wait_ms` has them wait when they have acted, and `late_ms` before.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use chrono::Utc;
use serde_json::{Value, json};

use super::{Arrival, CANARY, World};

pub fn router(world: Arc<World>) -> Router {
    Router::new().route("/mcp/{scene}", post(answer)).with_state(world)
}

async fn answer(State(world): State<Arc<World>>, Path(scene): Path<String>, Json(message): Json<Value>) -> Response {
    let Some(id) = message.get("id").filter(|id| !id.is_null()) else { return StatusCode::ACCEPTED.into_response() };
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "world", "version": "1"},
        }),
        "tools/list" => json!({"tools": tools()}),
        "tools/call" => call(&world, &scene, &message["params"]).await,
        _ => json!({}),
    };
    Json(json!({"jsonrpc": "2.0", "id": id, "result": result})).into_response()
}

pub fn tools() -> Value {
    let tool = |name: &str| json!({"name": name, "description": name, "inputSchema": {"type": "object", "properties": {}}});
    ["look", "put", "act", "act_checked", "reconcile"].into_iter().map(tool).collect()
}

async fn call(world: &World, scene: &str, params: &Value) -> Value {
    let name = params["name"].as_str().unwrap_or_default();
    let args = &params["arguments"];
    let key = params["_meta"]["flyball/idempotency-key"].as_str().unwrap_or_default();
    let text = if name == "reconcile" {
        let asked = args["key"].as_str().unwrap_or_default();
        let ledger = world.scene(scene);
        let happened = ledger.lock().unwrap_or_else(PoisonError::into_inner).happened(asked);
        json!({"happened": happened, "result": "it had"}).to_string()
    } else {
        wait(&args["late_ms"]).await;
        let world = world.scene(scene);
        let (tool, key, args) = (name.to_owned(), key.to_owned(), args.clone());
        // Some tools say again what they were told.
        let token = args["token"].as_str().map(|token| format!(" with {token}")).unwrap_or_default();
        let acted = tokio::task::spawn_blocking(move || {
            let mut ledger = world.lock().unwrap_or_else(PoisonError::into_inner);
            let (run, step) = key.split_once('/').unwrap_or_default();
            let written = tool == "look" || ledger.journal_holds("tool_call", run, step);
            let secret = args["token"] == CANARY;
            let n = args["n"].as_str().unwrap_or_default().to_owned();
            ledger.arrive(&Arrival { at: Utc::now(), tool, key, n, written, secret })
        });
        let repeated = acted.await.expect("the ledger can be written");
        format!("{name}: done{token}{}", if repeated { ", as before" } else { "" })
    };
    wait(&args["wait_ms"]).await;
    json!({"content": [{"type": "text", "text": text}], "isError": false})
}

async fn wait(millis: &Value) {
    // Text where a script filled it in.
    let millis = millis.as_u64().or_else(|| millis.as_str()?.parse().ok()).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
