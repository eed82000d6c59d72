//! The task behind a process: it waits for a start, lives one life after the other, and decides
//! after each whether there is another.

use std::sync::Arc;
use std::time::Duration;

use flyball_context::Context;
use flyball_journal::{Entry, Journal, LifecycleState, Recovered, append_patiently};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::commands::{Answer, Command, Commands, Deaf, Start, Stop};
use super::life::{ASKED_TO_STOP, End, Life, Unstarted};
use super::listeners::Listeners;
use super::reception::{Heard, Reception};
use super::shown::Shown;
use super::{Surroundings, drive};
use crate::{Blueprint, Built, ControlError, Past, ProcessSpec, Records, RestartPolicy, StartCause};

pub(super) struct Supervisor {
    pub spec: Arc<ProcessSpec>,
    pub blueprint: Arc<dyn Blueprint>,
    pub surroundings: Surroundings,
    /// What the log held when it was opened; the first start takes it.
    pub recovered: Option<Recovered>,
    /// Why the process must not run: its records are damaged.
    pub damage: Option<String>,
    pub shown: watch::Sender<Shown>,
    /// The context of the present life, for those who look at it from outside.
    pub lent: watch::Sender<Option<Arc<Context>>>,
}

/// A process between two lives.
pub(super) struct Resting {
    pub reception: Reception,
    /// What goes on listening to other agents. Without, nothing is taken in.
    pub listeners: Option<Listeners>,
}

/// A restart waits this long at the most.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// What is on its way to the disk is given up after this time.
const SETTLE_TIME: Duration = Duration::from_secs(5);

impl Resting {
    /// What arrives next.
    async fn next(&mut self) -> Heard {
        self.reception.next().await
    }

    fn hear(&mut self, heard: Heard) {
        if self.listeners.is_some() { self.reception.take(heard) } else { self.reception.refuse(heard) }
    }

    /// Takes nothing in any more. What is on its way gets a short time.
    async fn stop_listening(&mut self) {
        if let Some(mut listeners) = self.listeners.take() {
            listeners.stop(false).await;
        }
        self.reception.refuse_waiting();
        let settled = async {
            while !self.reception.is_quiet() {
                let heard = self.reception.next().await;
                self.reception.refuse(heard);
            }
        };
        // Who is not answered does not take it for a yes.
        let _ = tokio::time::timeout(SETTLE_TIME, settled).await;
    }
}

impl Supervisor {
    /// Serves commands until every handle is gone.
    pub async fn run(mut self, reception: Reception, mut commands: Commands) {
        let mut resting = Resting { reception, listeners: None };
        loop {
            tokio::select! {
                command = commands.next() => match command {
                    None => return,
                    Some(Command::Start(start)) => resting = self.live(start, resting, &mut commands).await,
                    Some(command) => self.answer(command, &mut resting).await,
                },
                heard = resting.next() => resting.hear(heard),
            }
        }
    }

    /// One start by hand, and the restarts that follow from it.
    async fn live(&mut self, start: Start, mut resting: Resting, commands: &mut Commands) -> Resting {
        let mut start = Some(start);
        let was_over = resting.reception.fold.state.is_over();
        let mut cause = if was_over { StartCause::Asked } else { StartCause::Recovery };
        let mut restarts = 0;
        loop {
            let (end, left) = self.one_life(cause, restarts, start.take(), resting, commands).await;
            resting = left;
            let (why, asked) = match end {
                End::Stopped { listen, answer } => {
                    // Known before whoever asked for the stop is answered.
                    self.show_over();
                    tell(answer, Ok(()));
                    if !listen {
                        resting.stop_listening().await;
                    }
                    return resting;
                }
                End::TooOld => {
                    cause = StartCause::Restart;
                    continue;
                }
                End::Failed { why, had_success } => {
                    restarts = if had_success { 0 } else { restarts };
                    cause = StartCause::Restart;
                    (why, None)
                }
                // Not up yet: what it was to be started for is still to be done.
                End::NotStarted { why, answer } => (why, answer),
            };
            if self.is_hopeless(restarts, &*Arc::clone(&resting.reception.journal)).await {
                tracing::error!(%why, restarts, "the process failed and is not started again");
                resting.stop_listening().await;
                self.shown.send_modify(|shown| (shown.base.given_up, shown.base.over) = (true, true));
                tell(asked, Err(self.not_started(&why)));
                return resting;
            }
            restarts += 1;
            let wait = (self.spec.restart.backoff * 2_u32.saturating_pow(restarts - 1)).min(MAX_BACKOFF);
            tracing::warn!(%why, ?wait, "the process failed and will be started again");
            tell(asked, Err(self.not_started(&format!("{why}; it is tried again in {} s", wait.as_secs_f64()))));
            match self.wait_for_restart(wait, commands, &mut resting).await {
                Wake::Restart => {}
                Wake::Start(by_hand) => (start, cause) = (Some(by_hand), StartCause::Asked),
                Wake::Stop => return resting,
            }
        }
    }

