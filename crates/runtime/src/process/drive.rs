//! The one loop of a living process. Everything that can wake it is listed in `drive`.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{Clock, Directive, RunId, TriggerEvent};
use flyball_journal::{Appended, Entry, IDLE};
use futures::FutureExt;
use serde_json::Value;
use tokio::task::JoinError;
use tracing::Instrument;

use super::commands::{Answer, Command, Commands, Start, Stop};
use super::life::{ASKED_TO_STOP, End, Life};
use super::next_run::{Choice, Known};
use super::pausing::Pause;
use super::reception::Heard;
use super::run::{RunEnd, Task};

use crate::ControlError;

/// What the loop does next.
pub(super) enum Next {
    GoOn,
    Stop { why: String, listen: bool, answer: Option<Answer<()>> },
    Fail { why: String },
    StartAnew,
}

impl Next {
    /// The first that is not to go on.
    pub fn or(self, later: Self) -> Self {
        if matches!(self, Self::GoOn) { later } else { self }
    }
}

/// What has arrived is seen to in one go, up to this many: then the others have their turn.
const HEARD_AT_ONCE: usize = 64;

/// A full disk is looked at again after this time.
const FULL_WAIT: TimeDelta = TimeDelta::seconds(1);

/// Lives until an end.
pub(super) async fn drive(life: &mut Life, commands: &mut Commands) -> End {
    let mut heartbeat = tokio::time::interval(life.spec.heartbeat_interval);
    loop {
        if let Err(why) = life.checkpoint_if_due().and_then(|()| life.begin_runs()) {
            return life.fail(why).await;
        }
        life.publish();
        // A clock that was set back has it all before it again.
        life.due_done = life.due_done.min(life.now());
        let due = life.next_due();
        let clock = Arc::clone(&life.clock);
        let next = tokio::select! {
            command = commands.next() => match command {
                Some(command) => life.obey(command).await,
                None => Next::Stop { why: "its owner let go of it".into(), listen: false, answer: None },
            },
            Some(ended) = life.runs.join_next() => life.run_ended(ended),
            heard = life.reception.next() => life.hear(heard),
            ended = life.listeners.next_ended() => { life.listeners.ended(ended); Next::GoOn }
            () = sleep_until(&*clock, due) => life.on_due().await,
            // An error says that the runtime is gone, and with it whoever could shut the gate.
            Ok(()) = life.gate.changed() => Next::GoOn,
            _ = heartbeat.tick() => life.on_heartbeat(),
        };
        match next {
            Next::GoOn => {}
            Next::Stop { why, listen, answer } => return life.stop(&why, listen, answer).await,
            Next::Fail { why } => return life.fail(why).await,
            Next::StartAnew => return life.start_anew().await,
        }
    }
}

