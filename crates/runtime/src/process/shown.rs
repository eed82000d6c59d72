//! What is shown of a process. Its loop only says what changed; what takes work, such as asking every
//! layer, is done for those who look.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use flyball_core_agent::{Clock, Layer};
use flyball_journal::{LifecycleState, ProcessFold};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::listeners::Listening;
use super::supervise::damaged;
use crate::{ProcessSpec, ProcessStatus};

/// A process as it was at one moment.
#[derive(Clone)]
pub(crate) struct Shown {
    /// Without what is filled in for those who look.
    pub base: ProcessStatus,
    pub layers: Arc<[Arc<dyn Layer>]>,
    /// What the layers said last, once they are gone.
    pub layers_said: Map<String, Value>,
    pub listening: Listening,
}

impl Shown {
    /// One that was not started by this program.
    pub fn unstarted(spec: &ProcessSpec, fold: &ProcessFold, damage: Option<&str>) -> Self {
        // What a journal of an earlier life says of being alive is not so before the start.
        let state = if fold.state.is_over() { fold.state } else { LifecycleState::Stopped };
        let base = ProcessStatus {
            name: spec.name.clone(),
            process_id: spec.process_id(),
            state: if damage.is_some() { LifecycleState::Failed } else { state },
            reason: damage.map_or_else(|| fold.reason.clone(), damaged),
            invocation_count: fold.invocation_count,
            consecutive_failures: fold.consecutive_failures,
            restart_count: 0,
            given_up: damage.is_some(),
            over: true,
            started_at: None,
            uptime_seconds: 0.0,
            last_heartbeat: None,
            pending_events: fold.open_events.len(),
            events: fold.events,
            open_events: fold.open_events.len(),
            disk_full: false,
            active_runs: 0,
            held_runs: Map::new(),
            triggers: Vec::new(),
            layers: Map::new(),
        };
        Self { base, layers: Arc::new([]), layers_said: Map::new(), listening: Listening::default() }
    }

    /// All of it, as it is at `now`.
    pub fn status(&self, now: DateTime<Utc>) -> ProcessStatus {
        let mut status = self.base.clone();
        if let Some(started_at) = status.started_at {
            status.uptime_seconds = (now - started_at).as_seconds_f64().max(0.0);
        }
        status.triggers = self.listening.status();
        status.layers = if self.layers.is_empty() { self.layers_said.clone() } else { said(&self.layers) };
        status
    }
}

/// What each layer says of itself.
pub(super) fn said(layers: &[Arc<dyn Layer>]) -> Map<String, Value> {
    layers.iter().filter_map(|layer| Some((layer.name().to_owned(), layer.status()?))).collect()
}

/// Tells of every change of a process's status.
#[derive(Clone)]
pub struct StatusWatch {
    shown: watch::Receiver<Shown>,
    clock: Arc<dyn Clock>,
}

impl StatusWatch {
    pub(super) fn new(shown: watch::Receiver<Shown>, clock: Arc<dyn Clock>) -> Self {
        Self { shown, clock }
    }

    /// Returns at the next change, at once if there was one since the last time. `false` once the
    /// process's task has ended: there are no more changes. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        self.shown.changed().await.is_ok()
    }

    /// The status as it is now.
    pub fn status(&self) -> ProcessStatus {
        self.shown.borrow().status(self.clock.now())
    }

    /// Returns the status once it is one that `wanted` is after; `None` if the process's task ends before.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&ProcessStatus) -> bool) -> Option<ProcessStatus> {
        loop {
            let status = self.shown.borrow_and_update().status(self.clock.now());
            if wanted(&status) {
                return Some(status);
            }
            if !self.changed().await {
                return None;
            }
        }
    }

    /// Returns how many runs came to an end, once there are `count`; `None` if the process's task ends
    /// before. Cheaper than to look at the whole status.
    pub async fn wait_for_runs(&mut self, count: u64) -> Option<u64> {
        let enough = self.shown.wait_for(|shown| shown.base.invocation_count >= count).await;
        enough.ok().map(|shown| shown.base.invocation_count)
    }

    /// It has come to an end, and is not started again by itself. Cheaper to ask than the whole status.
    pub fn is_over(&self) -> bool {
        self.shown.borrow().base.over
    }
}
