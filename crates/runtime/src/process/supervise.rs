//! The task behind a process: it waits for a start, lives one life after the other, and decides
//! after each whether there is another.

use std::sync::Arc;
use std::time::Duration;

use flyball_context::Context;
use flyball_journal::{Entry, Journal, LifecycleState, ProcessFold, Record};
use tokio::sync::{mpsc, watch};

use super::life::{End, Life};
use super::{Answer, Command, Surroundings, drive};
use crate::{Blueprint, ControlError, Past, ProcessSpec, ProcessStatus, RestartPolicy, StartCause};

pub(super) struct Supervisor {
    pub spec: Arc<ProcessSpec>,
    pub blueprint: Arc<dyn Blueprint>,
    pub surroundings: Surroundings,
    pub journal: Arc<dyn Journal>,
    /// What the log held when it was opened; the first start takes it.
    pub recovered: Option<Vec<Record>>,
    /// Why the process must not run: its records are damaged.
    pub damage: Option<String>,
    pub shown: watch::Sender<ProcessStatus>,
    /// The context of the present life, for those who look at it from outside.
    pub lent: watch::Sender<Option<Arc<Context>>>,
}

/// A restart waits this long at the most.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

impl Supervisor {
    /// Serves commands until every handle is gone.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Start(answer) => self.live(answer, &mut commands).await,
                Command::Stop(answer) => drop(answer.send(Ok(()))),
                other => refuse(other, self.shown.borrow().state),
            }
        }
    }

    /// One start by hand, and the restarts that follow from it.
    async fn live(&mut self, answer: Answer<()>, commands: &mut mpsc::Receiver<Command>) {
        let mut answer = Some(answer);
        let mut cause = None;
        let mut restarts = 0;
        loop {
            let end = self.one_life(cause, restarts, answer.take(), commands).await;
            let why = match end {
                End::Stopped => return,
                End::TooOld => {
                    cause = Some(StartCause::Restart);
                    continue;
                }
                End::NotStarted => return,
                End::Failed { why, had_success } => {
                    restarts = if had_success { 0 } else { restarts };
                    why
                }
            };
            if self.spec.restart.policy == RestartPolicy::Never || restarts >= self.spec.restart.max_restarts {
                tracing::error!(process = %self.spec.name, %why, restarts, "the process failed and is not started again");
                self.shown.send_modify(|status| status.given_up = true);
                return;
            }
            restarts += 1;
            let wait = (self.spec.restart.backoff * 2_u32.saturating_pow(restarts - 1)).min(MAX_BACKOFF);
            tracing::warn!(process = %self.spec.name, %why, ?wait, "the process failed and will be started again");
            let state = self.shown.borrow().state;
            match wait_for_restart(wait, commands, state).await {
                Wake::Restart => {}
                Wake::Start(by_hand) => answer = Some(by_hand),
                Wake::Stop => return,
            }
            cause = Some(StartCause::Restart);
        }
    }

    async fn one_life(
        &mut self,
        cause: Option<StartCause>,
        restarts: u32,
        answer: Option<Answer<()>>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> End {
        let by_hand = cause.is_none();
        match self.begin(cause, restarts).await {
            Ok(life) => {
                self.lent.send_replace(life.parts.as_ref().map(|parts| Arc::clone(&parts.context)));
                tell(answer, Ok(()));
                let end = drive::drive(life, commands).await;
                self.lent.send_replace(None);
                end
            }
            Err(why) => {
                tell(answer, Err(ControlError::Failed(format!("{} did not start: {why}", self.spec.name))));
                if by_hand { End::NotStarted } else { End::Failed { why, had_success: false } }
            }
        }
    }

    async fn begin(&mut self, cause: Option<StartCause>, restarts: u32) -> Result<Life, String> {
        if let Some(damage) = &self.damage {
            return Err(format!("its journal is damaged ({damage}); it will not run on a guess"));
        }
        let records = self.records().await?;
        let fold = ProcessFold::of(&records);
        let cause = cause.unwrap_or(if fold.state.is_over() { StartCause::Asked } else { StartCause::Recovery });
        let past = Past { records, fold, journal: Arc::clone(&self.journal), cause };
        let mut life = Life::new(Arc::clone(&self.spec), self.surroundings.clone(), &past, self.shown.clone(), restarts);
        life.move_to(LifecycleState::Starting, start_reason(cause))?;
        life.note_recovery(&past)?;
        let built = match self.blueprint.build(&past).await {
            Ok(built) => built,
            Err(why) => return Err(life.failed_to_start(why).await),
        };
        match life.take_parts(built).await {
            Ok(()) => Ok(life),
            Err(why) => Err(life.failed_to_start(why).await),
        }
    }

    async fn records(&mut self) -> Result<Vec<Record>, String> {
        if let Some(records) = self.recovered.take() {
            return Ok(records);
        }
        // Waiting for an append brings everything before it to the storage.
        self.journal.append(Vec::new()).await.map_err(|error| error.to_string())?;
        let (log, name) = (Arc::clone(&self.surroundings.log), self.spec.name.clone());
        let read = tokio::task::spawn_blocking(move || log.records(&name)).await;
        read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn start_reason(cause: StartCause) -> &'static str {
    match cause {
        StartCause::Asked => "started",
        StartCause::Recovery => "goes on after it was cut off",
        StartCause::Restart => "started again",
    }
}

enum Wake {
    Restart,
    Start(Answer<()>),
    Stop,
}

async fn wait_for_restart(wait: Duration, commands: &mut mpsc::Receiver<Command>, state: LifecycleState) -> Wake {
    let elapsed = tokio::time::sleep(wait);
    tokio::pin!(elapsed);
    loop {
        tokio::select! {
            () = &mut elapsed => return Wake::Restart,
            command = commands.recv() => match command {
                None => return Wake::Stop,
                Some(Command::Start(answer)) => return Wake::Start(answer),
                Some(Command::Stop(answer)) => {
                    tell(Some(answer), Ok(()));
                    return Wake::Stop;
                }
                Some(other) => refuse(other, state),
            },
        }
    }
}

fn tell(answer: Option<Answer<()>>, result: Result<(), ControlError>) {
    if let Some(answer) = answer {
        // Whoever asked may have stopped waiting.
        let _ = answer.send(result);
    }
}

/// Answers a command that makes no sense while the process is not alive.
fn refuse(command: Command, state: LifecycleState) {
    let error = ControlError::State(format!("the process is {state}: start it first"));
    match command {
        Command::Start(answer)
        | Command::Stop(answer)
        | Command::Resume(answer)
        | Command::Pause { answer, .. }
        | Command::Resolve { answer, .. }
        | Command::Put { answer, .. } => {
            tell(Some(answer), Err(error));
        }
        Command::Inject { answer, .. } => drop(answer.send(Err(flyball_triggers::Refusal::Closed))),
        Command::Layer { answer, .. } => drop(answer.send(Err(error))),
    }
}

/// The entry for a move between states.
pub(super) fn transition(from: LifecycleState, to: LifecycleState, reason: &str) -> Entry {
    Entry::StateTransition { from_state: from, to_state: to, reason: reason.to_owned() }
}
