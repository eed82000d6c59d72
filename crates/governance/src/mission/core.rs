//! The mission's memory, its judge, and its limits.

use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use flyball_core_agent::text::one_line;
use flyball_core_agent::{CallError, Clock, Directive, Due, Error, Model, Note, Outcome, Run, RunId, StepId, TriggerEvent, Turn};
use flyball_journal::{Journal, Record};
use serde_json::{Value, json};

use super::config::{MissionConfig, OnComplete};
use super::evidence;
use super::state::{Fact, LAYER, MissionState, MissionStatus, mission_state};
use super::verdict::{self, Decision, Verdict};
use crate::journalling::Notes;
use crate::{Facts, Notice, Notify};

/// What every wrapper of one mission shares.
pub(super) struct Core {
    config: MissionConfig,
    judge: Arc<dyn Model>,
    clock: Arc<dyn Clock>,
    notes: Notes,
    notify: Arc<dyn Notify>,
    facts: Arc<dyn Facts>,
    state: Mutex<MissionState>,
    process: Mutex<String>,
}

impl Core {
    #[expect(clippy::too_many_arguments, reason = "each is one thing of the outside world, and there is one caller")]
    pub(super) fn new(
        config: MissionConfig,
        judge: Arc<dyn Model>,
        clock: Arc<dyn Clock>,
        journal: Arc<dyn Journal>,
        notify: Arc<dyn Notify>,
        facts: Arc<dyn Facts>,
        recovered: &[Record],
    ) -> Self {
        let process = recovered.first().map(|record| record.process.clone()).unwrap_or_default();
        let notes = Notes::new(LAYER, journal);
        let state = Mutex::new(mission_state(recovered));
        Self { config, judge, clock, notes, notify, facts, state, process: Mutex::new(process) }
    }

    /// Begins a new episode where none is on, or where the one that is on has another goal.
    pub(super) fn begin(&self) -> Result<(), flyball_journal::Error> {
        self.lapse()?;
        let mut state = self.lock();
        let on = matches!(state.status, MissionStatus::Active | MissionStatus::Paused);
        if on && state.objective == self.config.objective {
            return Ok(());
        }
        let (episode, objective) = (state.episode + 1, self.config.objective.clone());
        self.record(&mut state, None, &Fact::Started { episode, at: self.clock.now(), objective })
    }

    /// Looks at a run before it begins. An outcome is its end: it must not begin.
    pub(super) fn open(&self, run: &Run) -> Result<Option<Outcome>, flyball_journal::Error> {
        run.process().clone_into(&mut self.process.lock().expect("no holder of the name panics"));
        if self.lock().status == MissionStatus::Idle {
            self.begin()?;
        }
        self.lapse()?;
        let state = self.lock();
        // A run that was counted before a crash is gone through again, to the same end.
        if state.status == MissionStatus::Failed && state.number_of(run.id()).is_none() {
            let reply = format!("not run: the mission failed: {}", state.reason);
            return Ok(Some(Outcome { reply, directive: failure(&state.reason), ..Outcome::default() }));
        }
        Ok(None)
    }

    /// What the agent is told of its mission.
    pub(super) fn note(&self) -> Note {
        let state = self.lock();
        let max = self.config.max_invocations;
        let runs = if max == 0 { state.invocations.to_string() } else { format!("{}/{max}", state.invocations) };
        let mut lines = vec![
            format!("Objective: {}", self.config.objective),
            format!("Success criteria: {}", self.config.success_criteria),
            format!("Progress: {runs} runs completed; the mission is {}", status_name(state.status)),
        ];
        if let Some(deadline) = self.deadline(&state) {
            lines.push(format!("Deadline: {}", deadline.to_rfc3339()));
        }
        if let Some(last) = &state.last_evaluation {
            let verdict = &last.verdict;
            let achieved = if verdict.achieved { "achieved" } else { "not achieved" };
            let (why, progress) = (one_line(&verdict.reasoning, 200), one_line(&verdict.progress_summary, 500));
            lines.push(format!("Last evaluation: {achieved} (confidence {:.2}): {why}", verdict.confidence));
            lines.push(format!("Progress summary: {progress}"));
        }
        Note::new("Mission", lines.join("\n"))
    }

    /// Looks at a run that was completed: counts it, judges, and holds it against the limits.
    pub(super) async fn close(&self, run: &Run, event: &TriggerEvent, outcome: &mut Outcome) -> Result<(), Error> {
        // Without a single turn another policy did not let the run begin: there is nothing to judge.
        if outcome.turns == 0 {
            return Ok(());
        }
        let Some(n) = self.count(run.id()).map_err(failed)? else { return Ok(()) };
        if self.config.is_judged(n) {
            let directive = self.evaluate(run, event, n, &outcome.reply).await?;
            outcome.directive.raise(directive);
        }
        outcome.directive.raise(self.hold_against_limits(n).map_err(failed)?);
        Ok(())
    }

