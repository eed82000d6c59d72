//! Step 5: a budget per run and per day, and what becomes of a process that would go past it.

use flyball::journal::LifecycleState;
use flyball::runtime::{AgentProcess, ProcessStatus};
use serde_json::{Value, json};

use crate::support::{Reading, Receiver, World, fire, in_state, run_times, runs, until};

/// Three calls side by side, then the end.
const THREE_CALLS: &str = r"
rules:
  - when: {step: t0}
    call:
      - {tool: set_state, args: {key: a, value: 1}}
      - {tool: set_state, args: {key: b, value: 1}}
      - {tool: emit_event, args: {event_type: news}}
  - say: that is all
";

/// A process with this budget.
fn spender(budget: &str) -> String {
    format!("name: spender\ncontext: {{conversation_history: false}}\nbudget:\n  enabled: true\n{budget}")
}

async fn started(budget: &str) -> (World, AgentProcess) {
    let world = World::new();
    world.script(THREE_CALLS);
    let process = world.start(&spender(budget)).await;
    (world, process)
}

/// Which of the run's calls were refused, and by which limit.
fn refusals(reading: &Reading, limit: &str) -> Vec<bool> {
    let refused = |text: &str, by_a_layer: bool| {
        assert_eq!(by_a_layer, text.contains(limit), "{text}");
        by_a_layer
    };
    reading.results().iter().map(|(reply, by_a_layer)| refused(&reply.text, *by_a_layer)).collect()
}

async fn paused(process: &AgentProcess, limit: &str) -> ProcessStatus {
    let status = in_state(process, LifecycleState::Suspended).await;
    assert!(status.reason.contains(limit), "{}", status.reason);
    status
}

#[tokio::test]
async fn a_run_makes_no_more_tool_calls_than_it_may_and_the_process_pauses() {
    let (world, process) = started("  max_tool_calls_per_run: 2\n  on_exceeded: pause").await;
    run_times(&process, 1).await;
    let reading = world.read("spender").await;
    assert_eq!(refusals(&reading, "max_tool_calls_per_run"), [false, false, true]);
    assert_eq!(reading.calls().len(), 2, "a refused call leaves no intent");
    assert_eq!(reading.last_reply(), "that is all", "the agent is told, and may come to its end");
    paused(&process, "max_tool_calls_per_run").await;
    fire(&process, json!({})).await;
    assert_eq!(process.status().invocation_count, 1);
    process.resume().await.expect("an operator lets it go on");
    runs(&process, 2).await;
}

#[tokio::test]
async fn a_run_takes_no_more_turns_of_the_model_than_it_may() {
    let world = World::new();
    world.script("rules: [{call: [{tool: get_state}]}]");
    let process = world.start(&spender("  max_llm_turns_per_run: 10\n  on_exceeded: stop")).await;
    fire(&process, json!({})).await;
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert!(status.reason.contains("max_llm_turns_per_run"), "{}", status.reason);
    assert_eq!(world.read("spender").await.turns().len(), 10);
}

#[tokio::test]
async fn tools_cost_what_the_manifest_says_and_a_run_spends_no_more_than_it_may() {
    let costs = "  max_cost_per_run: 5.5\n  tool_costs: {set_state: {cost_weight: 2.5}, emit_event: {cost_weight: 1.0}}";
    let (world, process) = started(costs).await;
    run_times(&process, 1).await;
    assert_eq!(refusals(&world.read("spender").await, "max_cost_per_run"), [false, false, true]);
    paused(&process, "max_cost_per_run").await;
}

#[tokio::test]
async fn a_tool_that_is_not_listed_costs_one() {
    let (world, process) = started("  max_cost_per_run: 2.5").await;
    run_times(&process, 1).await;
    assert_eq!(refusals(&world.read("spender").await, "max_cost_per_run"), [false, false, true]);
}

#[tokio::test]
async fn a_run_makes_no_more_irreversible_calls_than_it_may_and_other_calls_go_on() {
    let limit = "  max_irreversible_per_run: 1\n  tool_costs: {set_state: {cost_weight: 1.0, irreversible: true}}";
    let (world, process) = started(limit).await;
    run_times(&process, 1).await;
    assert_eq!(refusals(&world.read("spender").await, "max_irreversible_per_run"), [false, true, false]);
}

