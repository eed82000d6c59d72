//! Many processes by name, over one log, one bus and one broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{Clock, SystemClock, TriggerEvent};
use flyball_journal::{Log, MemoryStorage, ProcessFold, Recovered, Recovery};
use flyball_triggers::{BusEvent, Delivery, EventBus, InProcessBroker, InProcessBus, Message, MessageBroker, Receipt};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::process::{AgentProcess, Deaf, Surroundings};
use crate::{Blueprint, Control, ControlError, ProcessSpec, ProcessStatus, RuntimeStatus, Settlement};

/// Manages processes. Drop it after [`shutdown`](AgentRuntime::shutdown).
pub struct AgentRuntime {
    processes: RwLock<BTreeMap<String, AgentProcess>>,
    home: JournalHome,
    clock: Arc<dyn Clock>,
    opened: watch::Receiver<bool>,
    gate: watch::Sender<bool>,
    bus: Arc<dyn EventBus>,
    broker: Arc<dyn MessageBroker>,
}

/// What a runtime is made of. Everything has a default that lives in this process.
pub struct RuntimeParts {
    /// Where everything is recorded unless a process has a home of its own.
    pub home: JournalHome,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Carries events between agents.
    pub event_bus: Arc<dyn EventBus>,
    /// Carries messages between agents.
    pub broker: Arc<dyn MessageBroker>,
}

/// An open log, and what it held when it was opened. Clones share it.
#[derive(Clone)]
pub struct JournalHome {
    log: Arc<Log>,
    recovered: Arc<Mutex<Recovery<Recovered>>>,
}

/// A process that a log knows and nobody runs, though it has something to do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unclaimed {
    /// Its name.
    pub name: String,
    /// Events that wait for a run, or for the end of one.
    pub waiting: usize,
    /// Events whose runs are held.
    pub held: usize,
}

/// So long the others wait for one that takes its time to come up.
const HELD_UP: Duration = Duration::from_secs(3);

impl Unclaimed {
    fn of(name: &str, fold: &ProcessFold) -> Self {
        let held = fold.open_runs.values().filter(|open| open.held.is_some()).count();
        Self { name: name.to_owned(), waiting: fold.open_events.len().saturating_sub(held), held }
    }
}

impl From<(Arc<Log>, Recovery<Recovered>)> for JournalHome {
    fn from((log, recovery): (Arc<Log>, Recovery<Recovered>)) -> Self {
        Self { log, recovered: Arc::new(Mutex::new(recovery)) }
    }
}

impl JournalHome {
    /// A log in memory, gone with the runtime.
    pub fn in_memory() -> Result<Self, flyball_journal::Error> {
        Ok(Log::resume_storage(Arc::new(MemoryStorage::default()), flyball_journal::DEFAULT_SEGMENT_BYTES)?.into())
    }

    /// The log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The processes of which events are open here, and that nobody has added. To be asked once all are.
    pub fn unclaimed(&self) -> Vec<Unclaimed> {
        let recovered = self.recovered.lock().expect("no holder of the recovery panics");
        let each = recovered.processes.iter().filter(|(_, found)| !found.fold.open_events.is_empty());
        each.map(|(name, found)| Unclaimed::of(name, &found.fold)).collect()
    }

    /// What was found of a process, and whether its records are damaged.
    fn take(&self, process: &str) -> (Recovered, Option<String>) {
        let mut recovered = self.recovered.lock().expect("no holder of the recovery panics");
        (recovered.processes.remove(process).unwrap_or_default(), recovered.damaged.remove(process))
    }
}

impl RuntimeParts {
    /// Parts around an open log.
    pub fn new(home: JournalHome) -> Self {
        Self {
            home,
            clock: Arc::new(SystemClock),
            event_bus: Arc::new(InProcessBus::default()),
            broker: Arc::new(InProcessBroker::default()),
        }
    }

    /// Parts that keep everything in memory and nothing longer.
    pub fn in_memory() -> Result<Self, flyball_journal::Error> {
        Ok(Self::new(JournalHome::in_memory()?))
    }
}

impl AgentRuntime {
    /// A runtime without processes.
    pub fn new(parts: RuntimeParts) -> Self {
        let (gate, opened) = watch::channel(true);
        Self {
            processes: RwLock::default(),
            home: parts.home,
            clock: parts.clock,
            opened,
            gate,
            bus: parts.event_bus,
            broker: parts.broker,
        }
    }

    /// The bus that its agents share.
    pub fn event_bus(&self) -> &Arc<dyn EventBus> {
        &self.bus
    }

    /// The broker that its agents share.
    pub fn broker(&self) -> &Arc<dyn MessageBroker> {
        &self.broker
    }

    /// Its clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Its log.
    pub fn log(&self) -> &Arc<Log> {
        &self.home.log
    }

    /// Adds a process, not started yet. Must be called inside a tokio runtime.
    pub fn add_process(&self, spec: ProcessSpec, blueprint: Arc<dyn Blueprint>) -> Result<AgentProcess, ControlError> {
        self.add_process_at(&self.home, spec, blueprint)
    }

    /// Adds a process whose journal has a home of its own.
    pub fn add_process_at(
        &self,
        home: &JournalHome,
        spec: ProcessSpec,
        blueprint: Arc<dyn Blueprint>,
    ) -> Result<AgentProcess, ControlError> {
        let mut processes = self.processes.write().expect("no holder of the processes panics");
        if processes.contains_key(&spec.name) {
            return Err(ControlError::State(format!("a process is named '{}' already", spec.name)));
        }
        let (records, damage) = home.take(&spec.name);
        let surroundings = Surroundings { log: Arc::clone(&home.log), clock: Arc::clone(&self.clock), gate: self.opened.clone() };
        let name = spec.name.clone();
        let process = AgentProcess::spawn(spec, blueprint, surroundings, records, damage);
        processes.insert(name, process.clone());
        Ok(process)
    }

