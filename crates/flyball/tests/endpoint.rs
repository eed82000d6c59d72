//! The example's manifests, unchanged, against an HTTP endpoint that speaks OpenAI's protocol and checks it strictly.
#![cfg(test)]

mod binary;

use std::path::Path;
use std::sync::Arc;

use binary::{Ended, LONG, Scene, finish};
use flyball::core_agent::StepId;
use flyball::core_agent::scripted::ScriptedModel;
use flyball::core_agent::testing::{OpenAiServer, Place};
use serde_json::Value;

const API_KEY: &str = "sk-for-the-test";

/// The endpoint, with the example's script behind it.
async fn endpoint() -> OpenAiServer {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pipeline-ops/pipeline-ops.script.yaml");
    let model = ScriptedModel::from_file(script).expect("the example's script is good");
    OpenAiServer::with_model(Arc::new(model), place).await.expect("a port is free")
}

/// Who asks, by the instructions that each manifest gives, and the judge by its own.
fn place(request: &Value) -> Place {
    let instructions = request["messages"][0]["content"].as_str().unwrap_or_default();
    let (process, step) = match instructions {
        text if text.starts_with("You monitor") => ("monitor", None),
        text if text.starts_with("You analyse") => ("analyst", None),
        text if text.starts_with("You judge") => ("responder", Some(StepId("judge".into()))),
        _ => ("responder", None),
    };
    Place { process: process.into(), step }
}

/// `flyball run` on the example with this endpoint as its model, to its end, which is a good one.
async fn run(scene: &Scene, endpoint: &OpenAiServer) -> Ended {
    let mut run = scene.run();
    run.env("FLYBALL_MODEL", "openai:test").env("OPENAI_BASE_URL", endpoint.base_url()).env("OPENAI_API_KEY", API_KEY);
    let ended = tokio::task::spawn_blocking(move || finish(&mut run, LONG)).await;
    ended.expect("it is watched to its end").with_code(0)
}

/// Whether the request's first message, which holds the instructions, begins so.
fn begins(request: &Value, instructions: &str) -> bool {
    request["messages"][0]["content"].as_str().is_some_and(|text| text.starts_with(instructions))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_manifests_reach_their_mission_with_a_model_behind_the_openai_protocol() {
    let (scene, endpoint) = (Scene::new(), endpoint().await);
    let ended = run(&scene, &endpoint).await;
    assert_eq!(endpoint.violations(), [""; 0]);
    assert!(ended.stdout.contains("mission achieved"), "{}", ended.stdout);
    assert!(ended.stdout.contains("model openai:test") && !ended.stdout.contains("TEST DOUBLE"), "{}", ended.stdout);
    assert_eq!(scene.drops("quarantine"), ["weather-2013-01.csv"]);
    let requests = endpoint.requests();
    assert!(requests.iter().all(|request| request["model"] == "test"));
    for who in ["You monitor", "You analyse", "You execute", "You judge"] {
        assert!(requests.iter().any(|request| begins(request, who)), "nobody was asked as: {who}");
    }
    let journal = serde_json::to_string(&scene.records()).expect("records are plain data");
    assert!(!journal.contains(API_KEY) && !ended.stdout.contains(API_KEY) && !ended.stderr.contains(API_KEY));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_are_offered_their_tools_and_shown_the_answers_and_the_judge_is_offered_none() {
    let (scene, endpoint) = (Scene::new(), endpoint().await);
    run(&scene, &endpoint).await;
    let requests = endpoint.requests();
    let (judge, agents): (Vec<&Value>, Vec<&Value>) = requests.iter().partition(|request| begins(request, "You judge"));
    let offered = |request: &Value, name: &str| {
        request["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["function"]["name"] == name))
    };
    for tool in ["check_health", "quarantine_file", "emit_event", "publish_message", "get_state"] {
        assert!(agents.iter().all(|request| offered(request, tool)), "{tool}");
    }
    let answer = |message: &Value| message["role"] == "tool" && message["content"].to_string().contains("healthy");
    assert!(agents.iter().any(|request| request["messages"].as_array().is_some_and(|messages| messages.iter().any(answer))));
    assert!(!judge.is_empty() && judge.iter().all(|request| request.get("tools").is_none()));
}