async fn sleep_until(clock: &dyn Clock, due: Option<DateTime<Utc>>) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Life {
    fn hear(&mut self, first: Heard) -> Next {
        self.reception.take(first);
        for _ in 1..HEARD_AT_ONCE {
            let Some(heard) = self.reception.next().now_or_never() else { break };
            self.reception.take(heard);
        }
        Next::GoOn
    }

    /// Begins what can begin: runs that were cut off first, then events in the order they came.
    fn begin_runs(&mut self) -> Result<(), String> {
        self.wake_if_idle();
        while self.may_begin() {
            match self.choose() {
                Choice::Expire { event_id, why } => self.reception.push(Entry::Expired { event_id, why })?,
                _ if self.pause.is_some() => break,
                Choice::Begin { run, event, attempt } => self.begin_run(run, event, attempt)?,
                Choice::GiveUp { run, event_id, why } => {
                    tracing::error!(%run, %why, "an event is a dead letter");
                    self.reception.push(Entry::Error { run, event_id, error: why, last: true, retry_at: None })?;
                }
                Choice::Nothing => break,
            }
        }
        self.show_activity()
    }

    fn may_begin(&self) -> bool {
        let has_place = self.under_way() < self.spec.concurrency && self.waits_for_checkpoint().is_none();
        *self.gate.borrow() && has_place && !self.reception.journal.is_full()
    }

    fn choose(&self) -> Choice {
        let is_serial = |trigger: &str| self.listeners.is_serial(trigger);
        self.known(&is_serial).choose(&self.reception.fold)
    }

    fn known<'a>(&'a self, is_serial: &'a dyn Fn(&str) -> bool) -> Known<'a> {
        Known {
            process: &self.spec.name,
            delivery: &self.spec.delivery,
            busy: &self.busy,
            waiting: &self.waiting,
            is_serial,
            now: self.now(),
        }
    }

    fn begin_run(&mut self, run: RunId, event: TriggerEvent, attempt: u32) -> Result<(), String> {
        let Some(parts) = self.parts.clone() else { return Err("its parts are gone".into()) };
        let tries = self.spec.delivery.max_retries.saturating_add(1);
        let again = self.reception.fold.open_runs.get(&run).map(|open| open.again(tries));
        self.reception.push(Entry::InvocationStart { run: run.clone(), event_id: event.event_id.clone(), attempt, again })?;
        self.busy.insert(event.event_id.clone());
        // The fold's own tape: what this run records is there if it is run again in this life.
        let open = self.reception.fold.open_runs.get(&run);
        let (tape, failures) = open.map(|open| (open.tape.clone(), open.failures)).unwrap_or_default();
        if self.reception.fold.doubtful.contains(&event.event_id) && self.doubted.insert(run.clone()) {
            tape.lose_end();
        }
        let task = Task {
            run,
            process: self.spec.name.clone(),
            event,
            tape,
            parts,
            journal: Arc::clone(&self.reception.journal),
            recording: self.ends.recording(),
            clock: Arc::clone(&self.clock),
            cancel: self.cancel.clone(),
            cut: self.cut.clone(),
            deadline: self.spec.max_invocation_time,
            delivery: self.spec.delivery,
            failures,
        };
        self.runs.spawn(task.run().map(Some).in_current_span());
        Ok(())
    }

    pub fn run_ended(&mut self, ended: Result<Option<RunEnd>, JoinError>) -> Next {
        let ends = match ended {
            Ok(None) => return Next::GoOn,
            Ok(Some(end)) if end.recorded.is_none() => vec![end],
            Ok(Some(end)) => self.ends.add(end),
            Err(error) => return Next::Fail { why: format!("a run's task ended badly: {error}") },
        };
        self.see_to_all(ends)
    }

    /// All of them are recorded. What the first says that ends the life is done.
    pub fn see_to_all(&mut self, ends: Vec<RunEnd>) -> Next {
        ends.into_iter().fold(Next::GoOn, |first, end| first.or(self.see_to(end)))
    }

    fn see_to(&mut self, end: RunEnd) -> Next {
        self.last_work = self.now();
        self.busy.remove(&end.event_id);
        if let Some(why) = end.lost {
            return Next::Fail { why: format!("a run's end could not be recorded: {why}") };
        }
        let mut for_good = false;
        if let Some((Appended { seq, at }, entry)) = end.recorded {
            for_good = matches!(entry, Entry::Error { last: true, .. });
            if let Entry::InvocationHeld { run, .. } = &entry {
                self.waiting.insert(run.clone());
            }
            self.reception.apply(seq, at, entry);
        }
        if let (Some((exchange, changes)), Some(parts)) = (end.finish, &self.parts) {
            let context = Arc::clone(&parts.context);
            let mut finishing = Box::pin(async move { context.finish(exchange, &changes).await });
            // Its first step is done here, in the order of the ends. A memory is not waited for, but the run's
            // place is kept until it is stored.
            if (&mut finishing).now_or_never().is_none() {
                let cut = self.cut.clone();
                let kept = async move {
                    tokio::select! {
                        () = finishing => None,
                        () = cut.cancelled() => None,
                    }
                };
                self.runs.spawn(kept.in_current_span());
            }
        }
        let failures = self.reception.fold.consecutive_failures;
        match end.outcome {
            Some(outcome) => {
                self.had_success = true;
                self.obey_directive(outcome.directive)
            }
            None if for_good && failures >= self.spec.max_consecutive_failures => {
                let runs = if failures == 1 { "a run".to_owned() } else { format!("{failures} runs in a row") };
                Next::Fail { why: format!("{runs} failed") }
            }
            None => self.obey_directive(self.owed()),
        }
    }

    /// What layers ask for after a run that could not say it.
    fn owed(&self) -> Directive {
        let layers = self.parts.iter().flat_map(|parts| parts.layers.iter());
        let mut directive = Directive::Continue;
        layers.for_each(|layer| directive.raise(layer.after_failure()));
        directive
    }

    fn obey_directive(&mut self, directive: Directive) -> Next {
        match directive {
            Directive::Continue => Next::GoOn,
            Directive::Pause { why, until } => {
                self.pause_until(why, until);
                Next::GoOn
            }
            Directive::Stop { why } => Next::Stop { why, listen: false, answer: None },
        }
    }

    async fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Start(Start { answer, .. }) | Command::StopListening(answer) => {
                drop(answer.send(Err(ControlError::State("the process is alive already".into()))));
            }
            Command::Stop(Stop { listen, answer }) => return Next::Stop { why: ASKED_TO_STOP.into(), listen, answer },
            Command::Pause { why, answer } => {
                drop(answer.send(self.pause(&why).await));
            }
            Command::Resume(answer) => drop(answer.send(self.resume().await)),
            Command::Put { key, value, source, answer } => drop(answer.send(self.put(&key, value, &source).await)),
            Command::Resolve { settlement, answer } => {
                let run = settlement.run.clone();
                let settled = self.reception.settle(settlement).await;
                let still_held = self.reception.fold.open_runs.get(&run).is_some_and(|open| open.held.is_some());
                if settled.is_ok() && !still_held {
                    self.waiting.remove(&run);
                }
                let _ = answer.send(settled);
            }
            Command::DeadLetter { event_id, again, note, answer } => {
                drop(answer.send(self.reception.see_to(&event_id, again, note).await));
            }
            Command::Inject { event, answer } => self.reception.inject(event, answer),
            Command::Layer { layer, request, body, answer } => drop(answer.send(self.ask_layer(&layer, &request, &body).await)),
        }
        Next::GoOn
    }

    /// Writes to the agent's state from outside of any run.
    async fn put(&mut self, key: &str, value: Value, source: &str) -> Result<(), ControlError> {
        let Some(parts) = &self.parts else { return Err(ControlError::State("the process is not up".into())) };
        let state = Arc::clone(parts.context.state());
        let change = state.change(key, value, source, self.now()).map_err(|error| ControlError::State(error.to_string()))?;
        self.reception.append(Entry::ContextUpdate { changes: vec![change.clone()] }).await?;
        state.apply(&change);
        Ok(())
    }

    /// The answer comes when what the layer wrote down for it is durable: a yes is kept.
    async fn ask_layer(&mut self, name: &str, request: &str, body: &Value) -> Result<Value, ControlError> {
        let layers = self.parts.as_ref().map(|parts| &*parts.layers).unwrap_or_default();
        let Some(layer) = layers.iter().find(|layer| layer.name() == name) else {
            let known: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
            return Err(ControlError::State(format!("no layer is named '{name}'; there are: {}", known.join(", "))));
        };
        let answer = layer.command(request, body).map_err(ControlError::State)?;
        let durable = self.reception.journal.append(Vec::new()).await;
        durable.map_err(|error| ControlError::Failed(format!("done, and not yet recorded: {error}")))?;
        Ok(answer)
    }

    /// The next instant at which something is due though nothing happens.
    fn next_due(&self) -> Option<DateTime<Utc>> {
        let layers = self.parts.iter().flat_map(|parts| parts.layers.iter()).filter_map(|layer| layer.due());
        // What was due and is done with must not wake the loop again and again.
        let ahead = layers.map(|due| due.at).filter(|at| *at > self.due_done);
        let is_serial = |_: &str| false;
        let waiting = self.known(&is_serial).due(&self.reception.fold);
        let waiting = waiting.filter(|at| *at > self.due_done && self.under_way() < self.spec.concurrency);
        let full = self.reception.journal.is_full().then(|| self.now() + FULL_WAIT);
        ahead
            .chain(self.pause.as_ref().and_then(|pause| pause.until))
            .chain(waiting)
            .chain(full)
            .chain(self.waits_for_checkpoint())
            .min()
    }

    async fn on_due(&mut self) -> Next {
        let now = self.now();
        if self.reception.journal.is_full() {
            // Whoever asks makes it look whether there is room again.
            let _ = self.reception.journal.append(Vec::new()).await;
        }
        if self.pause.as_ref().and_then(|pause| pause.until).is_some_and(|until| until <= now) {
            self.pause = None;
        }
        let layers = self.parts.iter().flat_map(|parts| parts.layers.iter());
        let mut directive = Directive::Continue;
        for due in layers.filter_map(|layer| layer.due()).filter(|due| due.at <= now && due.at > self.due_done) {
            directive.raise(due.directive);
        }
        self.due_done = now;
        self.obey_directive(directive)
    }

    fn on_heartbeat(&mut self) -> Next {
        self.heartbeat();
        if self.spec.max_lifetime.is_some_and(|limit| longer(self.age(), limit)) {
            return Next::StartAnew;
        }
        let quiet = self.runs.is_empty() && self.reception.fold.open_events.is_empty() && self.pause.is_none();
        if quiet && self.spec.idle_timeout.is_some_and(|limit| longer(self.now() - self.last_work, limit)) {
            self.pause = Some(Pause { why: IDLE.into(), until: None, idle: true });
        }
        Next::GoOn
    }
}

fn longer(time: TimeDelta, limit: std::time::Duration) -> bool {
    time.to_std().is_ok_and(|time| time >= limit)
}
