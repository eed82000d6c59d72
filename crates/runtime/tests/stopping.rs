//! A process that stops: whoever still has something for it is answered, and soon.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Error, Invocation, Outcome, TriggerEvent};
use flyball_journal::{Log, MemoryStorage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::{Refusal, Sink, Trigger};
use serde_json::json;

/// Far less than the drain time of the process, and far more than a slow machine needs.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_run_that_offers_an_event_to_a_stopping_process_is_refused_at_once() {
    let tap = Tap::default();
    let log = Log::resume_storage(Arc::new(MemoryStorage::default()), 1 << 20).expect("the log opens");
    let runtime = AgentRuntime::new(RuntimeParts::new(log.into()));
    let mut spec = ProcessSpec::new("p");
    spec.drain_timeout = Duration::from_secs(300);
    runtime.add_process(spec, Arc::new(tap.clone())).expect("the name is free");
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", event()).await.expect("taken");
    let begun = async {
        while runtime.process_status("p").await.expect("there is p").active_runs == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(SOON, begun).await.expect("the run begins");
    tokio::time::timeout(SOON, runtime.stop("p")).await.expect("it does not wait out its drain time").expect("it stops");
    assert_eq!(*tap.answer.lock().expect("unpoisoned"), Some(Refusal::Closed));
}

#[tokio::test]
async fn a_process_that_outlives_its_runtime_stands_still_until_something_happens() {
    let log = Log::resume_storage(Arc::new(MemoryStorage::default()), 1 << 20).expect("the log opens");
    let runtime = AgentRuntime::new(RuntimeParts::new(log.into()));
    let process = runtime.add_process(ProcessSpec::new("p"), Arc::new(Tap::default())).expect("the name is free");
    process.start().await.expect("it starts");
    drop(runtime);
    let mut shown = process.watch();
    let mut turns = 0;
    let watched = async {
        while shown.changed().await {
            turns += 1;
        }
    };
    // It cannot be seen that nothing happens but by waiting; a loop that spins turns thousands of times.
    let _ = tokio::time::timeout(Duration::from_millis(300), watched).await;
    assert!(turns < 10, "the loop turned {turns} times");
    process.stop().await.expect("it stops");
}

/// A trigger that gives its sink away, and an agent that offers an event once it is asked to stop.
#[derive(Clone, Default)]
struct Tap {
    sink: Arc<Mutex<Option<Sink>>>,
    answer: Arc<Mutex<Option<Refusal>>>,
}

#[async_trait]
impl Trigger for Tap {
    fn id(&self) -> &str {
        "tap"
    }

    fn kind(&self) -> &'static str {
        "tap"
    }

    async fn open(&mut self, _cursor: &flyball_triggers::Cursor) -> Result<(), flyball_triggers::Error> {
        Ok(())
    }

    async fn run(self: Box<Self>, sink: Sink) -> flyball_triggers::Error {
        *self.sink.lock().expect("unpoisoned") = Some(sink);
        std::future::pending().await
    }
}

#[async_trait]
impl Agent for Tap {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        invocation.run.cancel().cancelled().await;
        let sink = self.sink.lock().expect("unpoisoned").clone().expect("the trigger runs");
        *self.answer.lock().expect("unpoisoned") = sink.offer(event()).await.err();
        Ok(Outcome::default())
    }
}

#[async_trait]
impl Blueprint for Tap {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(vec![Box::new(self.clone())])
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        let agent = Arc::new(self.clone());
        Ok(Built { agent, context, layers: Vec::new(), on_stop: None })
    }
}

fn event() -> TriggerEvent {
    TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))
}
