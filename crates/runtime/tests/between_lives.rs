//! What other agents say while a process is between two lives is not lost; nor is what a trigger knows.

#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Clock, Error, Invocation, ManualClock, Outcome};
use flyball_journal::{Entry, Log, MemoryStorage, ProcessFold};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, ProcessStatus, RestartPolicy, RuntimeParts};
use flyball_triggers::{BusEvent, CronConfig, CronTrigger, EventBus, EventConfig, EventTrigger, InProcessBus, Overlap, Trigger};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Far more than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node with one process that listens to `alert.>`, and to the clock.
struct Node {
    storage: MemoryStorage,
    clock: ManualClock,
    bus: Arc<InProcessBus>,
    plan: Plan,
}

#[derive(Clone)]
struct Plan {
    bus: Arc<dyn EventBus>,
    clock: Arc<dyn Clock>,
    cron: Option<CronConfig>,
    /// A start waits for one of these.
    may_start: Arc<Semaphore>,
    /// So many runs fail.
    failures: Arc<AtomicU32>,
    /// A run waits for one of these.
    may_end: Arc<Semaphore>,
    /// The payloads that were handled.
    handled: Arc<Mutex<Vec<Value>>>,
}

impl Node {
    fn new() -> Self {
        Self::over(MemoryStorage::default(), ManualClock::new(chrono::DateTime::UNIX_EPOCH))
    }

    fn over(storage: MemoryStorage, clock: ManualClock) -> Self {
        let bus = Arc::new(InProcessBus::new());
        let plan = Plan {
            bus: Arc::clone(&bus) as _,
            clock: Arc::new(clock.clone()),
            cron: None,
            may_start: Arc::new(Semaphore::new(1)),
            failures: Arc::default(),
            may_end: Arc::new(Semaphore::new(1_000)),
            handled: Arc::default(),
        };
        Self { storage, clock, bus, plan }
    }

    /// The same disk and the same time, as the next life of the whole node finds them.
    fn crash(&self) -> Self {
        Self::over(self.storage.fork(), self.clock.clone())
    }

    fn runtime(&self, spec: ProcessSpec) -> Arc<AgentRuntime> {
        let log = Log::resume_storage(Arc::new(self.storage.clone()), 1 << 20).expect("the log opens");
        let mut parts = RuntimeParts::new(log.into());
        parts.clock = Arc::new(self.clock.clone());
        parts.event_bus = Arc::clone(&self.bus) as _;
        let runtime = AgentRuntime::new(parts);
        runtime.add_process(spec, Arc::new(self.plan.clone())).expect("the name is free");
        Arc::new(runtime)
    }

    async fn emit(&self, number: u32) -> usize {
        let delivery = self.bus.emit(BusEvent::new("alert.test", "tester", json!(number))).await.expect("the bus is there");
        assert_eq!(delivery.failures, Vec::new(), "number {number}");
        delivery.taken
    }

    fn numbers(&self) -> Vec<u64> {
        let handled = self.plan.handled.lock().expect("unpoisoned");
        handled.iter().filter_map(|payload| payload["data"].as_u64()).collect()
    }

    fn instants(&self) -> Vec<String> {
        let handled = self.plan.handled.lock().expect("unpoisoned");
        handled.iter().filter_map(|payload| Some(payload["scheduled_time"].as_str()?.to_owned())).collect()
    }
}

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        let event = EventTrigger::new(EventConfig::new("alert.>"), Arc::clone(&self.bus), Arc::clone(&self.clock));
        let mut triggers: Vec<Box<dyn Trigger>> = vec![Box::new(event.map_err(|error| error.to_string())?)];
        if let Some(cron) = self.cron.clone() {
            let cron = CronTrigger::new(cron, Arc::clone(&self.clock)).map_err(|error| error.to_string())?;
            triggers.push(Box::new(cron));
        }
        Ok(triggers)
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        self.may_start.acquire().await.expect("it is never closed").forget();
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        Ok(Built { agent: Arc::new(self.clone()), context, layers: Vec::new(), on_stop: None })
    }
}

#[async_trait]
impl Agent for Plan {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        tokio::select! {
            permit = self.may_end.acquire() => permit.expect("it is never closed").forget(),
            () = invocation.run.cancel().cancelled() => return Err(Error::Cancelled),
        }
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::Failed("it was told to".into()));
        }
        self.handled.lock().expect("unpoisoned").push(invocation.event.payload);
        Ok(Outcome::default())
    }
}

