//! How a run ends, and the summary of it.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use flyball_journal::LifecycleState;
use flyball_runtime::{Control, ProcessStatus, RuntimeStatus, StatusWatch};
use owo_colors::OwoColorize;
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Until;
use super::start::Running;
use crate::cli::output::{self, colour};
use crate::cli::suggest::command;
use crate::cli::{Output, doubt};
use crate::instance::DataDir;
use crate::words::counted;

/// A second signal within this time of the first is taken for the same.
const GRACE: Duration = Duration::from_secs(1);

/// Why a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// Every mission is over.
    Missions,
    /// Someone asked for it.
    Signal(&'static str),
    /// Nothing is alive any more, and nothing will be.
    NothingLeft,
    /// Nothing came up: why.
    NotUp(String),
    /// A journal takes no records any more; what is not recorded must not be done.
    Journal(String),
}

/// Starts everything, and waits for the end. Missions are looked at whenever a process's status changes.
pub(super) async fn wait(running: &Running, until: Until, signals: &mut Signals) -> Ending {
    tokio::select! {
        signal = signals.next() => Ending::Signal(signal),
        why = running.homes.failed() => Ending::Journal(why),
        ending = work(running, until) => ending,
    }
}

async fn work(running: &Running, until: Until) -> Ending {
    match running.start_all().await {
        Ok(()) => all_over(running, until).await,
        Err(why) => Ending::NotUp(why),
    }
}

/// The signals that end a run. They are heard from the moment this is made, and kill no more.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> Result<Self> {
        let listening = signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
        let (interrupt, terminate) = listening.context("listening for signals")?;
        Ok(Self { interrupt, terminate })
    }

    /// The first one that comes after `grace`: some programs that end others signal twice in a row.
    async fn next_after(&mut self, grace: Duration) -> &'static str {
        let _ = tokio::time::timeout(grace, async {
            loop {
                self.next().await;
            }
        })
        .await;
        self.next().await
    }

    /// The next one's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Someone asked for the end before any process was started: nothing is waited for.
pub(super) fn before_it_began(data: &DataDir, signal: &str) -> ExitCode {
    data.withdraw();
    output::note(&format!("ended by {signal} before anything was started"));
    ExitCode::SUCCESS
}

async fn all_over(running: &Running, until: Until) -> Ending {
    let mut watches: Vec<_> = running.runtime.processes().iter().map(flyball_runtime::AgentProcess::watch).collect();
    loop {
        // Noted before the status is taken, so that nothing falls between.
        let were_over: Vec<bool> = watches.iter().map(StatusWatch::is_over).collect();
        let status = running.runtime.status().await;
        if until == Until::Mission && missions_over(&running.missions, &status) {
            return Ending::Missions;
        }
        if status.processes.values().all(|process| process.over) {
            return Ending::NothingLeft;
        }
        // Neither can become so before one more process has come to its end.
        let ended = watches.iter_mut().zip(were_over).map(|(watch, was_over)| Box::pin(one_more_is_over(watch, was_over)));
        futures::future::select_all(ended).await;
    }
}

/// Returns when a process that was not over is so.
async fn one_more_is_over(watch: &mut StatusWatch, mut was_over: bool) {
    loop {
        let is_over = watch.is_over();
        if is_over && !was_over {
            return;
        }
        was_over = is_over;
        if !watch.changed().await {
            std::future::pending::<()>().await;
        }
    }
}

/// One that did not come up yet says nothing of its mission.
fn missions_over(missions: &BTreeSet<String>, status: &RuntimeStatus) -> bool {
    let is_over = |process: &ProcessStatus| {
        let lasts = mission(process).is_some_and(|state| state == "active" || state == "paused");
        process.given_up || (process.over && !lasts)
    };
    missions.iter().filter_map(|name| status.processes.get(name)).all(is_over)
}

/// The state of a process's mission, if it has one.
fn mission(process: &ProcessStatus) -> Option<&str> {
    process.layers.get("mission")?.get("state").and_then(Value::as_str)
}

/// What a run came to.
#[derive(Debug, Serialize)]
struct Summary {
    ended_by: String,
    achieved: Option<bool>,
    /// Calls of which nobody knows whether they happened.
    calls_in_doubt: usize,
    processes: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    state: LifecycleState,
    reason: String,
    invocation_count: u64,
    pending_events: usize,
    held_runs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    mission: Option<String>,
}

/// What to do about a journal that failed.
const JOURNAL_ADVICE: &str = "Look after the disk; the next `flyball run` goes on from what is recorded";

/// The exit code of a run that was not given the time to end in order.
const IMPATIENT: u8 = 130;

