//! Decisions about the past: written down where no instance runs, and when they are acted upon.

use std::path::Path;

use anyhow::{Result, bail};
use flyball_cluster::RemoteControl;
use flyball_journal::{Entry, LifecycleState, Log, ProcessFold};
use flyball_runtime::Control;

use super::suggest::command;
use crate::instance::DataDir;

/// Writes `entry` of `process` into its journal, which no instance is using. Where one runs
/// after all, the journal's lock says so.
pub async fn write_down(data: &DataDir, journal: &Path, process: &str, entry: Entry) -> Result<()> {
    let (log, recovery) = Log::open(journal)?;
    if let Some(what) = recovery.damaged.get(process) {
        bail!("the journal of {process} is damaged ({what}): it takes no decision, and the process will not run");
    }
    let records = recovery.processes.get(process).map(Vec::as_slice).unwrap_or_default();
    check(data, &ProcessFold::of(records), &entry)?;
    log.process(process).append(vec![entry]).await?;
    log.close();
    Ok(())
}

/// There is something to decide, as a runtime would find too. It may have been decided since it was looked up.
fn check(data: &DataDir, fold: &ProcessFold, entry: &Entry) -> Result<()> {
    match entry {
        Entry::Settled { run, step, .. } if !fold.open_runs.get(run).is_some_and(|open| open.tape.in_doubt(step)) => {
            bail!("call {step} of run {run} is not in doubt any more: see `{}`", command(data, "indoubt"))
        }
        Entry::Redelivered { event_id, .. } | Entry::Dismissed { event_id, .. }
            if !fold.dead_letters.iter().any(|letter| letter.event.event_id == *event_id) =>
        {
            bail!("no dead letter is event {event_id} any more: see `{}`", command(data, "dlq list"))
        }
        _ => Ok(()),
    }
}

const AT_THE_NEXT_RUN: &str = "at the next `flyball run`";

/// What a run does whose calls in doubt are all decided, for who does not ask the runtime.
pub fn goes_on(data: &DataDir) -> String {
    format!("goes on {}", if data.is_held() { "when its process can" } else { AT_THE_NEXT_RUN })
}

/// When `process` acts upon what was decided about its past.
pub async fn when(data: &DataDir, instance: Option<&RemoteControl>, process: &str) -> String {
    let Some(control) = instance else { return AT_THE_NEXT_RUN.to_owned() };
    match control.process_status(process).await {
        Ok(shown) if shown.state == LifecycleState::Suspended => {
            format!("once it is resumed ({}): see `{}`", shown.reason, command(data, &format!("resume {process}")))
        }
        Ok(shown) if shown.over => format!("once it is started: see `{}`", command(data, &format!("start {process}"))),
        Ok(shown) if !shown.state.is_alive() => "once it is up again".to_owned(),
        _ => "now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use flyball_core_agent::{Effect, RunId, StepId, TriggerEvent};
    use flyball_journal::Decision;
    use serde_json::{Map, json};

    use super::*;

    /// A run that waits because of two calls.
    fn held(event: TriggerEvent, run: &RunId) -> Vec<Entry> {
        let event_id = event.event_id.clone();
        let call = |index| Entry::ToolCall {
            run: run.clone(),
            step: StepId::call(0, index),
            attempt: 1,
            tool: "pay".into(),
            args: Map::new(),
            effect: Effect::Irreversible,
            notes: Map::new(),
        };
        vec![
            Entry::accepted(event),
            Entry::InvocationStart { run: run.clone(), event_id, attempt: 1, again: None },
            call(0),
            call(1),
            Entry::InvocationHeld { run: run.clone(), why: "calls are in doubt".into() },
        ]
    }

    #[tokio::test]
    async fn what_is_decided_already_is_not_written_down_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let (data, run) = (DataDir::new(dir.path()), RunId("r".into()));
        let event = TriggerEvent::new("t", "remote", chrono::Utc::now(), json!({}));
        let event_id = event.event_id.clone();
        {
            let (log, _) = Log::open(dir.path()).expect("it opens");
            log.process("p").append(held(event, &run)).await.expect("appended");
        }
        let settled = |index, decision| Entry::Settled {
            run: run.clone(),
            event_id: event_id.clone(),
            step: StepId::call(0, index),
            decision,
            note: String::new(),
        };
        write_down(&data, dir.path(), "p", settled(0, Decision::Abort)).await.expect("written");
        let refused =
            write_down(&data, dir.path(), "p", settled(1, Decision::DidNotHappen)).await.expect_err("the run has ended");
        assert!(refused.to_string().contains("not in doubt any more"), "{refused}");
        let note = String::new();
        let refused =
            write_down(&data, dir.path(), "p", Entry::Dismissed { event_id, note }).await.expect_err("it is no dead letter");
        assert!(refused.to_string().contains("no dead letter"), "{refused}");
        assert_eq!(flyball_journal::read(dir.path()).expect("read").len(), 6);
    }
}
