//! A run that waits for an answer: what it did is not done again, in this life or in the next.

#[path = "support/paying.rs"]
mod paying;
#[path = "support/silent_till.rs"]
mod silent_till;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{CallError, ManualClock, Model, Reply, TriggerEvent, Turn, WantedCall};
use flyball_journal::{Again, Entry, Log, MemoryStorage, Storage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::{CronConfig, CronTrigger, Overlap, Trigger};
use serde_json::json;

use paying::journalled;
use silent_till::SilentTill;

#[tokio::test]
async fn a_call_in_doubt_is_neither_made_nor_asked_for_again_while_its_run_is_held() {
    let shop = Arc::new(Shop::default());
    let runtime = runtime(&MemoryStorage::default(), &shop);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", event("first")).await.expect("taken");
    until_held(&runtime, 1).await;
    // A second event makes the loop look for work once more.
    runtime.inject("p", event("second")).await.expect("taken");
    until_held(&runtime, 2).await;
    assert_eq!(shop.asked.load(Ordering::SeqCst), 2, "each run asks the model once");
    assert_eq!(shop.till.paid(), 2, "each run pays once");
    assert_eq!(held_entries(&runtime), 2, "each run is held once");
}

#[tokio::test]
async fn a_held_run_is_tried_once_at_the_next_start_and_its_call_is_not_made_again() {
    let storage = MemoryStorage::default();
    let shop = Arc::new(Shop::default());
    let first = runtime(&storage, &shop);
    first.start("p").await.expect("it starts");
    first.inject("p", event("first")).await.expect("taken");
    until_held(&first, 1).await;
    let second = runtime(&storage.fork(), &shop);
    second.start("p").await.expect("it starts");
    let tried = async {
        while held_entries(&second) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), tried).await.expect("it is tried again");
    assert_eq!((shop.asked.load(Ordering::SeqCst), shop.till.paid()), (1, 1));
}

#[tokio::test]
async fn a_held_run_does_not_silence_the_clock_that_began_it() {
    let clock = ManualClock::new(chrono::DateTime::UNIX_EPOCH);
    let shop = Arc::new(Shop::default());
    let runtime = woken_by(Some(clock.clone()), &MemoryStorage::default(), &shop);
    runtime.start("p").await.expect("it starts");
    let next = async {
        while runtime.process_status("p").await.expect("there is p").triggers[0].next.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("the clock is armed");
    for held in 1..=3 {
        // It says where it stands before it is armed, which takes a moment.
        tokio::time::sleep(Duration::from_millis(100)).await;
        clock.advance(Duration::from_secs(3_600));
        until_held(&runtime, held).await;
    }
}

/// A model that wants one payment, and a till that takes it and says nothing.
#[derive(Default)]
struct Shop {
    asked: AtomicUsize,
    till: Arc<SilentTill>,
}

struct Customer(Arc<Shop>);

struct Plan(Arc<Shop>, Option<ManualClock>);

#[async_trait]
impl Model for Customer {
    async fn reply(&self, _turn: &Turn) -> Result<Reply, CallError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let call = WantedCall { id: "c".into(), name: "pay".into(), args: json!({}) };
        Ok(Reply { calls: vec![call], ..Reply::default() })
    }
}

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        let hourly = |clock: &ManualClock| {
            let config = CronConfig { overlap: Overlap::Skip, ..CronConfig::new("0 * * * *") };
            Box::new(CronTrigger::new(config, Arc::new(clock.clone())).expect("it is a clock")) as Box<dyn Trigger>
        };
        Ok(self.1.iter().map(hourly).collect())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        Ok(journalled(past, Customer(Arc::clone(&self.0)), Arc::clone(&self.0.till) as _))
    }
}

fn runtime(storage: &MemoryStorage, shop: &Arc<Shop>) -> Arc<AgentRuntime> {
    woken_by(None, storage, shop)
}

