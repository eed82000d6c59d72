//! One life of a runtime with two processes, `shop` and `other`, from its start to whatever ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flyball::context::{Context, ContextConfig};
use flyball::core_agent::{Clock, Model, Stack, Toolbox, TriggerEvent};
use flyball::governance::{Budget, BudgetConfig, Health, HealthConfig, NoNotify};
use flyball::journal::{Error, Intent, Log, MemoryStorage, ProcessFold, Record, Recovered, Recovery, Replay};
use flyball::runtime::{AgentRuntime, Blueprint, Built, Control, ControlError, Past, ProcessSpec, ProcessStatus, RuntimeParts};
use flyball::triggers::{Receipt, Trigger};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::outside::{Asked, Tools};
use super::{Outside, resume};
use crate::clock::SetClock;

/// A runtime that lives.
pub struct Life {
    pub runtime: AgentRuntime,
    pub log: Arc<Log>,
    /// Every record of this life, once it is durable.
    pub records: broadcast::Receiver<Arc<Record>>,
    /// Those that did not start, and why.
    pub refused: BTreeMap<String, String>,
}

/// The processes.
pub const PROCESSES: [&str; 2] = ["shop", "other"];

/// Nothing of what is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// When all of it happens.
pub fn noon() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(12)
}

/// An event that makes an agent do something: `all`, `act`, `check` or `say`.
pub fn event(key: &str, what: &str) -> TriggerEvent {
    let mut event = TriggerEvent::new("hook", "webhook", noon(), json!({"do": what, "key": key}));
    event.dedup_key = Some(key.to_owned());
    event
}

impl Life {
    /// Opens the log on `disk` and starts both processes. Also gives what the log held.
    pub async fn begin(disk: &MemoryStorage, segment: u64, outside: &Arc<Outside>) -> Result<(Self, Recovery), Error> {
        let (log, recovery) = resume(disk, segment)?;
        let held = held(&log, &recovery)?;
        Ok((Self::over(log, recovery, outside).await, held))
    }

    async fn over(log: Arc<Log>, recovery: Recovery<Recovered>, outside: &Arc<Outside>) -> Self {
        let (clock, records) = (SetClock::new(noon()), log.watch());
        let mut parts = RuntimeParts::new((Arc::clone(&log), recovery).into());
        parts.clock = Arc::new(clock.clone());
        let runtime = AgentRuntime::new(parts);
        for name in PROCESSES {
            let plan = Plan::new(outside, Arc::new(clock.clone()));
            let mut spec = ProcessSpec::new(name);
            spec.drain_timeout = Duration::from_millis(500);
            runtime.add_process(spec, Arc::new(plan)).expect("the name is free");
        }
        let refused = runtime.start_all().await.into_iter().map(|(name, error)| (name, error.to_string())).collect();
        Self { runtime, log, records, refused }
    }

    pub async fn inject(&self, process: &str, event: TriggerEvent) -> Result<Receipt, ControlError> {
        self.runtime.inject(process, event).await
    }

    pub async fn status(&self, process: &str) -> ProcessStatus {
        self.runtime.process_status(process).await.expect("the process is known")
    }

    /// Returns when nothing is left to do: every open event's run is held. The error says what is.
    pub async fn quiet(&self) -> Result<(), String> {
        for process in PROCESSES.into_iter().filter(|name| !self.refused.contains_key(*name)) {
            self.turn(process).await;
            let deadline = Instant::now() + PATIENCE;
            loop {
                let status = self.status(process).await;
                let ended = status.active_runs == 0 && status.open_events == status.held_runs.len();
                if ended || !status.state.is_alive() {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(format!("{process} does not come to rest: {status:?}"));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Returns when the process's loop has begun what it can begin.
    async fn turn(&self, process: &str) {
        for _ in 0..2 {
            // Nobody is named so, and the answer comes from the loop.
            let _ = self.runtime.command(process, "nobody", "", Value::Null).await;
        }
    }

    /// Lets go of the log as an order to stop would.
    pub async fn end(self) {
        self.runtime.shutdown().await;
    }
}

/// A recovery with the records that it was made of.
fn held(log: &Log, recovery: &Recovery<Recovered>) -> Result<Recovery, Error> {
    let mut processes = BTreeMap::new();
    for (process, recovered) in &recovery.processes {
        let records = log.records_of(recovered)?;
        assert_eq!(ProcessFold::of(&records), recovered.fold, "{process} is not what its records say");
        processes.insert(process.clone(), records);
    }
    Ok(Recovery {
        processes,
        damaged: recovery.damaged.clone(),
        mended: recovery.mended.clone(),
        torn: recovery.torn.clone(),
        last_seq: recovery.last_seq,
        segments: recovery.segments,
    })
}

/// What a process is made of, in the layers that the product puts around it.
pub struct Plan {
    pub clock: Arc<dyn Clock>,
    pub model: Arc<dyn Model>,
    pub tools: Arc<dyn Toolbox>,
    pub budget: BudgetConfig,
    pub triggers: MakeTriggers,
}

/// Makes a process's triggers, anew for each life.
pub type MakeTriggers = Box<dyn Fn() -> Vec<Box<dyn Trigger>> + Send + Sync>;

impl Plan {
    pub fn new(outside: &Arc<Outside>, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            model: Arc::new(Asked::new(Arc::clone(outside))),
            tools: Arc::new(Tools(Arc::clone(outside))),
            budget: BudgetConfig { enabled: true, max_tool_calls_per_day: Some(100_000), ..BudgetConfig::default() },
            triggers: Box::new(Vec::new),
        }
    }
}

#[async_trait]
impl Blueprint for Plan {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok((self.triggers)())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        let (clock, journal) = (|| Arc::clone(&self.clock), || Arc::clone(&past.journal));
        let mut stack = Stack::new();
        stack.push(Intent::new(journal()));
        let health = HealthConfig { enabled: true, ..HealthConfig::default() };
        stack.push(Health::new(health, clock(), journal(), Arc::new(NoNotify)));
        stack.push(Budget::new(self.budget.clone(), clock(), journal(), Arc::new(NoNotify), &past.records.read().await?));
        stack.push(Replay::new(journal()));
        let agent = stack.agent("Do what the event says.", 10, Arc::clone(&self.model), Arc::clone(&self.tools));
        let context = Arc::new(Context::with_clock(ContextConfig::default(), clock()).map_err(|error| error.to_string())?);
        Ok(Built { agent, context, layers: stack.layers().to_vec(), on_stop: None })
    }
}

/// Runs a future to its end on a runtime of its own, so that nothing of it outlives the trial.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}
