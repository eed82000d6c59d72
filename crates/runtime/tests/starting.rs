//! Processes that do not come up: what the others do meanwhile, and when they are tried again.

#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Error, Invocation, Outcome, SystemClock, TriggerEvent};
use flyball_journal::{LifecycleState, Log, MemoryStorage};
use flyball_runtime::{
    AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, ProcessStatus, Restart, RestartPolicy, RuntimeParts, StartCause,
};
use flyball_triggers::{EventBus, EventConfig, EventTrigger, Trigger};
use serde_json::json;
use tokio::sync::watch;

#[tokio::test]
async fn a_start_that_fails_is_tried_again_as_the_policy_says() {
    let late = Late::after(2);
    let runtime = runtime(&[("p", &late, on_failure(3))]);
    let error = runtime.start("p").await.expect_err("its server is not there yet").to_string();
    assert!(error.contains("p did not start: no server yet; it is tried again in 0.01 s"), "{error}");
    let status = until(&runtime, "p", |status| status.state == LifecycleState::Awaiting).await;
    assert_eq!((status.restart_count, status.over, status.given_up), (2, false, false));
    assert_eq!(late.causes(), [StartCause::Asked; 3], "what it was asked to start for is still to be done");
    runtime.inject("p", event()).await.expect("taken");
    until(&runtime, "p", |status| status.invocation_count == 1).await;
}

#[tokio::test]
async fn a_start_that_fails_too_often_is_given_up() {
    let runtime = runtime(&[("p", &Late::after(9), on_failure(2))]);
    runtime.start("p").await.expect_err("its server is not there");
    let status = until(&runtime, "p", |status| status.given_up).await;
    assert_eq!((status.state, status.over, status.restart_count), (LifecycleState::Failed, true, 2));
    assert!(status.reason.contains("no server yet"), "{}", status.reason);
}

#[tokio::test]
async fn without_a_policy_a_start_that_fails_is_given_up_before_it_is_answered() {
    let (late, well) = (Late::after(1), Late::after(0));
    let never = Restart { policy: RestartPolicy::Never, ..on_failure(3) };
    let runtime = runtime(&[("p", &late, never), ("q", &well, never)]);
    let failed = runtime.start_all().await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].1.to_string(), "p did not start: no server yet");
    assert!(runtime.process_status("p").await.expect("there is p").given_up);
    runtime.inject("q", event()).await.expect("the other one is up");
    until(&runtime, "q", |status| status.invocation_count == 1).await;
    runtime.start("p").await.expect("someone asked for it, and now its server is there");
}

#[tokio::test]
async fn what_others_say_to_one_that_did_not_come_up_yet_waits_for_it() {
    let late = Late::after(2);
    let runtime = runtime(&[("p", &late, Restart { backoff: Duration::from_millis(300), ..on_failure(3) })]);
    assert_eq!(runtime.emit("late.hello", "test", json!(0)).await.expect("the bus is there"), 0, "nobody listens yet");
    runtime.start("p").await.expect_err("its server is not there yet");
    assert_eq!(runtime.emit("late.hello", "test", json!(1)).await.expect("taken"), 1, "it is tried again, and hears");
    let status = until(&runtime, "p", |status| status.invocation_count == 1).await;
    assert_eq!((status.restart_count, status.events.completed), (2, 1));
}

