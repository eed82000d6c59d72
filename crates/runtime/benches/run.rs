//! From an event to the end of its run, over a log without a disk: what the runtime itself costs.

#[path = "../../journal/benches/support/nowhere.rs"]
mod nowhere;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Error, Invocation, Outcome, TriggerEvent};
use flyball_journal::{DEFAULT_SEGMENT_BYTES, Log};
use flyball_runtime::{AgentProcess, AgentRuntime, Blueprint, Built, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::Trigger;
use nowhere::Nowhere;
use serde_json::json;

fn run(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("tokio starts");
    let (_agents, process) = runtime.block_on(start());
    let mut runs = 0;
    let mut group = criterion.benchmark_group("run");
    group.throughput(Throughput::Elements(1));
    group.bench_function("event to end", |bencher| {
        bencher.iter(|| {
            runs += 1;
            runtime.block_on(one(&process, runs));
        });
    });
    group.finish();
}

async fn start() -> (AgentRuntime, AgentProcess) {
    let log = Log::resume_storage(Arc::new(Nowhere), DEFAULT_SEGMENT_BYTES).expect("the log opens");
    let agents = AgentRuntime::new(RuntimeParts::new(log.into()));
    let process = agents.add_process(ProcessSpec::new("p"), Arc::new(Done)).expect("the name is free");
    process.start().await.expect("it starts");
    (agents, process)
}

async fn one(process: &AgentProcess, runs: u64) {
    let event = TriggerEvent::new("bench", "event", DateTime::UNIX_EPOCH, json!({"pipeline": "p-1", "status": "late"}));
    process.inject(event).await.expect("taken");
    process.watch().wait_for(|status| status.invocation_count >= runs).await.expect("it is alive");
}

/// An agent that has nothing to do.
struct Done;

#[async_trait]
impl Blueprint for Done {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::new(ContextConfig::default()).map_err(|error| error.to_string())?);
        Ok(Built { agent: Arc::new(Self), context, layers: Vec::new(), on_stop: None })
    }
}

#[async_trait]
impl Agent for Done {
    async fn invoke(&self, _invocation: Invocation) -> Result<Outcome, Error> {
        Ok(Outcome { reply: "All pipelines are healthy; nothing to report.".into(), ..Outcome::default() })
    }
}

criterion_group!(benches, run);
criterion_main!(benches);
