//! Step 6: behaviour that no healthy agent shows is found from its calls and answers alone.

use flyball::journal::LifecycleState;
use flyball::runtime::AgentProcess;
use serde_json::{Value, json};

use crate::support::{Receiver, World, eventually, fire, in_state, run_times, runs};

fn patient(health: &str) -> String {
    format!("name: patient\ncontext: {{initial_state: {{a: 1, b: 2}}, writable_keys: [a]}}\nhealth:\n  enabled: true\n{health}")
}

/// The same call in every turn.
const STUCK: &str = "rules: [{call: [{tool: get_state, args: {key: a}}]}]";

/// One call, then the other, round after round.
const CIRCLES: &str = r"
rules:
  - when: {after: get_state, result: '^1$'}
    call: [{tool: get_state, args: {key: b}}]
  - call: [{tool: get_state, args: {key: a}}]
";

/// Ten calls, six of which are refused by the tool: the key may not be written.
fn clumsy() -> String {
    let good = |n: u32| format!("{{tool: set_state, args: {{key: a, value: {n}}}}}");
    let bad = |n: u32| format!("{{tool: set_state, args: {{key: b, value: {n}}}}}");
    let calls: Vec<String> = (0..4).map(good).chain((0..6).map(bad)).collect();
    format!("rules:\n  - when: {{step: t0}}\n    call: [{}]\n  - say: I did what I could\n", calls.join(", "))
}

/// A world in which the patient was woken once.
async fn once(script: &str, health: &str) -> (World, AgentProcess) {
    let world = World::new();
    world.script(script);
    let process = world.start(&patient(health)).await;
    fire(&process, json!({})).await;
    (world, process)
}

async fn anomalies(world: &World) -> Vec<Value> {
    world.read("patient").await.notes("health").into_iter().cloned().collect()
}

async fn is_paused(process: &AgentProcess, by: &str) {
    let status = in_state(process, LifecycleState::Suspended).await;
    assert!(status.reason.contains(by), "{}", status.reason);
    assert_eq!(status.layers["health"]["healthy"], false);
}

#[tokio::test]
async fn an_agent_that_makes_the_same_call_again_and_again_is_stuck() {
    let (world, process) = once(STUCK, "  stuck_threshold: 3\n  on_anomaly: pause").await;
    is_paused(&process, "stuck: 'get_state' was called 3 times").await;
    let found = anomalies(&world).await;
    assert_eq!((found.len(), &found[0]["anomaly"], &found[0]["times"]), (1, &json!("stuck"), &json!(3)));
    let reading = world.read("patient").await;
    assert_eq!(reading.calls().len(), 3, "the run ends before the next call");
    assert_eq!(reading.turns(), ["t0", "t1", "t2", "t3"], "no model is asked but by the agent");
}

#[tokio::test]
async fn the_threshold_decides_when_an_agent_is_stuck() {
    let (world, process) = once(STUCK, "  stuck_threshold: 5\n  on_anomaly: pause").await;
    is_paused(&process, "5 times").await;
    assert_eq!(world.read("patient").await.calls().len(), 5);
}

#[tokio::test]
async fn an_agent_that_goes_in_circles_is_in_a_loop() {
    let (world, process) = once(CIRCLES, "  loop_window: 20\n  loop_min_repeats: 3\n  on_anomaly: pause").await;
    is_paused(&process, "loop: ").await;
    let found = anomalies(&world).await;
    assert_eq!((&found[0]["anomaly"], &found[0]["rounds"]), (&json!("loop"), &json!(3)));
    assert_eq!(world.read("patient").await.calls().len(), 6);
}

#[tokio::test]
async fn an_agent_that_says_next_to_nothing_is_found() {
    let world = World::new();
    world.script("rules: [{say: ok}]");
    let process = world.start(&patient("  empty_threshold: 3\n  empty_max_chars: 10\n  on_anomaly: pause")).await;
    run_times(&process, 2).await;
    assert!(anomalies(&world).await.is_empty());
    run_times(&process, 1).await;
    is_paused(&process, "empty responses: 3 in a row").await;
    assert_eq!(anomalies(&world).await[0]["anomaly"], "empty_response");
}

#[tokio::test]
async fn an_agent_whose_calls_mostly_fail_is_found() {
    let (world, process) = once(&clumsy(), "  error_rate_threshold: 0.5\n  on_anomaly: pause").await;
    is_paused(&process, "error rate: 6 of the last 10").await;
    assert_eq!(anomalies(&world).await, [json!({"anomaly": "error_rate", "failed": 6, "of": 10})]);
}

#[tokio::test]
async fn fewer_failures_than_the_threshold_are_none() {
    let (world, process) = once(&clumsy(), "  error_rate_threshold: 0.7\n  on_anomaly: pause").await;
    runs(&process, 1).await;
    assert!(anomalies(&world).await.is_empty());
    assert_eq!(process.status().layers["health"]["healthy"], true);
}

#[tokio::test]
async fn on_anomaly_log_writes_it_down_and_goes_on() {
    let (world, process) = once(&clumsy(), "  on_anomaly: log").await;
    let status = runs(&process, 1).await;
    assert_eq!(status.state, LifecycleState::Awaiting);
    assert_eq!(anomalies(&world).await.len(), 1);
}

#[tokio::test]
async fn on_anomaly_stop_stops() {
    let (_world, process) = once(STUCK, "  on_anomaly: stop").await;
    let status = in_state(&process, LifecycleState::Stopped).await;
    assert!(status.reason.contains("stuck"), "{}", status.reason);
}

#[tokio::test]
async fn an_anomaly_is_escalated_and_not_again_before_its_cooldown_is_over() {
    let receiver = Receiver::start().await;
    let health = format!(
        "  on_anomaly: escalate\n  cooldown: 300\n  escalation: {{webhook_url: '{}', event_type: escalation}}",
        receiver.url()
    );
    let (world, process) = once(STUCK, &health).await;
    is_paused(&process, "stuck").await;
    let post = receiver.posted("health.anomaly").await;
    assert_eq!((&post["process"], &post["body"]["anomaly"]["tool"]), (&json!("patient"), &json!("get_state")));
    for (minutes, posts) in [(1, 1), (6, 2)] {
        world.minutes(minutes);
        process.resume().await.expect("it goes on");
        let before = process.status().invocation_count;
        fire(&process, json!({})).await;
        runs(&process, before + 1).await;
        is_paused(&process, "stuck").await;
        eventually("the post", || receiver.of("health.anomaly").len() >= posts).await;
        // A post comes when it comes; what is written down with it is there by now.
        assert_eq!(anomalies(&world).await.len(), posts, "{minutes} minutes later");
        assert_eq!(receiver.of("health.anomaly").len(), posts, "{minutes} minutes later");
    }
}
