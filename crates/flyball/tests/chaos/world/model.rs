//! The model: the suite's script behind the OpenAI protocol. Who asks and for what is in the prompt.

use std::sync::{Arc, PoisonError};

use chrono::Utc;
use flyball::core_agent::scripted::ScriptedModel;
use flyball::core_agent::testing::{OpenAiServer, Place};
use serde_json::Value;

use super::{Arrival, World};
use crate::real::SCRIPT;

pub async fn start(world: Arc<World>) -> OpenAiServer {
    let script = ScriptedModel::from_yaml(SCRIPT, "the suite's script").expect("the script is good");
    let server = OpenAiServer::with_model(Arc::new(script), move |request| note(&world, request)).await;
    let server = server.expect("a port is free");
    server.allow_anonymous();
    server
}

/// Writes the question down, and whether the journal held its answer already.
fn note(world: &World, request: &Value) -> Place {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    let instructions = messages.first().map(text).unwrap_or_default();
    let word = |label: &str| {
        let rest = instructions.split_once(label).map_or("", |(_, rest)| rest);
        rest.split_whitespace().next().unwrap_or_default().to_owned()
    };
    let (scene, process) = (word("scene: "), word("process: "));
    let asked = messages.iter().rposition(|message| message["role"] == "user").unwrap_or(0);
    let event = messages.get(asked).map(text).unwrap_or_default();
    let event = event.split_once(", event ").and_then(|(_, rest)| rest.split(',').next()).unwrap_or_default().to_owned();
    let turn = messages[asked..].iter().filter(|message| message["role"] == "assistant").count();
    let ledger = world.scene(&scene);
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let run = ledger.run_of(&event).unwrap_or_default();
    let written = ledger.journal_holds("model_reply", &run, &format!("t{turn}"));
    let key = format!("{event}/t{turn}");
    ledger.arrive(&Arrival { at: Utc::now(), tool: "model".into(), key, n: process.clone(), written, secret: false });
    Place::from(process)
}