#[tokio::test]
async fn one_that_takes_long_to_come_up_holds_up_the_others_for_a_moment_and_hears_them() {
    let (slow, well) = (Late::never(), Late::after(0));
    let never = Restart { policy: RestartPolicy::Never, ..on_failure(3) };
    let runtime = Arc::new(runtime(&[("slow", &slow, never), ("well", &well, never)]));
    let all = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { runtime.start_all().await }
    });
    until(&runtime, "well", |status| status.state == LifecycleState::Awaiting).await;
    assert_eq!(runtime.emit("late.hello", "test", json!(1)).await.expect("taken"), 2, "both hear");
    until(&runtime, "well", |status| status.invocation_count == 1).await;
    assert_eq!(runtime.process_status("slow").await.expect("there is one").state, LifecycleState::Starting);
    // Nobody can put a start behind this one that would undo a stop.
    let again = runtime.start("slow").await.expect_err("it is on").to_string();
    assert!(again.contains("starting already"), "{again}");
    // And it is told to stop as quickly as one that is up.
    tokio::time::timeout(Duration::from_secs(10), runtime.stop("slow")).await.expect("it is broken off").expect("it stops");
    let failed = tokio::time::timeout(Duration::from_secs(10), all).await.expect("all are answered").expect("no panic");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].1.to_string(), "slow did not start: it was told to stop meanwhile");
    let status = runtime.process_status("slow").await.expect("there is one");
    assert_eq!((status.state, status.over, status.open_events), (LifecycleState::Stopped, true, 1), "{status:#?}");
    // What it was told waits for it.
    slow.come_up();
    runtime.start("slow").await.expect("now it can");
    until(&runtime, "slow", |status| status.invocation_count == 1).await;
}

fn on_failure(max_restarts: u32) -> Restart {
    Restart { policy: RestartPolicy::OnFailure, max_restarts, backoff: Duration::from_millis(10) }
}

fn runtime(processes: &[(&str, &Late, Restart)]) -> AgentRuntime {
    let log = Log::resume_storage(Arc::new(MemoryStorage::default()), 1 << 20).expect("the log opens");
    let runtime = AgentRuntime::new(RuntimeParts::new(log.into()));
    for (name, late, restart) in processes {
        let spec = ProcessSpec { restart: *restart, ..ProcessSpec::new(name) };
        let late = Late { bus: Some(Arc::clone(runtime.event_bus())), ..(*late).clone() };
        runtime.add_process(spec, Arc::new(late)).expect("the name is free");
    }
    runtime
}

fn event() -> TriggerEvent {
    TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))
}

async fn until(runtime: &AgentRuntime, name: &str, wanted: impl FnMut(&ProcessStatus) -> bool) -> ProcessStatus {
    let mut watch = runtime.get_process(name).expect("it is there").watch();
    let waited = tokio::time::timeout(Duration::from_secs(20), watch.wait_for(wanted)).await;
    waited.unwrap_or_else(|_| panic!("it never came: {:#?}", watch.status())).expect("its task goes on")
}

/// A process whose first starts fail, or take for ever, and that listens to others.
#[derive(Clone)]
struct Late {
    failures: u32,
    hangs: watch::Sender<bool>,
    bus: Option<Arc<dyn EventBus>>,
    causes: Arc<std::sync::Mutex<Vec<StartCause>>>,
    starts: Arc<AtomicU32>,
}

impl Late {
    fn after(failures: u32) -> Self {
        Self { failures, hangs: watch::Sender::new(false), bus: None, causes: Arc::default(), starts: Arc::default() }
    }

    fn never() -> Self {
        Self { hangs: watch::Sender::new(true), ..Self::after(0) }
    }

    fn come_up(&self) {
        self.hangs.send_replace(false);
    }

    fn causes(&self) -> Vec<StartCause> {
        self.causes.lock().expect("unpoisoned").clone()
    }
}

#[async_trait]
impl Agent for Late {
    async fn invoke(&self, _: Invocation) -> Result<Outcome, Error> {
        Ok(Outcome::default())
    }
}

#[async_trait]
impl Blueprint for Late {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        let bus = self.bus.clone().ok_or("it is in a runtime")?;
        let trigger = EventTrigger::new(EventConfig::new("late.>"), bus, Arc::new(SystemClock));
        Ok(vec![Box::new(trigger.map_err(|error| error.to_string())?)])
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        self.causes.lock().expect("unpoisoned").push(past.cause);
        if self.starts.fetch_add(1, Ordering::SeqCst) < self.failures {
            return Err("no server yet".into());
        }
        self.hangs.subscribe().wait_for(|hangs| !hangs).await.map_err(|error| error.to_string())?;
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        Ok(Built { agent: Arc::new(self.clone()), context, layers: Vec::new(), on_stop: None })
    }
}
