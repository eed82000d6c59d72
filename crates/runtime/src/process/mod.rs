//! One process: its handle, and the task behind it that starts, drives, and restarts it.

mod checkpoint;
mod commands;
mod drive;
mod ending;
mod ends;
mod life;
mod listeners;
mod next_run;
mod pausing;
mod reception;
mod run;
mod shown;
mod supervise;

use std::sync::Arc;

use flyball_context::{Context, StateEntry};
use flyball_core_agent::{Clock, TriggerEvent};
use flyball_journal::{Log, Recovered};
use flyball_triggers::Receipt;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Instrument;

use crate::{Blueprint, ControlError, ProcessSpec, ProcessStatus, Settlement};
use commands::{Answer, Command, Commands, Start, Stop};
use reception::Reception;
use shown::Shown;

pub(crate) use commands::Deaf;
pub use shown::StatusWatch;

/// A long-running agent. The handle is cheap to clone; the process lives until it is stopped, and
/// its task until every handle is gone.
#[derive(Clone)]
pub struct AgentProcess {
    spec: Arc<ProcessSpec>,
    commands: mpsc::Sender<Command>,
    clock: Arc<dyn Clock>,
    context: watch::Receiver<Option<Arc<Context>>>,
    shown: watch::Receiver<Shown>,
}

/// What a process shares with its runtime.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub log: Arc<Log>,
    pub clock: Arc<dyn Clock>,
    /// No run begins while this says no: every process must hear before any of them speaks.
    pub gate: watch::Receiver<bool>,
}

impl AgentProcess {
    /// Puts a process together that is not started yet. `recovered` is what its journal held when
    /// the log was opened.
    pub(crate) fn spawn(
        spec: ProcessSpec,
        blueprint: Arc<dyn Blueprint>,
        surroundings: Surroundings,
        mut recovered: Recovered,
        damage: Option<String>,
    ) -> Self {
        let spec = Arc::new(spec);
        let (commands, taken) = Commands::channel();
        let fold = std::mem::take(&mut recovered.fold).limited(spec.dedup_keys);
        let (showing, shown) = watch::channel(Shown::unstarted(&spec, &fold, damage.as_deref()));
        let (lent, context) = watch::channel(None);
        let journal = surroundings.log.process(&spec.name);
        let clock = Arc::clone(&surroundings.clock);
        let supervisor = supervise::Supervisor {
            spec: Arc::clone(&spec),
            blueprint,
            surroundings,
            recovered: Some(recovered),
            damage,
            shown: showing,
            lent,
        };
        // Whatever goes wrong in there, its log says whose it was.
        let span = tracing::error_span!("process", name = %spec.name);
        let reception = span.in_scope(|| Reception::new(journal, fold, spec.delivery.max_pending));
        tokio::spawn(supervisor.run(reception, taken).instrument(span));
        Self { spec, commands, clock, context, shown }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its id, the same on every start.
    pub fn process_id(&self) -> String {
        self.spec.process_id()
    }

    /// What it is doing now.
    pub fn status(&self) -> ProcessStatus {
        self.shown.borrow().status(self.clock.now())
    }

    /// Tells of every change of its status.
    pub fn watch(&self) -> StatusWatch {
        StatusWatch::new(self.shown.clone(), Arc::clone(&self.clock))
    }

    /// Starts it, and returns when it is up or has failed to come up.
    pub async fn start(&self) -> Result<(), ControlError> {
        self.ask(|answer| Command::Start(Start { deaf: None, answer })).await
    }

    /// Starts it, and lets go of `deaf` once it hears what others say, or will not.
    pub(crate) async fn start_hearing(&self, deaf: Deaf) -> Result<(), ControlError> {
        self.ask(|answer| Command::Start(Start { deaf: Some(deaf), answer })).await
    }

    /// Stops it, and returns when it has stopped. A start that is on is broken off.
    pub async fn stop(&self) -> Result<(), ControlError> {
        self.ask(|answer| Command::Stop(Stop { listen: false, answer: Some(answer) })).await
    }

    /// Stops it, but goes on taking in what other agents say, to be handled at the next start.
    pub(crate) async fn stop_and_listen(&self) -> Result<(), ControlError> {
        self.ask(|answer| Command::Stop(Stop { listen: true, answer: Some(answer) })).await
    }

    /// Takes in no more of what other agents say, if it has stopped.
    pub(crate) async fn stop_listening(&self) -> Result<(), ControlError> {
        self.ask(Command::StopListening).await
    }

    /// Holds back new runs.
    pub async fn pause(&self, why: &str) -> Result<(), ControlError> {
        self.ask(|answer| Command::Pause { why: why.to_owned(), answer }).await
    }

    /// Ends a pause.
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.ask(Command::Resume).await
    }

    /// Gives it an event, which is durable when this returns.
    pub async fn inject(&self, event: TriggerEvent) -> Result<Receipt, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Inject { event, answer }).await?;
        Ok(answered.await.map_err(|_| gone())??)
    }

    /// The agent's state as it is now; `None` while the process is not alive.
    pub fn state_snapshot(&self) -> Option<Map<String, Value>> {
        self.context.borrow().as_ref().map(|context| context.state().snapshot())
    }

    /// Who wrote what to a key of the agent's state, oldest first; empty while the process is not alive.
    pub fn state_history(&self, key: &str) -> Vec<StateEntry> {
        self.context.borrow().as_ref().map(|context| context.state().history(key)).unwrap_or_default()
    }

    /// Writes to the agent's state from outside of any run, in the name of `source`. It is durable
    /// when this returns, and runs that begin later see it.
    pub async fn put(&self, key: &str, value: Value, source: &str) -> Result<(), ControlError> {
        let (key, source) = (key.to_owned(), source.to_owned());
        self.ask(|answer| Command::Put { key, value, source, answer }).await
    }

    /// Says what became of a call in doubt.
    pub async fn resolve(&self, settlement: Settlement) -> Result<(), ControlError> {
        self.ask(|answer| Command::Resolve { settlement, answer }).await
    }

    /// Handles a dead letter once more, or gives it up.
    pub async fn see_to_dead_letter(&self, event_id: &str, again: bool, note: &str) -> Result<(), ControlError> {
        let (event_id, note) = (event_id.to_owned(), note.to_owned());
        self.ask(|answer| Command::DeadLetter { event_id, again, note, answer }).await
    }

    /// Asks one of its layers.
    pub async fn command(&self, layer: &str, request: &str, body: Value) -> Result<Value, ControlError> {
        let (layer, request) = (layer.to_owned(), request.to_owned());
        self.ask(|answer| Command::Layer { layer, request, body, answer }).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.send(command(answer)).await?;
        answered.await.map_err(|_| gone())?
    }

    async fn send(&self, command: Command) -> Result<(), ControlError> {
        self.commands.send(command).await.map_err(|_| gone())
    }
}

fn gone() -> ControlError {
    ControlError::Failed("the process's task has ended".into())
}