/// With a clock that wakes it, where there is one.
fn woken_by(clock: Option<ManualClock>, storage: &MemoryStorage, shop: &Arc<Shop>) -> Arc<AgentRuntime> {
    let log = Log::resume_storage(Arc::new(storage.clone()), 1 << 20).expect("the log opens");
    let mut parts = RuntimeParts::new(log.into());
    if let Some(clock) = &clock {
        parts.clock = Arc::new(clock.clone());
    }
    let runtime = AgentRuntime::new(parts);
    runtime.add_process(ProcessSpec::new("p"), Arc::new(Plan(Arc::clone(shop), clock))).expect("the name is free");
    Arc::new(runtime)
}

fn event(key: &str) -> TriggerEvent {
    let mut event = TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({"key": key}));
    event.dedup_key = Some(key.to_owned());
    event
}

fn held_entries(runtime: &AgentRuntime) -> usize {
    let records = runtime.log().records("p").expect("read");
    records.iter().filter(|record| matches!(record.entry, Entry::InvocationHeld { .. })).count()
}

async fn until_held(runtime: &AgentRuntime, runs: usize) {
    let held = async {
        loop {
            let status = runtime.process_status("p").await.expect("there is p");
            if status.held_runs.len() == runs && status.active_runs == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), held).await.is_err() {
        panic!("it never came: {:#?}", runtime.process_status("p").await);
    }
}

/// An event is open, no run of it is on record, and the process is paused so that none begins.
async fn with_an_open_event(shop: &Arc<Shop>) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let runtime = runtime(&storage, shop);
    runtime.start("p").await.expect("it starts");
    runtime.pause("p", "wait").await.expect("it pauses");
    runtime.inject("p", event("first")).await.expect("taken");
    storage.fork()
}

#[tokio::test]
async fn after_a_torn_end_a_call_that_may_have_been_made_waits_for_an_operator_who_lets_it_go_on() {
    let shop = Arc::new(Shop::default());
    let storage = with_an_open_event(&shop).await;
    let segment = storage.list().expect("listed").pop().expect("a segment");
    storage.damage(&segment, |bytes| {
        let used = bytes.iter().rposition(|byte| *byte != b'\n').expect("a line") + 2;
        bytes.splice(used..used + 9, *b"{\"seq\":9,");
    });
    let runtime = runtime(&storage, &shop);
    runtime.start("p").await.expect("it starts");
    runtime.resume("p").await.expect("it goes on");
    until_held(&runtime, 1).await;
    assert_eq!(shop.till.paid(), 0, "it may have been paid for already");
    let records = runtime.log().records("p").expect("read");
    let doubt = flyball_journal::doubts(&records).pop().expect("it is in doubt");
    assert!(doubt.why.contains("the end of the journal was lost"), "{}", doubt.why);
    let (decision, note) = (flyball_journal::Decision::DidNotHappen, "looked it up".to_owned());
    let settlement = flyball_runtime::Settlement { run: doubt.run, step: doubt.step, decision, note };
    runtime.resolve("p", settlement).await.expect("it is settled");
    let paid = async {
        while shop.till.paid() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), paid).await.expect("it is paid now");
    let starts = runtime.log().records("p").expect("read").into_iter().filter_map(|record| match record.entry {
        Entry::InvocationStart { again, .. } => Some(again),
        _ => None,
    });
    assert_eq!(starts.collect::<Vec<_>>(), [None, Some(Again::Decided)]);
}

#[tokio::test]
async fn after_a_sound_end_nothing_is_in_doubt() {
    let shop = Arc::new(Shop::default());
    let storage = with_an_open_event(&shop).await;
    let runtime = runtime(&storage, &shop);
    runtime.start("p").await.expect("it starts");
    runtime.resume("p").await.expect("it goes on");
    // The till says nothing, so it is held afterwards; but it was paid.
    until_held(&runtime, 1).await;
    assert_eq!(shop.till.paid(), 1);
}
