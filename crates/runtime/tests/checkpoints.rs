//! A process that is never wholly at rest has checkpoints too, and they say what its records say.

#[path = "support/paying.rs"]
mod paying;
#[path = "support/silent_till.rs"]
mod silent_till;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use flyball_core_agent::{CallError, Clock, ManualClock, Model, Reply, StepId, SystemClock, TriggerEvent, Turn, WantedCall};
use flyball_journal::{Decision, Entry, Fault, Log, MemoryStorage, Record, Retention, doubts, history, read_storage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Delivery, Past, ProcessSpec, RuntimeParts, Settlement};
use flyball_triggers::Trigger;
use futures::future::join_all;
use serde_json::{Map, json};
use tokio::sync::Notify;

use paying::journalled;
use silent_till::SilentTill;

/// Pays for the event `pay` with a call that is never answered; says something to every other one.
#[derive(Default)]
struct Shop {
    till: Arc<SilentTill>,
    a_run_takes: Duration,
    /// What the event `wait` waits for.
    word: Notify,
}

struct Customer(Arc<Shop>);

struct Plan(Arc<Shop>);

#[async_trait]
impl Model for Customer {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let asked = turn.messages.iter().map(|message| message.text()).collect::<String>();
        if asked.contains("\"wait\"") {
            self.0.word.notified().await;
        }
        if !asked.contains("\"pay\"") || turn.step != StepId::turn(0) {
            tokio::time::sleep(self.0.a_run_takes).await;
            return Ok(Reply::say("done"));
        }
        let call = WantedCall { id: "c".into(), name: "pay".into(), args: json!({"amount": 12}) };
        Ok(Reply { calls: vec![call], ..Reply::default() })
    }
}

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        Ok(journalled(past, Customer(Arc::clone(&self.0)), Arc::clone(&self.0.till) as _))
    }
}

async fn runtime(storage: &MemoryStorage, shop: &Arc<Shop>, concurrency: usize) -> Arc<AgentRuntime> {
    runtime_of(storage, shop, ProcessSpec { concurrency, ..ProcessSpec::new("p") }, Arc::new(SystemClock)).await
}

async fn runtime_of(storage: &MemoryStorage, shop: &Arc<Shop>, spec: ProcessSpec, clock: Arc<dyn Clock>) -> Arc<AgentRuntime> {
    let log = Log::resume_storage(Arc::new(storage.clone()), 1 << 16).expect("the log opens");
    let mut parts = RuntimeParts::new(log.into());
    parts.clock = clock;
    let runtime = AgentRuntime::new(parts);
    runtime.add_process(spec, Arc::new(Plan(Arc::clone(shop)))).expect("the name is free");
    runtime.start("p").await.expect("it starts");
    Arc::new(runtime)
}

async fn put(runtime: &AgentRuntime, key: &str) {
    let mut event = TriggerEvent::new("test", "remote", DateTime::UNIX_EPOCH, json!({"key": key}));
    event.dedup_key = Some(key.to_owned());
    runtime.inject("p", event).await.expect("taken");
}

async fn until(runtime: &AgentRuntime, what: &str, done: impl Fn(&flyball_runtime::ProcessStatus) -> bool) {
    let waited = async {
        while !done(&runtime.process_status("p").await.expect("there is p")) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), waited).await.is_err() {
        panic!("{what}: {:#?}", runtime.process_status("p").await);
    }
}

/// Every record there is.
fn records(storage: &MemoryStorage) -> Vec<Record> {
    read_storage(&storage.fork()).expect("read")
}

fn checkpoints(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record.entry, Entry::Checkpoint { .. })).count()
}

