//! The one loop of a living process. Everything that can wake it is listed in `drive`.

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{Clock, Directive, RunId, TriggerEvent};
use flyball_journal::{Entry, LifecycleState};
use flyball_triggers::{Offer, Refusal};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinError;

use super::life::{End, IDLE, Life, Pause};
use super::run::{RunEnd, Task};
use super::{Answer, Command};
use crate::{ControlError, Settlement};

/// What the loop does next.
enum Next {
    GoOn,
    Stop { why: String, answer: Option<Answer<()>> },
    Fail { why: String },
    StartAnew,
}

/// Lives until an end.
pub(super) async fn drive(mut life: Life, commands: &mut mpsc::Receiver<Command>) -> End {
    let mut heartbeat = tokio::time::interval(life.spec.heartbeat_interval);
    loop {
        if let Err(why) = life.checkpoint_if_due().and_then(|()| life.begin_runs()) {
            return life.fail(why).await;
        }
        life.publish();
        let due = life.next_due();
        let clock = std::sync::Arc::clone(&life.log_clock);
        let next = tokio::select! {
            command = commands.recv() => match command {
                Some(command) => life.obey(command).await,
                None => Next::Stop { why: "its owner let go of it".into(), answer: None },
            },
            Some(ended) = life.runs.join_next() => life.run_ended(ended),
            arrival = life.inbox.next() => { life.arrived(arrival); Next::GoOn }
            Some(offer) = life.offers.recv() => { life.take_offer(offer); Next::GoOn }
            Some(ended) = life.triggers.join_next() => { life.note_trigger(ended); Next::GoOn }
            () = sleep_until(&*clock, due) => life.on_due(),
            // An error says that the runtime is gone, and with it whoever could shut the gate.
            Ok(()) = life.gate.changed() => Next::GoOn,
            _ = heartbeat.tick() => life.on_heartbeat(),
        };
        match next {
            Next::GoOn => {}
            Next::Stop { why, answer } => {
                let end = life.stop(&why).await;
                if let Some(answer) = answer {
                    let _ = answer.send(Ok(()));
                }
                return end;
            }
            Next::Fail { why } => return life.fail(why).await,
            Next::StartAnew => {
                life.stop("max_lifetime is over").await;
                return End::TooOld;
            }
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
    /// Begins what can begin: runs that were cut off first, then events in the order they came.
    fn begin_runs(&mut self) -> Result<(), String> {
        self.wake_if_idle();
        while self.pause.is_none() && *self.gate.borrow() && self.runs.len() < self.spec.concurrency {
            let Some((run, event, attempt)) = self.next_run() else { break };
            let entry = Entry::InvocationStart { run: run.clone(), event_id: event.event_id.clone(), attempt };
            self.push(entry)?;
            self.busy.insert(event.event_id.clone());
            let Some(parts) = self.parts.clone() else { break };
            // The fold's own tape: what this run records is there if it is run again in this life.
            let tape = self.fold.open_runs.get(&run).map(|open| open.tape.clone()).unwrap_or_default();
            let task = Task {
                run,
                process: self.spec.name.clone(),
                event,
                tape,
                parts,
                journal: std::sync::Arc::clone(&self.journal),
                cancel: self.cancel.clone(),
                deadline: self.spec.max_invocation_time,
            };
            self.runs.spawn(task.run());
        }
        self.show_activity()
    }

    fn next_run(&mut self) -> Option<(RunId, TriggerEvent, u32)> {
        for event in self.fold.open_events.values() {
            if self.busy.contains(&event.event_id) {
                continue;
            }
            let open = self.fold.open_runs.iter().find(|(_, open)| open.event_id == event.event_id);
            match open {
                None => return Some((RunId::fresh(), event.clone(), 1)),
                // What a run waits for may have been answered while the process was down.
                Some((run, open)) if open.held.is_none() || !self.waiting.contains(run) => {
                    return Some((run.clone(), event.clone(), open.attempt + 1));
                }
                Some(_) => {}
            }
        }
        None
    }

    fn show_activity(&mut self) -> Result<(), String> {
        match (self.runs.is_empty(), self.fold.state) {
            (false, LifecycleState::Awaiting | LifecycleState::Suspended) => self.move_to(LifecycleState::Running, "a run is on"),
            (true, LifecycleState::Running) => match self.pause.clone() {
                Some(pause) => self.move_to(LifecycleState::Suspended, &pause.why),
                None => self.move_to(LifecycleState::Awaiting, "waiting for a trigger"),
            },
            (true, LifecycleState::Awaiting) => match self.pause.clone() {
                Some(pause) => self.move_to(LifecycleState::Suspended, &pause.why),
                None => Ok(()),
            },
            (true, LifecycleState::Suspended) if self.pause.is_none() => self.move_to(LifecycleState::Awaiting, "resumed"),
            _ => Ok(()),
        }
    }

    fn wake_if_idle(&mut self) {
        let idle = self.pause.as_ref().is_some_and(|pause| pause.idle);
        if idle && self.fold.open_events.len() > self.busy.len() {
            self.pause = None;
        }
    }

    fn run_ended(&mut self, ended: Result<RunEnd, JoinError>) -> Next {
        self.last_work = self.now();
        let end = match ended {
            Ok(end) => end,
            Err(error) => return Next::Fail { why: format!("a run's task ended badly: {error}") },
        };
        self.busy.remove(&end.event_id);
        if let Some(why) = end.lost {
            return Next::Fail { why: format!("a run's end could not be recorded: {why}") };
        }
        if let Some(entry) = end.recorded {
            if let Entry::InvocationHeld { run, .. } = &entry {
                self.waiting.insert(run.clone());
            }
            self.fold.apply(0, self.last_work, &entry);
        }
        match end.outcome {
            Some(outcome) => {
                self.had_success = true;
                self.obey_directive(outcome.directive)
            }
            None if self.fold.consecutive_failures >= self.spec.max_consecutive_failures => {
                Next::Fail { why: format!("{} runs in a row failed", self.fold.consecutive_failures) }
            }
            None => Next::GoOn,
        }
    }

    fn obey_directive(&mut self, directive: Directive) -> Next {
        match directive {
            Directive::Continue => Next::GoOn,
            Directive::Pause { why, until } => {
                self.pause = Some(Pause { why, until, idle: false });
                Next::GoOn
            }
            Directive::Stop { why } => Next::Stop { why, answer: None },
        }
    }

    async fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Start(answer) => drop(answer.send(Err(ControlError::State("the process is alive already".into())))),
            Command::Stop(answer) => return Next::Stop { why: "asked to stop".into(), answer: Some(answer) },
            Command::Pause { why, answer } => {
                self.pause = Some(Pause { why, until: None, idle: false });
                let _ = answer.send(Ok(()));
            }
            Command::Resume(answer) => {
                self.pause = None;
                let _ = answer.send(Ok(()));
            }
            Command::Put { key, value, source, answer } => drop(answer.send(self.put(&key, value, &source).await)),
            Command::Resolve { settlement, answer } => drop(answer.send(self.resolve(settlement).await)),
            Command::Inject { event, answer } => self.take_offer(Offer { event, answer }),
            Command::Layer { layer, request, body, answer } => drop(answer.send(self.ask_layer(&layer, &request, &body))),
        }
        Next::GoOn
    }

    /// Writes to the agent's state from outside of any run.
    async fn put(&mut self, key: &str, value: Value, source: &str) -> Result<(), ControlError> {
        let Some(parts) = &self.parts else { return Err(ControlError::State("the process is not up".into())) };
        let state = std::sync::Arc::clone(parts.context.state());
        let change = state.change(key, value, source, self.now()).map_err(|error| ControlError::State(error.to_string()))?;
        let entry = Entry::ContextUpdate { changes: vec![change.clone()] };
        let recorded = self.journal.append(vec![entry.clone()]).await;
        let seq = recorded.map_err(|error| ControlError::Failed(format!("it could not be recorded: {error}")))?;
        self.fold.apply(seq, self.now(), &entry);
        state.apply(&change);
        Ok(())
    }

    /// Records what an operator says of a call in doubt, and lets the run go on.
    async fn resolve(&mut self, settlement: Settlement) -> Result<(), ControlError> {
        let Settlement { run, step, decision, note } = settlement;
        let Some(open) = self.fold.open_runs.get(&run).filter(|open| open.held.is_some()) else {
            return Err(ControlError::State(format!("no run {run} is held: see `flyball indoubt`")));
        };
        if !open.tape.in_doubt(&step) {
            return Err(ControlError::State(format!("call {step} of run {run} is not in doubt: see `flyball indoubt`")));
        }
        let entry = Entry::Settled { run: run.clone(), event_id: open.event_id.clone(), step, decision, note };
        let recorded = self.journal.append(vec![entry.clone()]).await;
        let seq = recorded.map_err(|error| ControlError::Failed(format!("it could not be recorded: {error}")))?;
        self.fold.apply(seq, self.now(), &entry);
        self.waiting.remove(&run);
        Ok(())
    }

    fn ask_layer(&self, name: &str, request: &str, body: &Value) -> Result<Value, ControlError> {
        let layers = self.parts.as_ref().map(|parts| parts.layers.as_slice()).unwrap_or_default();
        match layers.iter().find(|layer| layer.name() == name) {
            Some(layer) => layer.command(request, body).map_err(ControlError::State),
            None => {
                let known: Vec<&str> = layers.iter().map(|layer| layer.name()).collect();
                Err(ControlError::State(format!("no layer is named '{name}'; there are: {}", known.join(", "))))
            }
        }
    }

    /// The next instant at which something is due though nothing happens.
    fn next_due(&self) -> Option<DateTime<Utc>> {
        let layers = self.parts.iter().flat_map(|parts| &parts.layers).filter_map(|layer| layer.due());
        // What was due and is done with must not wake the loop again and again.
        let ahead = layers.map(|due| due.at).filter(|at| *at > self.due_done);
        ahead.chain(self.pause.as_ref().and_then(|pause| pause.until)).min()
    }

    fn on_due(&mut self) -> Next {
        let now = self.now();
        if self.pause.as_ref().and_then(|pause| pause.until).is_some_and(|until| until <= now) {
            self.pause = None;
        }
        let layers = self.parts.iter().flat_map(|parts| &parts.layers);
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
        let quiet = self.runs.is_empty() && self.fold.open_events.is_empty() && self.pause.is_none();
        if quiet && self.spec.idle_timeout.is_some_and(|limit| longer(self.now() - self.last_work, limit)) {
            self.pause = Some(Pause { why: IDLE.into(), until: None, idle: true });
        }
        Next::GoOn
    }

    fn note_trigger(&mut self, ended: Result<(usize, String), JoinError>) {
        match ended {
            Ok((index, error)) => self.trigger_ended(index, error),
            Err(error) => tracing::error!(process = %self.spec.name, %error, "a trigger's task ended badly"),
        }
    }

    /// Ends in order: no more events, runs end at their next step, what is under way gets its time.
    async fn stop(&mut self, why: &str) -> End {
        let _ = self.move_to(LifecycleState::Stopping, why);
        self.triggers.shutdown().await;
        self.cancel.cancel();
        self.drain().await;
        match self.end(LifecycleState::Stopped, why).await {
            Ok(()) => End::Stopped,
            Err(error) => End::Failed { why: error, had_success: self.had_success },
        }
    }

    async fn fail(&mut self, why: String) -> End {
        self.triggers.shutdown().await;
        self.cancel.cancel();
        self.drain().await;
        let _ = self.end(LifecycleState::Failed, &why).await;
        End::Failed { why, had_success: self.had_success }
    }

    /// Gives what is under way its time. Whoever offers an event meanwhile is answered at once: it may
    /// be one of our own runs, or a process that is stopping too and waits for us.
    async fn drain(&mut self) {
        let deadline = tokio::time::sleep(self.spec.drain_timeout);
        tokio::pin!(deadline);
        while !(self.runs.is_empty() && self.inbox.is_empty()) {
            tokio::select! {
                // Directives no longer matter; what was recorded does.
                Some(ended) = self.runs.join_next() => drop(self.run_ended(ended)),
                // It is on its way to the disk, and waits there for the next start.
                arrival = self.inbox.next() => self.arrived(arrival),
                Some(offer) = self.offers.recv() => refuse(offer),
                () = &mut deadline => break,
            }
        }
        // What is still on is cut off here as by a crash, and goes on at the next start.
        self.runs.shutdown().await;
        self.offers.close();
        while let Ok(offer) = self.offers.try_recv() {
            refuse(offer);
        }
    }
}

fn refuse(offer: Offer) {
    // Who stopped waiting needs no answer.
    let _ = offer.answer.send(Err(Refusal::Closed));
}

fn longer(time: TimeDelta, limit: std::time::Duration) -> bool {
    time.to_std().is_ok_and(|time| time >= limit)
}
