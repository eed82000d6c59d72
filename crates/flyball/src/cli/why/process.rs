//! How a process stands, and what keeps it from running.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use flyball_core_agent::TriggerEvent;
use flyball_journal::history::{RunOutcome, RunSummary, Runs};
use flyball_journal::{Doubt, EventCounts, LifecycleState, ProcessFold, Record, doubts, doubts_left};
use flyball_runtime::{ProcessStatus, TriggerStatus};
use serde::Serialize;

use super::remedy;
use crate::cli::ask;
use crate::cli::past::{damage_advice, price, short, words};
use crate::cli::ps::named;
use crate::cli::suggest::command;
use crate::cli::times::{instant, rewritten};
use crate::instance::DataDir;
use crate::words::counted;

/// How a process stands, from its journal and, where an instance runs, from that.
#[derive(Debug, Serialize)]
pub struct Standing {
    process: String,
    process_id: String,
    state: LifecycleState,
    reason: String,
    /// Why it does not run: its journal is damaged.
    damage: Option<String>,
    /// An instance runs and has it.
    live: Option<ProcessStatus>,
    /// An instance runs and does not tell how the process stands: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<String>,
    consecutive_failures: u32,
    /// Events that wait for a run.
    waiting: Vec<TriggerEvent>,
    /// Runs without an end.
    open: Vec<RunSummary>,
    /// Calls of which nobody knows whether they happened.
    in_doubt: Vec<Doubt>,
    last_run: Option<RunSummary>,
    /// What became of all events.
    events: EventCounts,
    /// By run: when it is tried again.
    retries: BTreeMap<String, DateTime<Utc>>,
}

impl Standing {
    /// `records` are those that [`History::standing`](flyball_journal::History::standing) has of the process, and
    /// `unfinished` those of all runs without an end.
    pub async fn of((records, unfinished): (&[Record], &[Record]), name: &str, data: &DataDir, damage: Option<String>) -> Self {
        let fold = ProcessFold::of(records.iter().filter(|record| record.process == name));
        let (live, silent) = match status(data, name).await {
            Ok(live) => (live, None),
            Err(why) => (None, Some(format!("{why:#}"))),
        };
        let all = Runs::of(records, price);
        let runs = || all.list().iter().filter(|run| run.process == name);
        let open: Vec<RunSummary> = runs().filter(|run| run.ended.is_none()).cloned().collect();
        let begun = |event: &&TriggerEvent| open.iter().any(|run| run.event_id == event.event_id);
        let waiting = fold.open_events.values().filter(|event| !begun(event)).cloned().collect();
        let retries = fold.open_runs.iter().filter_map(|(run, open)| Some((run.0.clone(), open.retry_at?))).collect();
        // A call that is on its way is in doubt as soon as nobody is there to hear its answer.
        let runs_on = live.is_some() || silent.is_some();
        let mut in_doubt = if runs_on { doubts(unfinished) } else { doubts_left(unfinished) };
        in_doubt.retain(|doubt| doubt.process == name);
        let (state, reason) = live.as_ref().map_or((fold.state, &fold.reason), |live| (live.state, &live.reason));
        Self {
            process: name.to_owned(),
            process_id: flyball_journal::history::process_id(name),
            state,
            reason: reason.clone(),
            damage,
            consecutive_failures: fold.consecutive_failures,
            waiting,
            last_run: runs().rfind(|run| run.ended.is_some()).cloned(),
            open,
            in_doubt,
            events: fold.events,
            retries,
            live,
            silent,
        }
    }

    /// Whoever knows more could be asked.
    pub fn is_whole(&self) -> bool {
        self.silent.is_none()
    }