async fn until(runtime: &AgentRuntime, what: &str, wanted: impl Fn(&ProcessStatus) -> bool) -> ProcessStatus {
    let mut watch = runtime.get_process("p").expect("there is p").watch();
    match tokio::time::timeout(PATIENCE, watch.wait_for(&wanted)).await {
        Ok(Some(status)) => status,
        other => panic!("{what} never came ({other:?}): {:#?}", watch.status()),
    }
}

/// Fails once and is then started again, when it may.
fn failing_once(node: &Node) -> ProcessSpec {
    node.plan.failures.store(1, Ordering::SeqCst);
    let mut spec = ProcessSpec::new("p");
    spec.max_consecutive_failures = 1;
    spec.restart.policy = RestartPolicy::OnFailure;
    spec.restart.backoff = Duration::from_millis(1);
    spec
}

#[tokio::test]
async fn an_event_that_is_emitted_while_a_process_is_started_again_is_handled_afterwards() {
    let node = Node::new();
    let runtime = node.runtime(failing_once(&node));
    runtime.start("p").await.expect("it starts");
    node.emit(0).await;
    until(&runtime, "its failure", |status| status.restart_count == 1 || status.state.is_over()).await;
    // Nothing lets it come up again yet.
    for number in 1..=3 {
        assert_eq!(node.emit(number).await, 1, "it is taken in");
    }
    assert_eq!(node.numbers(), [] as [u64; 0]);
    node.plan.may_start.add_permits(1);
    until(&runtime, "the end", |status| status.events.completed == 3).await;
    assert_eq!(node.numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn an_event_that_is_taken_in_between_two_lives_survives_a_crash_there() {
    let node = Node::new();
    let runtime = node.runtime(failing_once(&node));
    runtime.start("p").await.expect("it starts");
    node.emit(0).await;
    until(&runtime, "its failure", |status| status.restart_count == 1 || status.state.is_over()).await;
    node.emit(1).await;
    let after = node.crash();
    let runtime = after.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    until(&runtime, "the end", |status| status.events.completed == 1).await;
    assert_eq!(after.numbers(), [1]);
}

#[tokio::test]
async fn while_all_processes_stop_what_one_says_to_another_is_kept_for_the_next_start() {
    let node = Node::new();
    let runtime = node.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    let talker = Arc::new(Talker { bus: Arc::clone(&node.bus) as _ });
    runtime.add_process(ProcessSpec::new("talker"), talker).expect("the name is free");
    runtime.start("talker").await.expect("it starts");
    let wake = flyball_core_agent::TriggerEvent::new("t", "remote", node.clock.now(), json!({}));
    runtime.inject("talker", wake).await.expect("taken");
    let mut watch = runtime.get_process("talker").expect("there is a talker").watch();
    tokio::time::timeout(PATIENCE, watch.wait_for(|status| status.active_runs == 1)).await.expect("its run begins");
    tokio::time::timeout(PATIENCE, runtime.stop_all()).await.expect("all stop");
    let records = runtime.log().records("p").expect("read");
    let fold = ProcessFold::of(&records);
    assert_eq!(fold.open_events.len(), 1, "what was said at the very end is there");
    assert!(node.numbers().is_empty());
    node.plan.may_start.add_permits(1);
    runtime.start("p").await.expect("it starts");
    until(&runtime, "the end", |status| status.events.completed == 1).await;
    assert_eq!(node.numbers(), [77]);
}

/// Says something when it is asked to stop, once the other one is surely gone.
struct Talker {
    bus: Arc<dyn EventBus>,
}

#[async_trait]
impl Blueprint for Talker {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        let agent = Arc::new(Self { bus: Arc::clone(&self.bus) });
        Ok(Built { agent, context, layers: Vec::new(), on_stop: None })
    }
}

#[async_trait]
impl Agent for Talker {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        invocation.run.cancel().cancelled().await;
        // The other process has nothing to do, and stops meanwhile.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let delivery = self.bus.emit(BusEvent::new("alert.last", "talker", json!(77))).await.expect("the bus is there");
        assert_eq!((delivery.taken, delivery.failures), (1, Vec::new()));
        Ok(Outcome::default())
    }
}

#[tokio::test]
async fn a_process_that_is_stopped_by_itself_listens_no_more() {
    let node = Node::new();
    let runtime = node.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    assert_eq!(node.emit(0).await, 1);
    runtime.stop("p").await.expect("it stops");
    assert_eq!(node.emit(1).await, 0, "nobody listens");
}