impl Running {
    /// Stops everything, sums up, and gives the exit code: 0 unless a mission was to end the run
    /// and was not achieved, everything failed, or a journal did.
    pub async fn finish(self, ending: Ending, output: Output, signals: &mut Signals) -> Result<ExitCode> {
        if let Ending::Journal(why) = &ending {
            // Said first: to stop takes its time.
            output::fail(&anyhow!("{why}; nothing more can be recorded, so nothing more is done. {JOURNAL_ADVICE}"));
        }
        let (runtime, data, missions) = (std::sync::Arc::clone(&self.runtime), self.data.clone(), self.missions.clone());
        tokio::select! {
            () = self.close() => {}
            signal = signals.next_after(GRACE) => {
                // As by a crash: the next start goes on from what is recorded.
                output::note(&format!("a second {signal}: leaving at once; what was under way goes on at the next start"));
                return Ok(ExitCode::from(IMPATIENT));
            }
        }
        if let Ending::NotUp(why) = ending {
            return Err(anyhow!("{why}"));
        }
        let summary = sum_up(&missions, &ending, &runtime.status().await, &data);
        match output {
            Output::Human => print(&summary, &data),
            Output::Json => output::json_line(&summary)?,
        }
        let lost = summary.achieved == Some(false)
            || matches!(ending, Ending::Journal(_))
            || (ending == Ending::NothingLeft && summary.failed());
        Ok(if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Summary {
    fn failed(&self) -> bool {
        self.processes.iter().any(|process| process.state == LifecycleState::Failed)
    }
}

fn sum_up(missions: &BTreeSet<String>, ending: &Ending, status: &RuntimeStatus, data: &DataDir) -> Summary {
    let is_achieved = |name: &String| status.processes.get(name).and_then(mission) == Some("completed");
    let achieved = (*ending == Ending::Missions).then(|| missions.iter().all(is_achieved));
    let ended_by = match ending {
        Ending::Missions => "mission",
        Ending::Signal(signal) => signal,
        Ending::NothingLeft | Ending::NotUp(_) => "itself: no process is alive any more",
        Ending::Journal(_) => "itself: the journal failed",
    };
    let line = |process: &ProcessStatus| Line {
        name: process.name.clone(),
        state: process.state,
        reason: process.reason.clone(),
        invocation_count: process.invocation_count,
        pending_events: process.pending_events,
        held_runs: process.held_runs.len(),
        mission: mission(process).map(str::to_owned),
    };
    let processes = status.processes.values().map(line).collect();
    Summary { ended_by: ended_by.to_owned(), achieved, calls_in_doubt: in_doubt(status, data), processes }
}

/// Nobody hears the answers of calls that were under way. What cannot be read is told by whoever asks for it.
fn in_doubt(status: &RuntimeStatus, data: &DataDir) -> usize {
    // Where every event has its end, the journal need not be looked through.
    let unfinished = status.processes.values().any(|process| process.open_events > 0);
    if unfinished { doubt::count_left(data).unwrap_or_default() } else { 0 }
}

fn print(summary: &Summary, data: &DataDir) {
    output::line("");
    let title = match summary.achieved {
        Some(true) => "mission achieved".to_owned(),
        Some(false) => "mission NOT achieved".to_owned(),
        None => format!("ended by {}", summary.ended_by),
    };
    let title = match (colour(), summary.achieved) {
        (true, Some(true)) => title.green().bold().to_string(),
        (true, Some(false)) => title.red().bold().to_string(),
        _ => title,
    };
    output::line(&title);
    let width = summary.processes.iter().map(|process| process.name.len()).max().unwrap_or_default();
    for process in &summary.processes {
        let mission = process.mission.as_ref().map(|state| format!(", mission {state}")).unwrap_or_default();
        let pending = unless_none(process.pending_events, |count| format!(", {} waiting", counted(count, "event")));
        let held = unless_none(process.held_runs, |count| format!(", {} held", counted(count, "run")));
        output::line(&format!(
            "  {:<width$}  {:<9}  {}{mission}{pending}{held}",
            process.name,
            process.state.to_string(),
            counted(process.invocation_count, "run")
        ));
    }
    if summary.calls_in_doubt > 0 {
        let are = if summary.calls_in_doubt == 1 { "is" } else { "are" };
        let (calls, indoubt) = (counted(summary.calls_in_doubt, "call"), command(data, "indoubt"));
        output::line(&format!("  {calls} {are} in doubt: see `{indoubt}`"));
    }
}

fn unless_none(count: usize, said: impl Fn(usize) -> String) -> String {
    if count > 0 { said(count) } else { String::new() }
}