#[tokio::test]
async fn a_held_run_keeps_its_process_from_no_checkpoint_and_its_call_stays_known() {
    let (storage, shop) = (MemoryStorage::default(), Arc::new(Shop::default()));
    let first = runtime(&storage, &shop, 1).await;
    put(&first, "pay").await;
    until(&first, "the run is held", |status| status.held_runs.len() == 1).await;
    for n in 0..1_500 {
        put(&first, &format!("event {n}")).await;
        until(&first, "there is room", |status| status.pending_events < 500).await;
    }
    until(&first, "the others are handled", |status| status.events.completed == 1_500).await;
    let all = records(&storage);
    assert_eq!(checkpoints(&all), 2, "one for each 2,000 records of 4,500");
    let found = history::check(&all);
    assert!(found.is_empty(), "{found:?}");

    // Nothing but the checkpoint knows of the call any more.
    let compacted = first.log().compact(&Retention { max_bytes: Some(1), max_age: None }, chrono::Utc::now()).expect("compacted");
    assert!(!compacted.dropped.is_empty(), "{compacted:?}");
    let left = records(&storage);
    assert!(!left.iter().any(|record| matches!(record.entry, Entry::ToolCall { .. })));
    let (before, after) = (doubts(&all), doubts(&left));
    assert_eq!((before.len(), &before), (1, &after));
    assert_eq!((after[0].tool.as_str(), &after[0].args), ("pay", &Map::from_iter([("amount".to_owned(), json!(12))])));

    let second = runtime(&storage.fork(), &shop, 1).await;
    until(&second, "it is held again", |status| status.held_runs.len() == 1).await;
    let (run, step) = (after[0].run.clone(), after[0].step.clone());
    let decision = Decision::Happened { result: "paid".into() };
    second.resolve("p", Settlement { run, step, decision, note: "the till says so".into() }).await.expect("settled");
    until(&second, "it comes to its end", |status| status.events.completed == 1_501).await;
    assert_eq!(shop.till.paid(), 1);
}

#[tokio::test]
async fn a_process_that_always_has_a_run_on_stops_for_a_checkpoint() {
    let (storage, shop) =
        (MemoryStorage::default(), Arc::new(Shop { a_run_takes: Duration::from_millis(30), ..Shop::default() }));
    let runtime = runtime(&storage, &shop, 32).await;
    for n in (0..1_700).step_by(10) {
        let keys: Vec<String> = (n..n + 10).map(|n| format!("event {n}")).collect();
        join_all(keys.iter().map(|key| put(&runtime, key))).await;
        // Never an end of the queue, and never too much of it.
        until(&runtime, "there is room", |status| status.pending_events < 100).await;
    }
    until(&runtime, "all are handled", |status| status.events.completed == 1_700).await;
    let all = records(&storage);
    let first = all.iter().position(|record| matches!(record.entry, Entry::Checkpoint { .. })).expect("there is one");
    let begun_after = all[first..].iter().filter(|record| matches!(record.entry, Entry::InvocationStart { .. })).count();
    assert!(begun_after > 100, "it came while there was work: {begun_after}");
    let found = history::check(&all);
    assert!(found.is_empty(), "{found:?}");
}

/// A step's record waited for room when its run was cut off: it is not there, and this is known.
#[tokio::test]
async fn a_run_that_was_cut_off_while_it_recorded_a_step_keeps_its_process_from_no_checkpoint() {
    let (storage, shop, clock) = (MemoryStorage::default(), Arc::new(Shop::default()), ManualClock::new(DateTime::UNIX_EPOCH));
    let mut spec = ProcessSpec::new("p");
    spec.max_invocation_time = Some(Duration::from_secs(1));
    spec.delivery = Delivery { max_retries: 1, retry_backoff: Duration::from_secs(600), ..Delivery::default() };
    let runtime = runtime_of(&storage, &shop, spec, Arc::new(clock.clone())).await;
    put(&runtime, "wait").await;
    until(&runtime, "it is on", |status| status.active_runs == 1).await;
    runtime.log().process("p").append(Vec::new()).await.expect("flushed");
    storage.set_faults(&[Fault::Full]);
    shop.word.notify_one();
    tokio::time::sleep(Duration::from_secs(2)).await;
    storage.set_faults(&[]);
    until(&runtime, "it is cut off", |status| status.active_runs == 0 && !status.disk_full).await;

    // By its clock no time goes by in which it could give up waiting.
    for n in 0..1_500 {
        put(&runtime, &format!("event {n}")).await;
        until(&runtime, "there is room", |status| status.pending_events < 500).await;
    }
    // On a machine that is so slow that the run was not cut off, it is among them.
    until(&runtime, "the others are handled", |status| status.events.completed >= 1_500 && status.pending_events == 0).await;
    shop.word.notify_one();
    clock.advance(Duration::from_secs(600));
    until(&runtime, "it is tried again", |status| status.events.completed == 1_501).await;
    for n in 1_500..2_300 {
        put(&runtime, &format!("event {n}")).await;
        until(&runtime, "there is room", |status| status.pending_events < 500).await;
    }
    until(&runtime, "all are handled", |status| status.events.completed == 2_301).await;
    let all = records(&storage);
    assert!(checkpoints(&all) >= 1);
    let found = history::check(&all);
    assert!(found.is_empty(), "{found:?}");
}
