//! A runtime with its journal on the disk, and events for its processes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use flyball::core_agent::{Clock, SystemClock, TriggerEvent};
use flyball::journal::{Log, Recovered, Recovery};
use flyball::runtime::{AgentProcess, AgentRuntime, ProcessSpec, RuntimeParts};
use flyball::triggers::{WebhookConfig, WebhookListeners};
use serde_json::json;
use tokio::task::JoinSet;

use crate::agent;
use crate::counted::{self, Count};
use crate::nowhere::Nowhere;

/// A runtime, its log, and what is counted of it.
pub struct Bench {
    pub runtime: AgentRuntime,
    pub log: Arc<Log>,
    pub count: Arc<Count>,
}

/// What its agents are.
#[derive(Debug, Clone, Copy)]
pub struct Agents {
    /// Tool calls of a run.
    pub calls: u32,
    /// Whether runs are given the conversation so far.
    pub history: bool,
    /// Events of one that may wait to be handled.
    pub max_pending: usize,
    /// The port of their webhooks, if they have any; each has a path of its own.
    pub webhooks: Option<u16>,
}

/// Where the webhook of the process number `index` is.
pub fn webhook_path(index: usize) -> String {
    format!("/hook/{index}")
}

impl Bench {
    /// A runtime whose journal is in the folder `dir`.
    pub fn new(dir: &Path) -> Result<Self> {
        Ok(Self::over(counted::open(dir)?))
    }

    /// A runtime whose journal goes nowhere: nothing is durable, and nothing is waited for.
    pub fn without_disk() -> Result<Self> {
        Ok(Self::over(counted::over(Box::new(Nowhere))?))
    }

    fn over((log, recovery, count): (Arc<Log>, Recovery<Recovered>, Arc<Count>)) -> Self {
        let runtime = AgentRuntime::new(RuntimeParts::new((Arc::clone(&log), recovery).into()));
        Self { runtime, log, count }
    }

    /// Starts so many processes of one kind.
    pub async fn start(&self, count: usize, agents: Agents) -> Result<Vec<AgentProcess>> {
        let mut processes = Vec::new();
        let listeners = WebhookListeners::default();
        for index in 0..count {
            let webhook =
                |port| WebhookConfig { webhook_path: webhook_path(index), webhook_port: port, ..WebhookConfig::default() };
            let blueprint = agent::Instant {
                calls: agents.calls,
                history: agents.history,
                webhook: agents.webhooks.map(|port| (webhook(port), listeners.clone())),
                bus: Arc::clone(self.runtime.event_bus()),
                broker: Arc::clone(self.runtime.broker()),
            };
            let mut spec = ProcessSpec::new(&format!("pipeline-monitor-{index}"));
            spec.delivery.max_pending = agents.max_pending;
            let process = self.runtime.add_process(spec, Arc::new(blueprint)).map_err(|error| anyhow!("{error}"))?;
            processes.push(process);
        }
        match self.runtime.start_all().await.into_iter().next() {
            None => Ok(processes),
            Some((name, error)) => Err(anyhow!("{name}: {error}")),
        }
    }

    /// The last record's number, with everything before it durable.
    pub async fn records(&self) -> Result<u64> {
        Ok(self.log.process("pipeline-monitor-0").append(Vec::new()).await?.seq)
    }
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Load {
    pub runs: u64,
    /// From the event to the finished run, of each.
    pub times: Vec<Duration>,
}

/// Gives every process events until `end`, one at a time: the next when the run of the last has ended.
pub async fn one_by_one(processes: &[AgentProcess], end: Instant) -> Result<Load> {
    let drivers: Vec<_> = processes.iter().map(|process| tokio::spawn(drive(process.clone(), end))).collect();
    let mut load = Load::default();
    for driver in drivers {
        let times = driver.await??;
        load.runs += times.len() as u64;
        load.times.extend(times);
    }
    Ok(load)
}

async fn drive(process: AgentProcess, end: Instant) -> Result<Vec<Duration>> {
    let mut status = process.watch();
    let mut runs = process.status().invocation_count;
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        process.inject(event(runs)).await.map_err(|error| anyhow!("{error}"))?;
        runs += 1;
        status.wait_for_runs(runs).await.context("the process is gone")?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// Gives one process events until `end`, so that `window` are always on their way, and waits for the last
/// of them. No times are taken.
pub async fn in_a_window(process: &AgentProcess, window: u64, end: Instant) -> Result<Load> {
    let mut status = process.watch();
    let first = process.status().invocation_count;
    let mut offers = JoinSet::new();
    let (mut given, mut ended) = (0, 0);
    loop {
        while Instant::now() < end && given - ended < window {
            let (process, number) = (process.clone(), given);
            offers.spawn(async move { process.inject(event(number)).await });
            given += 1;
        }
        if ended == given {
            return Ok(Load { runs: ended, times: Vec::new() });
        }
        tokio::select! {
            // An event that is refused never ends in a run, and would be waited for in vain.
            Some(offered) = offers.join_next() => drop(offered?.map_err(|error| anyhow!("{error}"))?),
            runs = status.wait_for_runs(first + ended + 1) => {
                ended = runs.context("the process is gone")? - first;
            }
        }
    }
}

fn event(number: u64) -> TriggerEvent {
    let payload = json!({"event_type": "pipeline.alert", "data": {"pipeline": format!("p-{number}"), "status": "late"}});
    TriggerEvent::new("bench", "event", SystemClock.now(), payload)
}