    pub(super) fn status(&self) -> Value {
        self.lapse_or_warn();
        let state = self.lock();
        let mut status = json!(*state);
        status["state"] = status["status"].take();
        if let Some(map) = status.as_object_mut() {
            // These are for the next start, and not for whoever looks.
            for hidden in ["status", "paused_at", "counted"] {
                map.remove(hidden);
            }
        }
        status["max_invocations"] = json!(self.config.max_invocations);
        status["deadline"] = json!(self.deadline(&state));
        status
    }

    /// How far it has come, for a checkpoint between two runs.
    pub(super) fn snapshot(&self) -> Value {
        json!(*self.lock())
    }

    /// The deadline of a mission that is on; the end of one that is over, for a process that still lives.
    pub(super) fn due(&self) -> Option<Due> {
        self.lapse_or_warn();
        let state = self.lock();
        match state.status {
            MissionStatus::Active => {
                let at = self.deadline(&state)?;
                Some(Due { at, directive: failure(&timeout(&self.config)) })
            }
            MissionStatus::Failed => Some(Due { at: state.ended_at?, directive: failure(&state.reason) }),
            MissionStatus::Completed if self.config.on_complete.unwrap_or_default() == OnComplete::Stop => {
                Some(Due { at: state.ended_at?, directive: verdict::completion(&self.config) })
            }
            MissionStatus::Idle | MissionStatus::Paused | MissionStatus::Completed => None,
        }
    }

    pub(super) fn command(&self, request: &str, body: &Value) -> Result<Value, String> {
        let at = self.clock.now();
        let reason = body.get("reason").and_then(Value::as_str).unwrap_or("by an operator").to_owned();
        self.lapse().map_err(|error| error.to_string())?;
        let mut state = self.lock();
        let (fact, possible) = match request {
            "complete" => (Fact::Completed { at, reason }, is_on(state.status)),
            "fail" => (Fact::Failed { at, reason }, is_on(state.status)),
            "pause" => (Fact::Paused { at, reason }, state.status == MissionStatus::Active),
            "resume" => (Fact::Resumed { at }, state.status == MissionStatus::Paused),
            other => return Err(format!("a mission takes complete, fail, pause and resume, and no '{other}'")),
        };
        if !possible {
            return Err(format!("cannot {request} a mission that is {}", status_name(state.status)));
        }
        self.record(&mut state, None, &fact).map_err(|error| error.to_string())?;
        Ok(json!({ "state": state.status }))
    }

    /// As which of the episode's completed runs `run` is counted, once however often it is resumed. None
    /// where the mission is not on.
    fn count(&self, run: &RunId) -> Result<Option<u32>, flyball_journal::Error> {
        let mut state = self.lock();
        if let Some(n) = state.number_of(run) {
            return Ok(Some(n));
        }
        if state.status != MissionStatus::Active {
            return Ok(None);
        }
        let n = state.invocations + 1;
        self.record(&mut state, Some(run), &Fact::Ran { n })?;
        Ok(Some(n))
    }

    async fn evaluate(&self, run: &Run, event: &TriggerEvent, n: u32, reply: &str) -> Result<Directive, Error> {
        match self.ask_twice(run, event, reply).await? {
            Ok(verdict) => self.conclude(run, n, verdict).await.map_err(failed),
            Err(Silence::Said(why)) => {
                self.no_verdict(run, n, &why).await.map_err(failed)?;
                Ok(Directive::Continue)
            }
            Err(Silence::Halted(directive)) => {
                self.no_verdict(run, n, "the judge was halted by another policy").await.map_err(failed)?;
                Ok(directive)
            }
        }
    }

    /// Asks the judge, and once more where its answer cannot be read or did not come.
    async fn ask_twice(&self, run: &Run, event: &TriggerEvent, reply: &str) -> Result<Result<Verdict, Silence>, Error> {
        let mission = self.lock().clone();
        let messages = evidence::question(&self.config, &mission, run, event, &self.facts.state(run), reply);
        let mut why = String::new();
        for step in ["judge", "judge.2"] {
            let turn = Turn { run: run.clone(), step: StepId(step.into()), messages: messages.clone(), tools: Vec::new() };
            match self.judge.reply(&turn).await {
                Ok(answer) => match Verdict::parse(&answer.text) {
                    Ok(verdict) => return Ok(Ok(verdict)),
                    Err(error) => why = error,
                },
                Err(CallError::Failed(failure)) => why = failure.message,
                Err(CallError::Halt(directive)) => return Ok(Err(Silence::Halted(directive))),
                Err(CallError::Park(why)) => return Err(Error::Parked(why)),
                Err(CallError::Abort(why)) => return Err(Error::Failed(why)),
                Err(CallError::Cancelled) => return Err(Error::Cancelled),
            }
        }
        Ok(Err(Silence::Said(why)))
    }

