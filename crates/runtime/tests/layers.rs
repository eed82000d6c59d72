//! What a layer wants of its process, and what an operator wants of a layer.

#![cfg(test)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Directive, Due, Error, Invocation, Layer, ManualClock, Outcome, TriggerEvent};
use flyball_journal::{Entry, Journal, LifecycleState, Log, MemoryStorage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::Trigger;
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_fell_due_under_a_clock_that_was_ahead_falls_due_again_when_it_was_set_back() {
    let bench = Bench::new();
    let runtime = bench.runtime();
    runtime.start("p").await.expect("it starts");
    bench.clock.advance(5 * HOUR);
    until(&runtime, LifecycleState::Suspended).await;
    bench.clock.set_back(5 * HOUR);
    runtime.resume("p").await.expect("resumed");
    until(&runtime, LifecycleState::Awaiting).await;
    bench.clock.advance(HOUR / 2);
    runtime.get_process("p").expect("there is p").put("k", json!(1), "test").await.expect("it goes round once more");
    assert_eq!(state(&runtime).await, LifecycleState::Awaiting, "nothing is due yet");
    bench.clock.advance(HOUR);
    until(&runtime, LifecycleState::Suspended).await;
}

#[tokio::test]
async fn what_a_layer_wrote_down_for_an_operator_is_durable_when_the_operator_is_answered() {
    let bench = Bench::new();
    let runtime = bench.runtime();
    runtime.start("p").await.expect("it starts");
    let answer = runtime.command("p", "hourly", "note", json!({"rate": 5})).await.expect("it is obeyed");
    assert_eq!(answer, json!("noted"));
    // The power is cut: what was not synced is gone.
    let (_log, recovery) = Log::open_storage(Arc::new(bench.storage.fork()), 1 << 20).expect("the log opens");
    let noted = |entry: &Entry| matches!(entry, Entry::Note { body, .. } if *body == json!({"rate": 5}));
    assert!(recovery.processes["p"].iter().any(|record| noted(&record.entry)), "{:?}", recovery.processes["p"]);
}

#[tokio::test]
async fn what_a_layer_asks_for_after_a_run_that_failed_is_obeyed_before_another_begins() {
    let bench = Bench::new();
    let runtime = bench.runtime();
    runtime.start("p").await.expect("it starts");
    let event = |number: u32| TriggerEvent::new("hook", "webhook", DateTime::UNIX_EPOCH, json!({"fail": number}));
    runtime.inject("p", event(1)).await.expect("taken");
    until(&runtime, LifecycleState::Suspended).await;
    runtime.inject("p", event(2)).await.expect("it waits");
    let status = runtime.process_status("p").await.expect("there is p");
    assert_eq!((status.invocation_count, &*status.reason), (1, "one failure is enough"));
}

async fn state(runtime: &AgentRuntime) -> LifecycleState {
    runtime.process_status("p").await.expect("there is p").state
}

async fn until(runtime: &AgentRuntime, wanted: LifecycleState) {
    let came = async {
        while state(runtime).await != wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), came).await.unwrap_or_else(|_| panic!("it never was {wanted:?}"));
}

struct Bench {
    clock: ManualClock,
    storage: MemoryStorage,
}

impl Bench {
    fn new() -> Self {
        Self { clock: ManualClock::new(DateTime::UNIX_EPOCH), storage: MemoryStorage::default() }
    }

    fn runtime(&self) -> AgentRuntime {
        let log = Log::resume_storage(Arc::new(self.storage.clone()), 1 << 20).expect("the log opens");
        let mut parts = RuntimeParts::new(log.into());
        parts.clock = Arc::new(self.clock.clone());
        let runtime = AgentRuntime::new(parts);
        runtime.add_process(ProcessSpec::new("p"), Arc::new(Plan)).expect("the name is free");
        runtime
    }
}

/// An agent with a layer that wants a pause an hour after the start of time.
struct Plan;

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        let layer = Hourly { journal: Arc::clone(&past.journal) };
        Ok(Built { agent: Arc::new(Quiet), context, layers: vec![Arc::new(layer)], on_stop: None })
    }
}

struct Quiet;

#[async_trait]
impl Agent for Quiet {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        if invocation.event.payload["fail"].is_number() {
            return Err(Error::Failed("it was asked to".into()));
        }
        Ok(Outcome::default())
    }
}

struct Hourly {
    journal: Arc<dyn Journal>,
}

impl Layer for Hourly {
    fn name(&self) -> &'static str {
        "hourly"
    }

    fn due(&self) -> Option<Due> {
        Some(Due { at: DateTime::UNIX_EPOCH + TimeDelta::hours(1), directive: Directive::pause("an hour is over") })
    }

    fn after_failure(&self) -> Directive {
        Directive::pause("one failure is enough")
    }

    fn command(&self, _request: &str, body: &Value) -> Result<Value, String> {
        let note = Entry::Note { layer: self.name().into(), run: None, body: body.clone() };
        self.journal.push(note).map_err(|error| error.to_string())?;
        Ok(json!("noted"))
    }
}