    /// The process with this name or id.
    pub fn get_process(&self, name: &str) -> Result<AgentProcess, ControlError> {
        let processes = self.processes.read().expect("no holder of the processes panics");
        let found = processes.get(name).or_else(|| processes.values().find(|process| process.process_id() == name));
        found.cloned().ok_or_else(|| ControlError::NotFound {
            name: name.to_owned(),
            known: processes.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// Every process, by name.
    pub fn processes(&self) -> Vec<AgentProcess> {
        self.processes.read().expect("no holder of the processes panics").values().cloned().collect()
    }

    /// Starts every process that is not alive. No run begins before all have come up or failed, so that what the
    /// first one does is seen by the last; but one that takes long holds up the others for 3 s at most, if it hears
    /// what they say. Returns the ones that did not come up.
    pub async fn start_all(&self) -> Vec<(String, ControlError)> {
        self.gate.send_replace(false);
        let (deaf, mut all_hear) = mpsc::channel(1);
        let asleep = self.processes().into_iter().filter(|process| !process.status().state.is_alive());
        let started: Vec<_> = asleep.map(|process| start(process, deaf.clone())).collect();
        drop(deaf);
        let mut started = futures::future::join_all(started);
        let long_enough = async {
            let None = all_hear.recv().await;
            tokio::time::sleep(HELD_UP).await;
        };
        let started = tokio::select! {
            started = &mut started => started,
            () = long_enough => {
                self.gate.send_replace(true);
                started.await
            }
        };
        self.gate.send_replace(true);
        started.into_iter().flatten().collect()
    }

    /// Stops every process, side by side, each within its drain time. Until the last one has stopped,
    /// what one of them says to another is taken in, and handled when that one is started again.
    pub async fn stop_all(&self) {
        let processes = self.processes();
        let stopped = processes.iter().map(AgentProcess::stop_and_listen);
        for (process, result) in processes.iter().zip(futures::future::join_all(stopped).await) {
            if let Err(error) = result {
                tracing::error!(process = process.name(), %error, "the process did not stop in order");
            }
        }
        futures::future::join_all(processes.iter().map(AgentProcess::stop_listening)).await;
    }

    /// Stops every process and closes its log.
    pub async fn shutdown(&self) {
        self.stop_all().await;
        let log = Arc::clone(&self.home.log);
        // Joins the writer's thread, which may be syncing.
        let _ = tokio::task::spawn_blocking(move || log.close()).await;
    }
}

#[async_trait]
impl Control for AgentRuntime {
    async fn status(&self) -> RuntimeStatus {
        let processes: BTreeMap<String, ProcessStatus> =
            self.processes().iter().map(|process| (process.name().to_owned(), process.status())).collect();
        RuntimeStatus { process_count: processes.len(), processes }
    }

    async fn process_status(&self, name: &str) -> Result<ProcessStatus, ControlError> {
        Ok(self.get_process(name)?.status())
    }

    async fn start(&self, name: &str) -> Result<(), ControlError> {
        self.get_process(name)?.start().await
    }

    async fn stop(&self, name: &str) -> Result<(), ControlError> {
        self.get_process(name)?.stop().await
    }

    async fn pause(&self, name: &str, why: &str) -> Result<(), ControlError> {
        self.get_process(name)?.pause(why).await
    }

    async fn resume(&self, name: &str) -> Result<(), ControlError> {
        self.get_process(name)?.resume().await
    }

    async fn inject(&self, name: &str, event: TriggerEvent) -> Result<Receipt, ControlError> {
        self.get_process(name)?.inject(event).await
    }

    async fn emit(&self, event_type: &str, source: &str, data: Value) -> Result<usize, ControlError> {
        delivered(self.bus.emit(BusEvent::new(event_type, source, data)).await)
    }

    async fn publish(&self, topic: &str, sender: &str, content: Value) -> Result<usize, ControlError> {
        delivered(self.broker.publish(Message::new(topic, sender, content)).await)
    }

    async fn resolve(&self, name: &str, settlement: Settlement) -> Result<(), ControlError> {
        self.get_process(name)?.resolve(settlement).await
    }

    async fn see_to_dead_letter(&self, name: &str, event_id: &str, again: bool, note: &str) -> Result<(), ControlError> {
        self.get_process(name)?.see_to_dead_letter(event_id, again, note).await
    }

    async fn command(&self, name: &str, layer: &str, request: &str, body: Value) -> Result<Value, ControlError> {
        self.get_process(name)?.command(layer, request, body).await
    }
}

/// Starts `process`; its name and why, if it does not come up.
async fn start(process: AgentProcess, deaf: Deaf) -> Option<(String, ControlError)> {
    let error = process.start_hearing(deaf).await.err()?;
    Some((process.name().to_owned(), error))
}

/// How many took it, or why somebody who should have did not.
fn delivered(delivery: Result<Delivery, flyball_triggers::Error>) -> Result<usize, ControlError> {
    let delivery = delivery.map_err(|error| ControlError::Failed(error.to_string()))?;
    match delivery.failures.first() {
        None => Ok(delivery.taken),
        Some(first) => {
            Err(ControlError::Failed(format!("{} took it, {} did not: {}", delivery.taken, delivery.failures.len(), first.0)))
        }
    }
}
