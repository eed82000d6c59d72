//! A process that is stopped in the middle of many calls: what was sent is answered, and nothing more is sent.

#![cfg(test)]

#[path = "support/paying.rs"]
mod paying;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{
    CallError, Effect, Model, Reply, ToolCall, ToolReply, ToolSpec, Toolbox, TriggerEvent, Turn, WantedCall,
};
use flyball_journal::{Log, MemoryStorage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::Trigger;
use serde_json::json;

use paying::{journalled, pay};

/// So many calls are in one reply of the model.
const CALLS: usize = 60;

#[tokio::test]
async fn a_stop_leaves_no_call_in_doubt_while_tools_answer_and_each_is_made_once() {
    let till = Arc::new(Till::default());
    let log = Log::resume_storage(Arc::new(MemoryStorage::default()), 1 << 20).expect("the log opens");
    let runtime = AgentRuntime::new(RuntimeParts::new(log.into()));
    let spec = ProcessSpec { drain_timeout: Duration::from_secs(30), ..ProcessSpec::new("p") };
    runtime.add_process(spec, Arc::new(Plan(Arc::clone(&till)))).expect("the name is free");
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))).await.expect("taken");
    until(|| till.sent.load(Ordering::SeqCst) > 0).await;
    runtime.stop("p").await.expect("it stops");

    let sent = till.sent.load(Ordering::SeqCst);
    assert!(sent < CALLS, "all of them were begun");
    let records = runtime.log().records("p").expect("read");
    assert_eq!(flyball_journal::doubts_left(&records), []);
    assert_eq!(runtime.process_status("p").await.expect("there is p").invocation_count, 0, "the run has no end yet");

    runtime.start("p").await.expect("it starts again");
    let mut watch = runtime.get_process("p").expect("there is p").watch();
    tokio::time::timeout(Duration::from_secs(30), watch.wait_for_runs(1)).await.expect("it comes to its end");
    assert_eq!(till.sent.load(Ordering::SeqCst), CALLS, "each call is made once");
}

async fn until(holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it comes");
}

/// Takes its time, and always answers.
#[derive(Default)]
struct Till {
    sent: AtomicUsize,
}

struct Customer;

struct Plan(Arc<Till>);

#[async_trait]
impl Model for Customer {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let call = |index| WantedCall { id: format!("c{index}"), name: "pay".into(), args: json!({"number": index}) };
        let first = turn.step.0 == "t0";
        Ok(if first { Reply { calls: (0..CALLS).map(call).collect(), ..Reply::default() } } else { Reply::say("done") })
    }
}

#[async_trait]
impl Toolbox for Till {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(pay(Some(Effect::Irreversible)))
    }

    async fn call(&self, _call: &ToolCall) -> Result<ToolReply, CallError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(ToolReply::ok("paid"))
    }
}

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        Ok(journalled(past, Customer, Arc::clone(&self.0) as _))
    }
}