    async fn conclude(&self, run: &Run, n: u32, verdict: Verdict) -> Result<Directive, flyball_journal::Error> {
        let decision = verdict::decide(&self.config, &verdict);
        let directive = verdict::directive(&self.config, decision, &verdict);
        let at = self.clock.now();
        let mut body = json!(verdict);
        body["run"] = json!(run.id());
        let (news, completed) = {
            let mut state = self.lock();
            let news = !state.is_judged(run.id());
            if news {
                self.record(&mut state, Some(run.id()), &Fact::Evaluated { n, at, verdict, decision })?;
            }
            // A resumed run, or one beside it, may have completed the mission before.
            let completed = decision == Decision::Complete && is_on(state.status);
            if completed {
                self.record(&mut state, Some(run.id()), &Fact::Completed { at, reason: "the judge says so".into() })?;
            }
            (news, completed)
        };
        if completed {
            self.tell("mission.completed", body).await;
        } else if news && matches!(decision, Decision::LowConfidence | Decision::Achieved) {
            let kind = if decision == Decision::Achieved { "mission.achieved" } else { "mission.low_confidence" };
            self.tell(kind, body).await;
        }
        Ok(directive)
    }

    async fn no_verdict(&self, run: &Run, n: u32, why: &str) -> Result<(), flyball_journal::Error> {
        let why = one_line(why, 500);
        {
            let mut state = self.lock();
            if state.is_judged(run.id()) {
                return Ok(());
            }
            self.record(&mut state, Some(run.id()), &Fact::NoVerdict { n, why: why.clone() })?;
        }
        self.tell("mission.no_verdict", json!({"run": run.id(), "why": why})).await;
        Ok(())
    }

    fn hold_against_limits(&self, n: u32) -> Result<Directive, flyball_journal::Error> {
        let spent = format!("{n} runs are completed (max_invocations {})", self.config.max_invocations);
        if self.config.is_last(n) {
            self.fail_if_on(self.clock.now(), &spent)?;
        }
        self.lapse()?;
        let state = self.lock();
        Ok(if state.status == MissionStatus::Failed { failure(&state.reason) } else { Directive::Continue })
    }

    /// Fails a mission whose time is over.
    fn lapse(&self) -> Result<(), flyball_journal::Error> {
        let deadline = self.deadline(&self.lock());
        match deadline.filter(|deadline| self.clock.now() >= *deadline) {
            Some(deadline) => self.fail_if_on(deadline, &timeout(&self.config)),
            None => Ok(()),
        }
    }

    fn lapse_or_warn(&self) {
        if let Err(error) = self.lapse() {
            tracing::warn!(%error, "the mission's failure could not be written down");
        }
    }

    fn fail_if_on(&self, at: DateTime<Utc>, reason: &str) -> Result<(), flyball_journal::Error> {
        let mut state = self.lock();
        if state.status != MissionStatus::Active {
            return Ok(());
        }
        self.record(&mut state, None, &Fact::Failed { at, reason: reason.to_owned() })?;
        drop(state);
        self.tell_soon("mission.failed", json!({ "reason": reason }));
        Ok(())
    }

    fn record(&self, state: &mut MissionState, run: Option<&RunId>, fact: &Fact) -> Result<(), flyball_journal::Error> {
        self.notes.push(run, fact)?;
        state.add(run, fact);
        Ok(())
    }

    async fn tell(&self, kind: &str, body: Value) {
        let target = self.config.escalation.clone().unwrap_or_default();
        self.notify.notify(&target, self.notice(kind, body)).await;
    }

    /// Tells from where nothing can be awaited.
    fn tell_soon(&self, kind: &str, body: Value) {
        let (target, notice) = (self.config.escalation.clone().unwrap_or_default(), self.notice(kind, body));
        let notify = Arc::clone(&self.notify);
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => drop(handle.spawn(async move { notify.notify(&target, notice).await })),
            Err(_) => tracing::warn!(kind, "nobody can be told outside of the runtime"),
        }
    }

    fn notice(&self, kind: &str, body: Value) -> Notice {
        let process = self.process.lock().expect("no holder of the name panics").clone();
        Notice { kind: kind.into(), process, at: self.clock.now(), body }
    }

    fn deadline(&self, state: &MissionState) -> Option<DateTime<Utc>> {
        self.config.deadline(state.started_at?)
    }

    fn lock(&self) -> MutexGuard<'_, MissionState> {
        self.state.lock().expect("no holder of the mission panics")
    }
}

/// Why there is no verdict.
enum Silence {
    /// The judge failed, or its answers cannot be read.
    Said(String),
    /// Another policy ended the run.
    Halted(Directive),
}

fn failed(error: flyball_journal::Error) -> Error {
    Error::Failed(error.to_string())
}

fn failure(reason: &str) -> Directive {
    Directive::stop(format!("mission failed: {reason}"))
}

fn timeout(config: &MissionConfig) -> String {
    format!("timeout after {} hours", config.timeout_hours)
}

fn is_on(status: MissionStatus) -> bool {
    matches!(status, MissionStatus::Active | MissionStatus::Paused)
}

fn status_name(status: MissionStatus) -> &'static str {
    match status {
        MissionStatus::Idle => "idle",
        MissionStatus::Active => "active",
        MissionStatus::Paused => "paused",
        MissionStatus::Completed => "completed",
        MissionStatus::Failed => "failed",
    }
}
