//! What a manifest says of what calls do to the world, and so of what is done after a crash.

use flyball::core_agent::Effect;
use flyball::journal::Entry;
use serde_json::json;

use super::standstill::{EMITS, Standstill};
use crate::binary::till;
use crate::support::{World, eventually, fire, runs, until};

/// The effects that the calls of a process were made with.
async fn effects(world: &World, process: &str) -> Vec<Effect> {
    let reading = world.read(process).await;
    let effects = reading.records.iter().filter_map(|record| match &record.entry {
        Entry::ToolCall { effect, .. } => Some(*effect),
        _ => None,
    });
    effects.collect()
}

const PAYS: &str = "rules: [{when: {step: t0}, call: [{tool: pay}]}, {say: it is paid}]";

/// An agent whose only tool says of itself that it only reads. Its first call is cut off by a crash.
async fn cut_off(settings: &str) -> (World, flyball::runtime::AgentProcess) {
    let world = World::new();
    world.script(PAYS);
    // It is ended with the world that started it.
    till::write(world.dir(), r#"{"readOnlyHint":true}"#, "exec sleep 600");
    let manifest = format!("name: payer\n{settings}");
    let process = world.start(&manifest).await;
    fire(&process, json!({})).await;
    eventually("the call", || till::calls(world.dir()) == 1).await;
    let later = world.after_a_crash();
    let process = later.start(&manifest).await;
    (later, process)
}

#[tokio::test]
async fn what_a_trusted_server_says_of_its_tools_is_believed() {
    let (world, process) = cut_off("servers: {till: {command: ./till, cwd: ., trusted: true}}").await;
    runs(&process, 1).await;
    assert_eq!(till::calls(world.dir()), 2, "a look is taken again");
    // The record of the first may be lost: a look leaves before it is durable.
    assert!(effects(&world, "payer").await.iter().all(|effect| *effect == Effect::Read));
    assert_eq!(world.read("payer").await.last_reply(), "it is paid");
}

#[tokio::test]
async fn what_any_other_server_says_is_not() {
    let (world, process) = cut_off("servers: {till: {command: ./till, cwd: .}}").await;
    until(&process, "it is held", |status| status.held_runs.len() == 1).await;
    assert_eq!(effects(&world, "payer").await, [Effect::Irreversible]);
    assert_eq!(till::calls(world.dir()), 1);
}

#[tokio::test]
async fn a_tool_whose_cost_is_said_to_be_irreversible_is_whatever_its_server_says() {
    let costs = "budget: {enabled: true, tool_costs: {pay: {cost_weight: 1.0, irreversible: true}}}";
    let (world, process) = cut_off(&format!("servers: {{till: {{command: ./till, cwd: ., trusted: true}}}}\n{costs}")).await;
    until(&process, "it is held", |status| status.held_runs.len() == 1).await;
    assert_eq!(effects(&world, "payer").await, [Effect::Irreversible]);
    assert_eq!(till::calls(world.dir()), 1);
}

#[tokio::test]
async fn a_tool_of_its_own_whose_cost_is_said_to_be_irreversible_is_held_after_a_crash() {
    for (irreversible, calls) in [(false, 2), (true, 1)] {
        let world = World::new();
        world.script(EMITS);
        let _nobody_answers = Standstill::of(&world).await;
        let cost = format!("{{cost_weight: 1.0, irreversible: {irreversible}}}");
        let manifest = format!("name: teller\nbudget: {{enabled: true, tool_costs: {{emit_event: {cost}}}}}");
        let process = world.start(&manifest).await;
        fire(&process, json!({})).await;
        while world.read("teller").await.calls().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let later = world.after_a_crash();
        let process = later.start(&manifest).await;
        let what = format!("with irreversible: {irreversible}, the run is held or done");
        until(&process, &what, |status| {
            status.held_runs.len() == usize::from(irreversible)
                && status.active_runs == 0
                && status.events.completed == u64::from(!irreversible)
        })
        .await;
        assert_eq!(later.read("teller").await.calls().len(), calls, "irreversible: {irreversible}");
    }
}
