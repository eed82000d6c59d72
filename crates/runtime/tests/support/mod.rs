//! A runtime over memory, with an agent that does one thing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use flyball_context::{Context, ContextConfig};
use flyball_core_agent::{Agent, Change, Clock, Directive, Error, Invocation, ManualClock, Outcome, TriggerEvent};
use flyball_journal::{Entry, Log, MemoryStorage};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, ProcessStatus, RuntimeParts};
use flyball_triggers::Trigger;
use serde_json::{Value, json};

/// What the agent does.
#[derive(Clone)]
pub enum Act {
    Say(&'static str),
    Hang,
    Fail,
    Panic,
    /// So many runs fail, the others do not.
    FailFirst(u32),
    Direct(Directive),
    /// The same, a while after it was asked.
    DirectLate(Directive),
    Write(&'static str, Value),
}

/// How long the log's segments are.
pub const SEGMENT: u64 = 1 << 20;

pub struct Bench {
    pub clock: ManualClock,
    pub storage: MemoryStorage,
    context: Arc<Mutex<Option<Arc<Context>>>>,
    /// How often the agent was asked.
    asked: Arc<AtomicU32>,
}

impl Bench {
    pub fn new() -> Self {
        Self::over(MemoryStorage::default())
    }

    fn over(storage: MemoryStorage) -> Self {
        Self { clock: ManualClock::new(DateTime::UNIX_EPOCH), storage, context: Arc::default(), asked: Arc::default() }
    }

    /// What is on the disk now, as the next life finds it.
    pub fn crash(&self) -> Self {
        Self::over(self.storage.fork())
    }

    pub fn runtime(&self, spec: ProcessSpec, act: Act) -> Arc<AgentRuntime> {
        let log = Log::resume_storage(Arc::new(self.storage.clone()), SEGMENT).expect("the log opens");
        let mut parts = RuntimeParts::new(log.into());
        parts.clock = Arc::new(self.clock.clone());
        let runtime = AgentRuntime::new(parts);
        let (context, asked) = (Arc::clone(&self.context), Arc::clone(&self.asked));
        let blueprint = Fixed { act, context, asked, clock: Arc::new(self.clock.clone()) };
        runtime.add_process(spec, Arc::new(blueprint)).expect("the name is free");
        Arc::new(runtime)
    }

    pub fn event(&self, key: &str) -> TriggerEvent {
        let mut event = TriggerEvent::new("test", "remote", self.clock.now(), json!({"key": key}));
        event.dedup_key = Some(key.to_owned());
        event
    }

    pub fn entries(&self, runtime: &AgentRuntime) -> Vec<Entry> {
        runtime.log().records("p").expect("read").into_iter().map(|record| record.entry).collect()
    }

    /// Brings everything recorded so far to the disk, as the next thing that is waited for would.
    pub async fn flush(&self, runtime: &AgentRuntime) {
        runtime.log().process("p").append(Vec::new()).await.expect("flushed");
    }

    pub fn builds(&self, runtime: &AgentRuntime) -> usize {
        let up = |entry: &&Entry| matches!(entry, Entry::StateTransition { reason, .. } if reason.starts_with("up"));
        self.entries(runtime).iter().filter(up).count()
    }

    pub fn state(&self, key: &str) -> Option<Value> {
        let context = self.context.lock().expect("unpoisoned");
        context.as_ref().expect("it was built").state().get(key)
    }

    /// Waits until `holds`; for what no status shows.
    pub async fn until_async<Answer: Future<Output = bool>>(&self, holds: impl Fn() -> Answer) {
        let watched = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), watched).await.expect("it never came");
    }

    pub async fn until(&self, runtime: &AgentRuntime, wanted: impl Fn(&ProcessStatus) -> bool) {
        let watched = async {
            loop {
                let status = runtime.process_status("p").await.expect("there is p");
                if wanted(&status) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), watched).await.is_err() {
            panic!("it never came: {:#?}", runtime.process_status("p").await);
        }
    }
}

struct Fixed {
    act: Act,
    context: Arc<Mutex<Option<Arc<Context>>>>,
    asked: Arc<AtomicU32>,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Blueprint for Fixed {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, _past: &Past) -> Result<Built, String> {
        let context = Arc::new(Context::with_clock(ContextConfig::default(), Arc::clone(&self.clock)).expect("a context"));
        *self.context.lock().expect("unpoisoned") = Some(Arc::clone(&context));
        let agent = Arc::new(OneThing { act: self.act.clone(), asked: Arc::clone(&self.asked) });
        Ok(Built { agent, context, layers: Vec::new(), on_stop: None })
    }
}

struct OneThing {
    act: Act,
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl Agent for OneThing {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        let before = self.asked.fetch_add(1, Ordering::SeqCst);
        match &self.act {
            Act::FailFirst(count) if before < *count => Err(Error::Failed("not yet".into())),
            Act::FailFirst(_) => Ok(Outcome { reply: "at last".to_owned(), ..Outcome::default() }),
            Act::Say(text) => Ok(Outcome { reply: (*text).to_owned(), ..Outcome::default() }),
            Act::Hang => std::future::pending().await,
            Act::Panic => panic!("nobody thought of this"),
            Act::Fail => Err(Error::Failed("it was told to".into())),
            Act::Direct(directive) => Ok(Outcome { directive: directive.clone(), ..Outcome::default() }),
            Act::DirectLate(directive) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(Outcome { directive: directive.clone(), ..Outcome::default() })
            }
            Act::Write(key, value) => {
                let at = invocation.event.timestamp;
                invocation.run.record(&[Change { key: (*key).to_owned(), value: value.clone(), source: "agent".into(), at }]);
                Ok(Outcome::default())
            }
        }
    }
}