fn hourly(overlap: Overlap) -> Option<CronConfig> {
    Some(CronConfig { overlap, ..CronConfig::new("0 * * * *") })
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn an_instant_fires_once_over_crashes_and_missed_ones_are_caught_up_with() {
    let mut node = Node::new();
    node.plan.cron = hourly(Overlap::Skip);
    let runtime = node.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    until_moved(&runtime).await;
    node.clock.advance(HOUR);
    until(&runtime, "the first instant", |status| status.events.completed == 1).await;
    runtime.log().process("p").append(Vec::new()).await.expect("flushed");
    // Down from 01:00 to 04:30: three are missed, and the latest of them fires.
    let mut after = node.crash();
    after.plan.cron = hourly(Overlap::Skip);
    after.clock.advance(HOUR * 7 / 2);
    let runtime = after.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    let status = until(&runtime, "the catching up", |status| status.events.completed == 2).await;
    let cron = status.triggers.iter().find(|trigger| trigger.kind == "cron").expect("it has a clock");
    assert_eq!(cron.skipped, 2, "{cron:?}");
    assert_eq!(after.instants(), ["1970-01-01T04:00:00+00:00"]);
    // And a crash right after it makes nothing fire again.
    let mut last = after.crash();
    last.plan.cron = hourly(Overlap::Skip);
    let runtime = last.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    last.clock.advance(HOUR);
    until(&runtime, "the next instant", |status| status.events.completed == 3).await;
    assert_eq!(last.instants(), ["1970-01-01T05:00:00+00:00"]);
}

#[tokio::test]
async fn the_next_instant_is_the_one_that_will_fire_though_the_clock_was_set_forward_and_back() {
    let mut node = Node::new();
    node.plan.cron = hourly(Overlap::Skip);
    let runtime = node.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    until_moved(&runtime).await;
    let at_hour = |hours: i64| chrono::DateTime::from_timestamp(hours * 3_600, 0);
    until(&runtime, "the timer", |status| status.triggers.iter().any(|trigger| trigger.next == at_hour(1))).await;
    node.clock.advance(HOUR * 10);
    until(&runtime, "the latest instant", |status| status.events.completed == 1).await;
    runtime.log().process("p").append(Vec::new()).await.expect("flushed");
    let mut back = Node::over(node.storage.fork(), ManualClock::new(chrono::DateTime::UNIX_EPOCH));
    back.plan.cron = hourly(Overlap::Skip);
    let runtime = back.runtime(ProcessSpec::new("p"));
    runtime.start("p").await.expect("it starts");
    let status = until(&runtime, "its timer", |status| status.triggers.iter().any(|trigger| trigger.next.is_some())).await;
    assert_eq!(status.triggers[0].next.or(status.triggers[1].next), at_hour(11), "the ones before have passed");
    runtime.stop("p").await.expect("it stops");
    let status = runtime.process_status("p").await.expect("there is p");
    assert!(status.triggers.iter().all(|trigger| trigger.next.is_none()), "nothing is armed any more");
}

/// Waits until the clock's trigger has said where it stands.
async fn until_moved(runtime: &AgentRuntime) {
    let moved = async {
        loop {
            let records = runtime.log().records("p").expect("read");
            if records.iter().any(|record| matches!(record.entry, Entry::TriggerMoved { .. })) {
                return;
            }
            runtime.log().process("p").append(Vec::new()).await.expect("flushed");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.expect("it says where it stands");
}

#[tokio::test]
async fn instants_that_come_while_one_is_handled_are_let_pass_queued_or_handled_beside_it() {
    for (overlap, concurrency, on_at_once, completed) in
        [(Overlap::Skip, 3, 1, 1), (Overlap::Queue, 3, 1, 3), (Overlap::Parallel, 3, 3, 3)]
    {
        let mut node = Node::new();
        node.plan.cron = hourly(overlap);
        node.plan.may_end = Arc::new(Semaphore::new(0));
        let mut spec = ProcessSpec::new("p");
        spec.concurrency = concurrency;
        let runtime = node.runtime(spec);
        runtime.start("p").await.expect("it starts");
        until_moved(&runtime).await;
        for hours in 1..=3 {
            node.clock.advance(HOUR);
            let seen = |status: &ProcessStatus| {
                let skipped: u64 = status.triggers.iter().map(|trigger| trigger.skipped).sum();
                status.events.accepted + skipped == hours
            };
            until(&runtime, "an instant", seen).await;
        }
        let status = until(&runtime, "the runs", |status| status.active_runs == on_at_once).await;
        assert_eq!(status.open_events as u64, completed, "{overlap:?}");
        node.plan.may_end.add_permits(10);
        until(&runtime, "the end", |status| status.open_events == 0 && status.events.completed == completed).await;
    }
}
