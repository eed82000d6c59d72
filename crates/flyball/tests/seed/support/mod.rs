//! What the scenarios share: a world to run agents in, readings of its journal, and real servers around it.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]

mod child;
mod pipeline;
mod reading;
mod receiver;
mod world;

pub use child::{Child, built, free_port};
pub use pipeline::{ADMIN_KEY_VARIABLE, PipelineServer, admin_key};
pub use reading::{Reading, kinds};
pub use receiver::Receiver;
pub use world::{World, at};

use std::time::Duration;

use flyball::core_agent::TriggerEvent;
use flyball::journal::LifecycleState;
use flyball::runtime::{AgentProcess, ProcessStatus};
use serde_json::{Value, json};

/// Long enough for a slow, busy machine; nothing that holds takes it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A model that answers with all that it was shown.
pub const ECHO: &str = r"
rules:
  - when: {shown: '(?s)(?<all>.*)'}
    say: '{{all}}'
";

/// A model that has nothing to do and says so.
pub const CONTENT: &str = "rules: [{say: all is well here}]";

/// Waits until the process shows what `holds` wants, and gives that.
pub async fn until(process: &AgentProcess, what: &str, mut holds: impl FnMut(&ProcessStatus) -> bool) -> ProcessStatus {
    let mut watch = process.watch();
    let waiting = tokio::time::timeout(PATIENCE, watch.wait_for(|status| holds(status))).await;
    match waiting {
        Ok(Some(status)) => status,
        Ok(None) => panic!("{} is gone; waited for: {what}", process.name()),
        Err(_) => panic!("waited for: {what}; it shows {:#?}", process.status()),
    }
}

/// Waits until so many runs have ended and none is on or waits.
pub async fn runs(process: &AgentProcess, count: u64) -> ProcessStatus {
    let what = format!("{count} runs of {}", process.name());
    let status = until(process, &what, |status| status.invocation_count >= count && status.active_runs == 0).await;
    assert_eq!(status.invocation_count, count);
    status
}

/// Waits until the process is in `state`.
pub async fn in_state(process: &AgentProcess, state: LifecycleState) -> ProcessStatus {
    until(process, &format!("{} is {state}", process.name()), |status| status.state == state).await
}

/// Waits until `holds`; for what no process shows.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited for: {what}");
}

/// Gives the process an event; it is durable then.
pub async fn fire(process: &AgentProcess, payload: Value) {
    let event = TriggerEvent::new("test", "test", chrono::Utc::now(), payload);
    process.inject(event).await.expect("the event is taken");
}

/// Fires and waits for the run, `count` times.
pub async fn run_times(process: &AgentProcess, count: u64) -> ProcessStatus {
    for _ in 0..count {
        let before = process.status().invocation_count;
        fire(process, json!({})).await;
        runs(process, before + 1).await;
    }
    process.status()
}