#[tokio::test]
async fn what_remains_is_shown_before_every_turn() {
    let world = World::new();
    let look = |step: u32, left: u32| {
        format!("  - when: {{step: t{step}, shown: '\"tool_calls_run\":{left}'}}\n    call: [{{tool: get_state}}]\n")
    };
    let done = "  - when: {step: t3, shown: '\"tool_calls_run\":0'}\n    say: I was told 3, 2, 1 and 0\n";
    world.script(&format!("rules:\n{}{}{}{done}", look(0, 3), look(1, 2), look(2, 1)));
    let process = world.start(&spender("  max_tool_calls_per_run: 3\n  inject_remaining: true")).await;
    run_times(&process, 1).await;
    assert_eq!(world.read("spender").await.last_reply(), "I was told 3, 2, 1 and 0");
}

#[tokio::test]
async fn nothing_is_shown_where_inject_remaining_is_off() {
    let world = World::new();
    world.script(crate::support::ECHO);
    let process = world.start(&spender("  max_tool_calls_per_run: 3\n  inject_remaining: false")).await;
    run_times(&process, 1).await;
    assert!(!world.read("spender").await.last_reply().contains("Budget"));
}

#[tokio::test]
async fn an_escalation_is_posted_to_the_webhook_and_the_process_pauses() {
    let receiver = Receiver::start().await;
    let budget = format!(
        "  max_tool_calls_per_run: 2\n  on_exceeded: escalate\n  escalation: {{webhook_url: '{}', event_type: escalated}}",
        receiver.url()
    );
    let (world, process) = started(&budget).await;
    world.start("name: operator\ntriggers: [{type: event, event_type: escalated}]").await;
    run_times(&process, 1).await;
    let post = receiver.posted("budget.exceeded").await;
    assert_eq!(post["process"], "spender");
    assert_eq!(post["body"]["limits"], json!(["max_tool_calls_per_run"]));
    paused(&process, "max_tool_calls_per_run").await;
    let operator = world.runtime.get_process("operator").expect("it is there");
    until(&operator, "the operator is woken", |status| status.invocation_count > 0).await;
    let reading = world.read("operator").await;
    assert!(reading.events().iter().any(|event| event.payload["data"]["kind"] == "budget.exceeded"));
    // Such addresses hold keys.
    assert!(!world.bytes().await.contains(&receiver.url()));
}

/// What the status says of the day.
fn used(status: &ProcessStatus) -> &Value {
    &status.layers["budget"]["used"]
}

/// One minute before midnight, with a daily limit that one run reaches.
async fn late_in_the_day(limit: &str) -> (World, AgentProcess) {
    let world = World::starting("2026-03-02T23:58:00Z");
    world.script(THREE_CALLS);
    let process = world.start(&spender(limit)).await;
    run_times(&process, 1).await;
    (world, process)
}

async fn goes_on_after_midnight(world: World, process: AgentProcess, limit: &str) {
    paused(&process, limit).await;
    fire(&process, json!({})).await;
    world.minutes(1);
    assert_eq!(process.status().invocation_count, 1, "23:59 is the same day");
    world.minutes(1);
    runs(&process, 2).await;
    let reading = world.read("spender").await;
    assert!(reading.notes("budget").iter().any(|note| note["event"] == "exceeded" && note["limit"] == limit));
}

#[tokio::test]
async fn the_day_has_so_many_tool_calls_and_a_new_one_begins_at_midnight_utc_by_itself() {
    let (world, process) = late_in_the_day("  max_tool_calls_per_day: 2").await;
    assert_eq!(used(&process.status())["tool_calls_day"], 2);
    goes_on_after_midnight(world, process, "max_tool_calls_per_day").await;
}

#[tokio::test]
async fn the_day_has_so_much_to_spend_and_a_new_one_begins_at_midnight_utc_by_itself() {
    let costs = "  max_cost_per_day: 11.0\n  tool_costs: {set_state: {cost_weight: 5.0}, emit_event: {cost_weight: 2.0}}";
    let (world, process) = late_in_the_day(costs).await;
    assert_eq!(used(&process.status())["cost_day"], 10);
    goes_on_after_midnight(world, process, "max_cost_per_day").await;
}

#[tokio::test]
async fn a_crash_gives_no_new_day() {
    let (world, process) = late_in_the_day("  max_tool_calls_per_day: 3").await;
    assert_eq!(process.status().state, LifecycleState::Awaiting, "it is spent, and nothing was refused yet");
    let later = world.after_a_crash();
    let process = later.start(&spender("  max_tool_calls_per_day: 3")).await;
    assert_eq!(used(&process.status())["tool_calls_day"], 3);
    run_times(&process, 1).await;
    let reading = later.read("spender").await;
    assert_eq!(reading.calls().len(), 3, "all of them before the crash");
    assert_eq!(reading.results().iter().filter(|(_, refused)| *refused).count(), 3);
}
