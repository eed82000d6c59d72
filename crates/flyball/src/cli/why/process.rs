//! How a process stands, and what keeps it from running.

use std::collections::BTreeMap;

use chrono::Utc;
use flyball_core_agent::TriggerEvent;
use flyball_journal::history::{RunOutcome, RunSummary};
use flyball_journal::{Entry, LifecycleState, ProcessFold, Record};
use flyball_runtime::ProcessStatus;
use flyball_triggers::Cron;
use serde::Serialize;

use crate::cli::ask;
use crate::cli::past::{Past, instant, short};
use crate::instance::DataDir;

/// How a process stands, from its journal and, where an instance runs, from that.
#[derive(Debug, Serialize)]
pub struct Standing {
    process: String,
    process_id: String,
    state: LifecycleState,
    reason: String,
    /// An instance runs and has it.
    live: Option<ProcessStatus>,
    consecutive_failures: u32,
    /// Events that wait for a run.
    waiting: Vec<TriggerEvent>,
    /// Runs without an end.
    open: Vec<RunSummary>,
    last_run: Option<RunSummary>,
    /// By trigger: when its clock wakes the process next.
    next: BTreeMap<String, String>,
}

impl Standing {
    pub async fn of(past: &Past, name: &str, data: &DataDir) -> Self {
        let records: Vec<&Record> = past.records.iter().filter(|record| record.process == name).collect();
        let fold = ProcessFold::of(records.iter().copied());
        let live = status(data, name).await;
        let runs = || past.runs.list().iter().filter(|run| run.process == name);
        let open: Vec<RunSummary> = runs().filter(|run| run.ended.is_none()).cloned().collect();
        let begun = |event: &&TriggerEvent| open.iter().any(|run| run.event_id == event.event_id);
        let waiting = fold.open_events.values().filter(|event| !begun(event)).cloned().collect();
        let next = if live.is_some() { next_instants(&records) } else { BTreeMap::new() };
        let (state, reason) = live.as_ref().map_or((fold.state, &fold.reason), |live| (live.state, &live.reason));
        Self {
            process: name.to_owned(),
            process_id: flyball_journal::history::process_id(name),
            state,
            reason: reason.clone(),
            consecutive_failures: fold.consecutive_failures,
            waiting,
            last_run: runs().rfind(|run| run.ended.is_some()).cloned(),
            open,
            next,
            live,
        }
    }

    /// It, for people.
    pub fn lines(&self, data: &DataDir) -> Vec<String> {
        let mut lines = vec![format!("{} ({}) {}", self.process, self.process_id, self.headline())];
        if self.live.is_none() {
            lines.push(format!("  nobody runs it: `flyball run DIR --data {}` goes on from here", data.path().display()));
        }
        for (trigger, at) in &self.next {
            lines.push(format!("  next      {at}, by {trigger}"));
        }
        for trigger in self.live.iter().flat_map(|live| &live.triggers) {
            if let Some(error) = &trigger.error {
                lines.push(format!("  trigger   {} ({}) ended: {}", trigger.id, trigger.kind, short(error)));
            }
        }
        if let Some(first) = self.waiting.first() {
            let (count, kind, since) = (self.waiting.len(), &first.trigger_type, instant(first.timestamp));
            lines.push(format!("  waiting   {count} event(s), the oldest by {kind} since {since}"));
        }
        for run in &self.open {
            lines.push(match run.outcome {
                RunOutcome::Held => format!("  held      run {}: {} (see `flyball indoubt`)", run.run, short(&run.said)),
                _ => format!("  open      run {} since {}, attempt {}", run.run, instant(run.started), run.attempts),
            });
        }
        if let Some(run) = &self.last_run {
            lines.push(format!("  last run  {} ({}): {}", run.run, run.outcome, short(&run.said)));
        }
        if self.consecutive_failures > 0 {
            lines.push(format!("  failures  {} in a row", self.consecutive_failures));
        }
        lines
    }

    fn headline(&self) -> String {
        let why = if self.reason.is_empty() { String::new() } else { format!(": {}", short(&self.reason)) };
        match (self.live.is_some(), self.state.is_over()) {
            (true, _) => format!("is {}{why}", self.state),
            (false, true) => format!("was {} when it was last heard of{why}", self.state),
            (false, false) => format!("was cut off while it was {}{why}", self.state),
        }
    }
}

async fn status(data: &DataDir, name: &str) -> Option<ProcessStatus> {
    let (_, control) = ask::connect(data).await.ok()?;
    control.node_status().await.ok()?.processes.remove(name)
}

/// When each clock that woke the process before will do so again.
fn next_instants(records: &[&Record]) -> BTreeMap<String, String> {
    let mut next = BTreeMap::new();
    for record in records {
        let Entry::TriggerEvent { event } = &record.entry else { continue };
        let said = |key: &str| event.payload.get(key).and_then(serde_json::Value::as_str);
        let Some(expression) = said("cron_expression").filter(|_| event.trigger_type == "cron") else { continue };
        let cron = Cron::parse(expression, said("timezone")).ok();
        if let Some(at) = cron.and_then(|cron| cron.next_after(Utc::now())) {
            next.insert(event.trigger_id.clone(), at.to_rfc3339());
        }
    }
    next
}