    /// It, for people.
    pub fn lines(&self, data: &DataDir) -> Vec<String> {
        let mut lines = vec![format!("{} ({}) {}", self.process, self.process_id, self.headline())];
        if let Some(what) = &self.damage {
            lines.push(format!("  damaged   {}", damage_advice(what)));
        }
        if let Some(why) = &self.silent {
            lines.push(format!("  silent    {why}"));
        } else if self.live.is_none() && self.damage.is_none() {
            lines.push(format!("  nobody runs it: `{}` goes on from here", command(data, "run DIR")));
        }
        if self.live.as_ref().is_some_and(|live| live.disk_full) {
            lines.push("  disk      is full: no event is accepted and no run begun until there is room".to_owned());
        }
        lines.extend(self.live.iter().flat_map(|live| remedy::lines(live, data)));
        lines.extend(self.live.iter().flat_map(|live| &live.triggers).flat_map(trigger));
        if let Some(first) = self.waiting.first() {
            let (count, kind, since) = (self.waiting.len(), &first.trigger_type, instant(first.timestamp));
            lines.push(format!("  waiting   {}, the oldest by {kind} since {since}", counted(count, "event")));
        }
        for run in &self.open {
            lines.push(match run.outcome {
                _ if run.decided => format!("  decided   run {}: {}", run.run, words(run, data)),
                RunOutcome::Held => {
                    format!("  held      run {}: {} (see `{}`)", run.run, short(&run.said), command(data, "indoubt"))
                }
                _ => match self.retries.get(&run.run.0) {
                    Some(at) => format!("  retry     run {} at {}: {}", run.run, instant(*at), short(&run.said)),
                    None => format!("  open      run {} since {}, attempt {}", run.run, instant(run.started), run.attempts),
                },
            });
        }
        for doubt in &self.in_doubt {
            let (tool, run, see) = (&doubt.tool, &doubt.run, command(data, "indoubt"));
            lines.push(format!("  in doubt  {tool}, in run {run}: it may have happened, or not (see `{see}`)"));
        }
        if self.events.dead_lettered > 0 {
            lines.push(format!(
                "  dead      {} failed for good (see `{}`)",
                counted(self.events.dead_lettered, "event"),
                command(data, "dlq list")
            ));
        }
        lines.extend(expired(self.events.expired));
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
            _ if self.silent.is_some() => {
                format!("was last recorded as {}{why}; the runtime could not be asked", self.state)
            }
            (true, _) => format!("is {}{why}", self.state),
            (false, true) => format!("was {} when it was last heard of{why}", self.state),
            (false, false) => format!("was cut off while it was {}{why}", self.state),
        }
    }
}

/// What the running instance says of it; nothing where none runs.
async fn status(data: &DataDir, name: &str) -> Result<Option<ProcessStatus>> {
    let (instance, control) = match ask::connect(data).await {
        Ok(connected) => connected,
        Err(why) if data.is_held() => return Err(why),
        Err(_) => return Ok(None),
    };
    let mut status = ask::reached(control.node_status().await, &instance)?;
    Ok(status.processes.remove(name))
}

fn expired(count: u64) -> Option<String> {
    let were = if count == 1 { "was given up: it" } else { "were given up: they" };
    (count > 0).then(|| format!("  expired   {} {were} waited for longer than max_age", counted(count, "event")))
}

/// `INSTANT: WHY` with the instant as people read it.
fn since(last: &str) -> String {
    last.split_once(": ").map_or_else(|| last.to_owned(), |(at, why)| format!("{}: {why}", rewritten(at)))
}

/// What there is to say of a trigger.
fn trigger(trigger: &TriggerStatus) -> Vec<String> {
    let name = named(trigger);
    let next = trigger.next.map(|at| format!("  next      {}, by {name}", instant(at)));
    let ended = trigger.error.as_ref().map(|error| format!("  trigger   {name} ended: {}", short(error)));
    let remark = trigger.remark.as_ref().map(|remark| format!("  trigger   {name} is {remark}"));
    let filter = trigger.last_filtered.as_ref().map(|last| {
        let count = trigger.filtered;
        format!("  filter    {name} let {} not through, the last at {}", counted(count, "event"), short(&since(last)))
    });
    let skipped = trigger.last_skipped.as_ref().map(|last| {
        let count = trigger.skipped;
        format!("  skipped   {name} let {count} pass, the last because {}", short(last))
    });
    [next, ended, remark, filter, skipped].into_iter().flatten().collect()
}
