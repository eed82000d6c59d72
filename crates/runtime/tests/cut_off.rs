//! A run that is cut off while what it did is on its way to the disk.

#![cfg(test)]

#[path = "support/paying.rs"]
mod paying;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{
    Agent, CallError, Effect, Error, Invocation, Model, Outcome, Reply, ToolCall, ToolReply, ToolSpec, Toolbox, TriggerEvent,
    Turn, WantedCall,
};
use flyball_journal::{Log, MemoryStorage, SegmentFile, Storage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, RuntimeParts};
use flyball_triggers::Trigger;
use paying::{journalled, pay};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_had_ended_is_not_begun_again_though_nobody_waited_for_its_record() {
    let disk = Disk::default();
    let log = Log::resume_storage(Arc::new(disk.clone()), 1 << 20).expect("the log opens");
    let runtime = Arc::new(AgentRuntime::new(RuntimeParts::new(log.into())));
    let mut spec = ProcessSpec::new("p");
    spec.drain_timeout = Duration::ZERO;
    let shop = Shop { disk: disk.clone(), calls: Arc::default() };
    runtime.add_process(spec, Arc::new(shop.clone())).expect("the name is free");
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))).await.expect("taken");
    disk.waits().await;

    let stopping = Arc::clone(&runtime);
    let stopped = tokio::spawn(async move { stopping.stop("p").await });
    // Its drain time is over by then. If this machine is slower, the test proves less and still holds.
    tokio::time::sleep(Duration::from_millis(100)).await;
    disk.go_on();
    stopped.await.expect("no panic").expect("it stops");

    runtime.start("p").await.expect("it starts again");
    let status = runtime.process_status("p").await.expect("there is p");
    assert_eq!((status.invocation_count, status.open_events), (1, 0), "{status:?}");
    runtime.inject("p", TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))).await.expect("taken");
    let second = async {
        while runtime.process_status("p").await.expect("there is p").invocation_count < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), second).await.expect("it goes on");
    assert_eq!(shop.calls.load(Ordering::SeqCst), 2, "a run for each event, and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_on_its_way_when_its_run_was_cut_off_is_no_doubt() {
    let disk = Disk::default();
    let log = Log::resume_storage(Arc::new(disk.clone()), 1 << 20).expect("the log opens");
    let runtime = AgentRuntime::new(RuntimeParts::new(log.into()));
    let limit = Duration::from_secs(1);
    let spec = ProcessSpec { max_invocation_time: Some(limit), ..ProcessSpec::new("p") };
    let till = Till { disk: disk.clone(), calls: Arc::default() };
    runtime.add_process(spec, Arc::new(till.clone())).expect("the name is free");
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", TriggerEvent::new("test", "remote", chrono::Utc::now(), json!({}))).await.expect("taken");
    disk.waits().await;

    // Its time is over by then. If this machine is slower, the test proves less and still holds.
    tokio::time::sleep(limit + Duration::from_millis(300)).await;
    disk.go_on();

    let handled = async {
        while runtime.process_status("p").await.expect("there is p").open_events > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), handled).await.expect("it is in the journal, and yet it is held in doubt");
    assert_eq!(till.calls.load(Ordering::SeqCst), 1, "paid once");
}

/// Pays at once; the disk does not answer for the first payment.
#[derive(Clone)]
struct Till {
    disk: Disk,
    calls: Arc<AtomicU32>,
}

#[async_trait]
impl Toolbox for Till {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(pay(Some(Effect::Irreversible)))
    }

    async fn call(&self, _call: &ToolCall) -> Result<ToolReply, CallError> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.disk.stand_still();
        }
        Ok(ToolReply::ok("paid"))
    }
}

/// Pays once, and then says what the till said.
struct Customer;

#[async_trait]
impl Model for Customer {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let pay = WantedCall { id: "c0".into(), name: "pay".into(), args: json!({}) };
        Ok(if turn.step.0 == "t0" { Reply { calls: vec![pay], ..Reply::default() } } else { Reply::say("paid") })
    }
}

#[async_trait]
impl Blueprint for Till {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        Ok(journalled(past, Customer, Arc::new(self.clone())))
    }
}

/// Its first run ends when the disk does not answer.
#[derive(Clone)]
struct Shop {
    disk: Disk,
    calls: Arc<AtomicU32>,
}

#[async_trait]
impl Agent for Shop {
    async fn invoke(&self, _: Invocation) -> Result<Outcome, Error> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.disk.stand_still();
        }
        Ok(Outcome::default())
    }
}

#[async_trait]
impl Blueprint for Shop {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::new(ContextConfig::default()).expect("a context"));
        Ok(Built { agent: Arc::new(self.clone()), context, layers: Vec::new(), on_stop: None })
    }
}

/// A disk whose syncs can be held.
#[derive(Clone, Default)]
struct Disk {
    memory: MemoryStorage,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    stands_still: bool,
    waiting: bool,
}

impl Disk {
    fn stand_still(&self) {
        self.state.0.lock().expect("unpoisoned").stands_still = true;
    }

    fn go_on(&self) {
        self.state.0.lock().expect("unpoisoned").stands_still = false;
        self.state.1.notify_all();
    }

    /// Returns when something waits for it.
    async fn waits(&self) {
        let waits = async {
            while !self.state.0.lock().expect("unpoisoned").waiting {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waits).await.expect("something is synced");
    }
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        self.memory.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.memory.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.memory.read(name)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.memory.len(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn SegmentFile>> {
        Ok(Box::new(HeldFile { inner: self.memory.create(name)?, state: Arc::clone(&self.state) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.memory.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.memory.sync_names()
    }

    fn cut(&self, name: &str, len: u64) -> io::Result<()> {
        self.memory.cut(name, len)
    }

    fn end_with(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.memory.end_with(name, offset, bytes)
    }
}

struct HeldFile {
    inner: Box<dyn SegmentFile>,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl SegmentFile for HeldFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let (state, moved) = &*self.state;
        let mut held = state.lock().expect("unpoisoned");
        held.waiting |= held.stands_still;
        let held = moved.wait_while(held, |state| state.stands_still).expect("unpoisoned");
        drop(held);
        self.inner.sync()
    }
}
