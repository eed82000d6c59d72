//! Step 11: the production configuration, and that each part of it holds.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use flyball::journal::LifecycleState;
use flyball::runtime::{AgentProcess, Control};
use flyball::triggers::{BusEvent, Handled, NotTaken, Pattern, Subscription};
use serde_json::json;

use crate::support::{ADMIN_KEY_VARIABLE, CONTENT, Receiver, World, eventually, fire, in_state, run_times, runs, until};

/// The seed's production configuration. The clock of the test stands still; `beat` is in real seconds.
fn production(webhook: &str, beat: f64) -> String {
    format!(
        r"
name: production
instructions: Production agent.
config:
  concurrency: 3
  heartbeat_interval: {beat}
  idle_timeout: 300.0
  max_lifetime: 86400.0
  max_consecutive_failures: 3
  restart_policy: on_failure
  max_restarts: 5
  restart_backoff: 0.01
  drain_timeout: 0.2
budget: {{enabled: true, max_tool_calls_per_day: 1000, max_cost_per_day: 200.0, on_exceeded: pause}}
health: {{enabled: true, on_anomaly: escalate, escalation: {{webhook_url: '{webhook}'}}}}
mission:
  enabled: true
  objective: Keep all pipelines healthy
  success_criteria: Zero critical alerts for 24 consecutive hours
  eval_every: 10
  timeout_hours: 48
secrets: {{enabled: true, secrets: {{api_key: '${{{ADMIN_KEY_VARIABLE}}}'}}, default_ttl: 3600, revoke_on_stop: true}}
"
    )
}

const EMITS: &str = r"
rules:
  - when: {step: t0}
    call: [{tool: emit_event, args: {event_type: work.done}}]
  - say: the work is done
";

const BEAT: f64 = 0.02;

async fn started(script: &str) -> (World, AgentProcess) {
    let world = World::new();
    world.script(script);
    let process = world.start(&production("http://127.0.0.1:9/hook", BEAT)).await;
    (world, process)
}

/// Someone who listens, and answers nothing as long as it hangs.
#[derive(Clone, Default)]
struct Listener {
    hangs: Arc<AtomicBool>,
    heard: Arc<AtomicUsize>,
}

impl Listener {
    async fn listen(&self, world: &World) -> Subscription {
        let listener = self.clone();
        let handler = move |_: BusEvent| {
            listener.heard.fetch_add(1, Ordering::Relaxed);
            let hangs = listener.hangs.load(Ordering::Relaxed);
            async move { if hangs { pending().await } else { Ok::<_, NotTaken>(Handled::Taken) } }
        };
        let pattern = Pattern::parse("work.done").expect("a pattern");
        world.runtime.event_bus().subscribe(&pattern, Arc::new(handler)).await.expect("it is subscribed")
    }
}

#[tokio::test]
async fn the_production_configuration_runs_and_shows_its_governance() {
    let receiver = Receiver::start().await;
    let world = World::new();
    world.script(CONTENT);
    let process = world.start(&production(&receiver.url(), 10.0)).await;
    run_times(&process, 2).await;
    let status = world.runtime.process_status("production").await.expect("it is there");
    assert_eq!((status.invocation_count, status.consecutive_failures), (2, 0));
    assert_eq!(status.layers["budget"]["limits"]["tool_calls_day"], 1000);
    assert_eq!(status.layers["health"]["healthy"], true);
    assert_eq!((&status.layers["mission"]["state"], &status.layers["mission"]["invocations"]), (&json!("active"), &json!(2)));
    assert_eq!(status.layers["secrets"]["secrets"][0]["name"], "api_key");
}

#[tokio::test]
async fn three_runs_are_on_at_a_time_and_the_fourth_waits() {
    let world = World::new();
    world.script(EMITS);
    let listener = Listener { hangs: Arc::new(true.into()), ..Listener::default() };
    let listening = listener.listen(&world).await;
    let process = world.start(&production("http://127.0.0.1:9/hook", BEAT)).await;
    for _ in 0..5 {
        fire(&process, json!({})).await;
    }
    let status = until(&process, "three runs", |status| status.active_runs == 3).await;
    assert_eq!((status.state, status.pending_events), (LifecycleState::Running, 2));
    drop(listening);
    process.stop().await.expect("it stops");
    assert_eq!(process.status().active_runs, 0);
    process.start().await.expect("it starts");
    runs(&process, 5).await;
}

#[tokio::test]
async fn the_heartbeat_and_the_uptime_follow_the_clock() {
    let (world, process) = started(CONTENT).await;
    world.minutes(2);
    let status = until(&process, "two minutes", |status| status.uptime_seconds >= 120.0).await;
    assert_eq!(status.uptime_seconds, 120.0);
    let now = flyball::core_agent::Clock::now(&world.clock);
    until(&process, "a heartbeat", |status| status.last_heartbeat == Some(now)).await;
}

#[tokio::test]
async fn a_process_without_work_is_suspended_and_the_next_event_wakes_it() {
    let (world, process) = started(CONTENT).await;
    run_times(&process, 1).await;
    world.minutes(4);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(process.status().state, LifecycleState::Awaiting, "five minutes are not over");
    world.minutes(1);
    assert!(in_state(&process, LifecycleState::Suspended).await.reason.contains("idle"));
    run_times(&process, 1).await;
    in_state(&process, LifecycleState::Awaiting).await;
}

#[tokio::test]
async fn after_its_lifetime_the_process_is_started_anew_and_what_was_cut_off_goes_on() {
    let world = World::new();
    world.script(EMITS);
    let listener = Listener { hangs: Arc::new(true.into()), ..Listener::default() };
    let _listening = listener.listen(&world).await;
    let process = world.start(&production("http://127.0.0.1:9/hook", BEAT)).await;
    fire(&process, json!({})).await;
    eventually("the run hangs", || listener.heard.load(Ordering::Relaxed) == 1).await;
    listener.hangs.store(false, Ordering::Relaxed);
    world.minutes(24 * 60);
    let status = runs(&process, 1).await;
    assert!(status.uptime_seconds < 1.0, "it is a new life: {}", status.uptime_seconds);
    let reading = world.read("production").await;
    assert_eq!(reading.outcomes().len(), 1);
    use LifecycleState::{Awaiting, Running, Starting, Stopped, Stopping};
    assert_eq!(reading.states()[..7], [Starting, Awaiting, Running, Stopping, Stopped, Starting, Awaiting]);
    assert_eq!(reading.turns().iter().filter(|step| **step == "t0").count(), 1);
    let secrets = reading.notes("secrets");
    assert_eq!(secrets, [&json!({"action": "revoke", "secret": "api_key"})], "of the first life");
}

#[tokio::test]
async fn failures_restart_it_and_a_success_is_a_new_beginning() {
    let (_world, process) = started("rules: [{when: {event: good}, say: all is well here}]").await;
    run_times(&process, 2).await;
    fire(&process, json!({})).await;
    until(&process, "a restart", |status| status.restart_count == 1 && status.state == LifecycleState::Awaiting).await;
    fire(&process, json!("good")).await;
    assert_eq!(runs(&process, 4).await.consecutive_failures, 0);
}