    /// A process that failed is not started again by itself.
    async fn is_hopeless(&self, restarts: u32, journal: &dyn Journal) -> bool {
        let restart = &self.spec.restart;
        if self.damage.is_some() || restart.policy == RestartPolicy::Never || restarts >= restart.max_restarts {
            return true;
        }
        // A journal that takes no records any more takes none in the next life either.
        journal.append(Vec::new()).await.is_err_and(|error| matches!(error, flyball_journal::Error::Closed(_)))
    }

    fn not_started(&self, why: &str) -> ControlError {
        ControlError::Failed(format!("{} did not start: {why}", self.spec.name))
    }

    /// Shows that there is no further life, unless someone asks for one.
    fn show_over(&self) {
        self.shown.send_modify(|shown| shown.base.over = true);
    }

    async fn one_life(
        &mut self,
        cause: StartCause,
        restarts: u32,
        start: Option<Start>,
        resting: Resting,
        commands: &mut Commands,
    ) -> (End, Resting) {
        let (deaf, answer) = start.map_or((None, None), |start| (start.deaf, Some(start.answer)));
        match self.begin(cause, restarts, resting, deaf, commands).await {
            Ok(mut life) => {
                self.lent.send_replace(life.parts.as_ref().map(|parts| Arc::clone(&parts.context)));
                tell(answer, Ok(()));
                let end = drive::drive(&mut life, commands).await;
                self.lent.send_replace(None);
                (end, life.rest())
            }
            Err((Unstarted::Failed(why), resting)) => (End::NotStarted { why, answer }, *resting),
            Err((Unstarted::Stopped(Stop { listen, answer: stopped }), resting)) => {
                tell(answer, Err(self.not_started("it was told to stop meanwhile")));
                (End::Stopped { listen, answer: stopped }, *resting)
            }
        }
    }

    /// Listens, and builds the process anew. What other agents say meanwhile is heard, and kept though
    /// it does not come up.
    async fn begin(
        &mut self,
        cause: StartCause,
        restarts: u32,
        resting: Resting,
        deaf: Option<Deaf>,
        commands: &mut Commands,
    ) -> Result<Box<Life>, (Unstarted, Box<Resting>)> {
        if let Some(damage) = &self.damage {
            return Err((Unstarted::Failed(damaged(damage)), Box::new(resting)));
        }
        let journal = Arc::clone(&resting.reception.journal);
        let records = tokio::select! {
            records = self.records(&*journal) => records.map_err(Unstarted::Failed),
            stop = commands.stop() => Err(Unstarted::Stopped(stop)),
        };
        let records = match records {
            Ok(records) => records,
            Err(unstarted) => return Err((unstarted, Box::new(resting))),
        };
        let fold = resting.reception.fold.clone();
        let past = Past { records, fold, journal, cause };
        let (spec, surroundings) = (Arc::clone(&self.spec), self.surroundings.clone());
        let mut life = Box::new(Life::new(spec, surroundings, &past, resting, self.shown.clone(), restarts));
        let up = async {
            life.move_to(LifecycleState::Starting, start_reason(cause))?;
            life.note_recovery(&past)?;
            life.listen(self.blueprint.triggers()?).await?;
            drop(deaf);
            let built = self.build(&past, &mut life).await?;
            life.take_parts(built).await
        };
        let up = tokio::select! {
            up = up => up.map_err(Unstarted::Failed),
            stop = commands.stop() => Err(Unstarted::Stopped(stop)),
        };
        match up {
            Ok(()) => Ok(life),
            Err(unstarted) => {
                life.not_up(&unstarted).await;
                Err((unstarted, Box::new(life.rest())))
            }
        }
    }

