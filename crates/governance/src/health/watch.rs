//! Health's memory: bounded windows, and what was found.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{Clock, Directive, Run, ToolCall};
use flyball_journal::Journal;
use serde_json::{Value, json};

use super::config::{HealthConfig, OnAnomaly};
use super::detect::{self, Anomaly, Seen};
use crate::journalling::Notes;
use crate::owed::Owed;
use crate::{Notice, Notify};

/// What every wrapper of one health layer shares.
pub(super) struct Watch {
    config: HealthConfig,
    clock: Arc<dyn Clock>,
    notes: Notes,
    notify: Arc<dyn Notify>,
    process: Mutex<ProcessWindow>,
    pub(super) owed: Owed,
}

/// What is seen over many runs.
#[derive(Default)]
struct ProcessWindow {
    answers: VecDeque<usize>,
    failures: VecDeque<bool>,
    found: VecDeque<Found>,
}

struct Found {
    at: DateTime<Utc>,
    identity: String,
    what: String,
}

/// The newest anomalies that are kept for the operator and for their cooldown.
const MAX_FOUND: usize = 100;

/// How many of them the status shows.
const MAX_SHOWN: usize = 10;

/// What health keeps in a run.
#[derive(Default)]
pub(super) struct RunHealth(Mutex<RunWindow>);

#[derive(Default)]
struct RunWindow {
    calls: VecDeque<Seen>,
    pending: Directive,
}

impl RunHealth {
    fn lock(&self) -> MutexGuard<'_, RunWindow> {
        self.0.lock().expect("no holder of a run's window panics")
    }
}

impl Watch {
    pub(super) fn new(config: HealthConfig, clock: Arc<dyn Clock>, journal: Arc<dyn Journal>, notify: Arc<dyn Notify>) -> Self {
        let notes = Notes::new(super::layer::LAYER, journal);
        Self { config, clock, notes, notify, process: Mutex::default(), owed: Owed::default() }
    }

    /// What an anomaly of this run asks of the process.
    pub(super) fn pending(&self, run: &Run) -> Directive {
        run.extension::<RunHealth>().lock().pending.clone()
    }

    /// Looks at a call that was made.
    pub(super) async fn saw_call(&self, call: &ToolCall, result: &str, failed: bool) {
        let repeated = self.repetition(call, result);
        let failing = self.failures(failed);
        for anomaly in [repeated, failing].into_iter().flatten() {
            self.found(&call.run, &anomaly).await;
        }
    }

    /// Looks at a run's final answer.
    pub(super) async fn saw_answer(&self, run: &Run, reply: &str) {
        let anomaly = {
            let mut process = self.lock();
            keep(&mut process.answers, reply.trim().chars().count(), self.config.empty_threshold);
            let lengths = process.answers.make_contiguous();
            let found = detect::empty_response(lengths, self.config.empty_threshold, self.config.empty_max_chars);
            forget_if(found.is_some(), &mut process.answers);
            found
        };
        if let Some(anomaly) = anomaly {
            self.found(run, &anomaly).await;
        }
    }

    pub(super) fn status(&self) -> Value {
        let process = self.lock();
        let shown: Vec<Value> =
            process.found.iter().rev().take(MAX_SHOWN).map(|found| json!({"at": found.at, "what": found.what})).collect();
        let healthy = !process.found.iter().any(|found| self.cools_down(found));
        json!({ "healthy": healthy, "anomalies": shown })
    }

    fn repetition(&self, call: &ToolCall, result: &str) -> Option<Anomaly> {
        let extension = call.run.extension::<RunHealth>();
        let mut run = extension.lock();
        let window = self.config.loop_window.max(self.config.stuck_threshold);
        keep(&mut run.calls, Seen::new(&call.name, &call.args, result), window);
        let calls = run.calls.make_contiguous();
        let found = detect::stuck(calls, self.config.stuck_threshold)
            .or_else(|| detect::looping(calls, self.config.loop_window, self.config.loop_min_repeats));
        forget_if(found.is_some(), &mut run.calls);
        found
    }

    fn failures(&self, failed: bool) -> Option<Anomaly> {
        let mut process = self.lock();
        keep(&mut process.failures, failed, self.config.error_window);
        let failures = process.failures.make_contiguous();
        let found = detect::error_rate(failures, self.config.error_window, self.config.error_rate_threshold);
        forget_if(found.is_some(), &mut process.failures);
        found
    }

    async fn found(&self, run: &Run, anomaly: &Anomaly) {
        run.extension::<RunHealth>().lock().pending.raise(self.consequence(anomaly));
        if !self.is_news(anomaly) {
            return;
        }
        let body = json!(anomaly);
        // The call was made; failing it now for want of a note would hide its result. The next
        // intent fails on the same journal.
        if let Err(error) = self.notes.push(Some(run.id()), &body) {
            tracing::warn!(%error, "an anomaly could not be written down");
        }
        if self.config.on_anomaly == OnAnomaly::Escalate {
            let body = json!({"run": run.id(), "anomaly": body, "what": anomaly.describe()});
            let notice = Notice { kind: "health.anomaly".into(), process: run.process().into(), at: self.clock.now(), body };
            self.notify.notify(&self.config.escalation.clone().unwrap_or_default(), notice).await;
        }
    }

    fn consequence(&self, anomaly: &Anomaly) -> Directive {
        let why = format!("health: {}", anomaly.describe());
        match self.config.on_anomaly {
            OnAnomaly::Log => Directive::Continue,
            OnAnomaly::Pause | OnAnomaly::Escalate => Directive::pause(why),
            OnAnomaly::Stop => Directive::stop(why),
        }
    }

    fn is_news(&self, anomaly: &Anomaly) -> bool {
        let identity = anomaly.identity();
        let mut process = self.lock();
        let told = process.found.iter().any(|found| found.identity == identity && self.cools_down(found));
        if !told {
            let found = Found { at: self.clock.now(), identity, what: anomaly.describe() };
            keep(&mut process.found, found, MAX_FOUND);
        }
        !told
    }

    fn cools_down(&self, found: &Found) -> bool {
        let cooldown = TimeDelta::try_milliseconds((self.config.cooldown * 1e3) as i64).unwrap_or(TimeDelta::MAX);
        self.clock.now() - found.at < cooldown
    }

    fn lock(&self) -> MutexGuard<'_, ProcessWindow> {
        self.process.lock().expect("no holder of the windows panics")
    }
}

fn keep<T>(window: &mut VecDeque<T>, item: T, size: usize) {
    window.push_back(item);
    while window.len() > size {
        window.pop_front();
    }
}

/// What was told once takes as much again to be told anew.
fn forget_if<T>(found: bool, window: &mut VecDeque<T>) {
    if found {
        window.clear();
    }
}