    async fn build(&self, past: &Past, life: &mut Life) -> Result<Built, String> {
        let mut built = self.blueprint.build(past);
        loop {
            tokio::select! {
                built = &mut built => return built,
                heard = life.reception.next() => life.reception.take(heard),
            }
        }
    }

    async fn records(&mut self, journal: &dyn Journal) -> Result<Records, String> {
        let found = self.recovered.take();
        if found.is_none() {
            // Waiting for an append brings everything before it to the storage. A disk that is full for a while is no
            // reason to give a process up; who waits for this start can break it off.
            append_patiently(journal, Vec::new(), &CancellationToken::new()).await.map_err(|error| error.to_string())?;
        }
        Ok(Records::new(Arc::clone(&self.surroundings.log), &self.spec.name, found))
    }

    async fn wait_for_restart(&self, wait: Duration, commands: &mut Commands, resting: &mut Resting) -> Wake {
        let elapsed = tokio::time::sleep(wait);
        tokio::pin!(elapsed);
        loop {
            tokio::select! {
                () = &mut elapsed => return Wake::Restart,
                heard = resting.next() => resting.hear(heard),
                command = commands.next() => match command {
                    None => {
                        self.show_over();
                        return Wake::Stop;
                    }
                    Some(Command::Start(start)) => return Wake::Start(start),
                    Some(Command::Stop(Stop { listen, answer })) => {
                        if !listen {
                            resting.stop_listening().await;
                        }
                        self.stopped(resting).await;
                        tell(answer, Ok(()));
                        return Wake::Stop;
                    }
                    Some(other) => self.answer(other, resting).await,
                },
            }
        }
    }

    /// It was to be started again, and someone wants it to stay as it is.
    async fn stopped(&self, resting: &mut Resting) {
        let reception = &mut resting.reception;
        let from = reception.fold.state;
        let stopping = reception.push(transition(from, LifecycleState::Stopping, ASKED_TO_STOP));
        let stopped = reception.append(transition(LifecycleState::Stopping, LifecycleState::Stopped, ASKED_TO_STOP)).await;
        if stopping.is_err() || stopped.is_err() {
            tracing::error!("that the process has stopped could not be recorded");
        }
        self.shown.send_modify(|shown| {
            (shown.base.state, shown.base.reason) = (LifecycleState::Stopped, ASKED_TO_STOP.to_owned());
            shown.base.over = true;
        });
    }

    /// Answers a command while the process is not alive.
    async fn answer(&self, command: Command, resting: &mut Resting) {
        let state = self.shown.borrow().base.state;
        match command {
            Command::Stop(Stop { listen: true, answer }) => tell(answer, Ok(())),
            // Nothing is added to records that are damaged: put right from a copy, they would not go on from there.
            Command::Resolve { .. } | Command::DeadLetter { .. } if let Some(damage) = &self.damage => {
                command.refuse(&damaged(damage));
            }
            Command::Stop(Stop { listen: false, answer }) => {
                resting.stop_listening().await;
                if state == LifecycleState::Failed && self.damage.is_none() {
                    // It stays as it is by somebody's will from now on, and a pause of it is over.
                    self.stopped(resting).await;
                }
                tell(answer, Ok(()));
            }
            Command::StopListening(answer) => {
                resting.stop_listening().await;
                tell(Some(answer), Ok(()));
            }
            // What was decided about the past needs no process that lives.
            Command::Resolve { settlement, answer } => drop(answer.send(resting.reception.settle(settlement).await)),
            Command::DeadLetter { event_id, again, note, answer } => {
                drop(answer.send(resting.reception.see_to(&event_id, again, note).await));
            }
            other => other.refuse(&format!("the process is {state}: start it first")),
        }
    }
}

/// Why a process with this damage does not run.
pub(super) fn damaged(damage: &str) -> String {
    format!("its journal is damaged ({damage}); it will not run on a guess: see `flyball journal verify`")
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
    Start(Start),
    Stop,
}

pub(super) fn tell(answer: Option<Answer<()>>, result: Result<(), ControlError>) {
    if let Some(answer) = answer {
        // Whoever asked may have stopped waiting.
        let _ = answer.send(result);
    }
}

/// The entry for a move between states.
pub(super) fn transition(from: LifecycleState, to: LifecycleState, reason: &str) -> Entry {
    Entry::StateTransition { from_state: from, to_state: to, reason: reason.to_owned() }
}
