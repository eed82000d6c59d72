//! The journal as a story: one line for people out of each record that they care about.

mod page;

use chrono::{DateTime, Local, Utc};
use flyball_core_agent::{Directive, StepId, TriggerEvent};
use flyball_journal::{Again, Decision, Entry, LifecycleState, Record};
use owo_colors::AnsiColors;
use serde_json::{Map, Value};

pub use page::Page;

use crate::words::counted;

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What kind of thing happened.
    pub mark: Mark,
    /// What happened.
    pub text: String,
}

/// The kinds, each with a sign and a colour of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Something woke an agent.
    Woken,
    /// A tool is called.
    Call,
    /// A tool answered.
    Answer,
    /// Something good came to its end.
    Good,
    /// Something went wrong.
    Bad,
    /// Something an operator should look at.
    Warning,
    /// The process's own affairs.
    Life,
}

impl Mark {
    fn sign(self) -> (&'static str, AnsiColors) {
        match self {
            Self::Woken => ("*", AnsiColors::Magenta),
            Self::Call => (">", AnsiColors::Cyan),
            Self::Answer => ("<", AnsiColors::Blue),
            Self::Good => ("+", AnsiColors::Green),
            Self::Bad => ("x", AnsiColors::Red),
            Self::Warning => ("!", AnsiColors::Yellow),
            Self::Life => (".", AnsiColors::BrightBlack),
        }
    }
}

/// The line for a record; none for those that only the machine needs.
pub fn tell(record: &Record) -> Option<Line> {
    let (mark, text) = match &record.entry {
        Entry::TriggerEvent { event, .. } => (Mark::Woken, woken(event)),
        Entry::InvocationStart { attempt: 1, .. }
        | Entry::ModelReply { .. }
        | Entry::ContextUpdate { .. }
        | Entry::TriggerMoved { skipped: 0, .. }
        | Entry::Checkpoint { .. }
        | Entry::Carried { .. } => return None,
        Entry::TriggerMoved { trigger_id, why, .. } => (Mark::Warning, format!("{trigger_id} let pass: {why}")),
        Entry::InvocationStart { attempt, again, .. } => (Mark::Life, begun_again(*attempt, *again)),
        Entry::ToolCall { tool, args, attempt, .. } => (Mark::Call, called(tool, args, *attempt)),
        Entry::ToolResult { reply, refused: true, .. } => (Mark::Warning, format!("refused: {}", reply.text)),
        Entry::ToolResult { reply, settled_by, .. } => {
            (if reply.is_error { Mark::Bad } else { Mark::Answer }, answered(&reply.text, settled_by))
        }
        Entry::InvocationHeld { why, .. } => (Mark::Warning, format!("the run is held: {why}")),
        Entry::Settled { step, decision, note, .. } => (Mark::Warning, settled(step, decision, note)),
        Entry::InvocationResult { outcome, .. } => match &outcome.directive {
            Directive::Continue => (Mark::Good, outcome.reply.clone()),
            Directive::Pause { why, .. } => (Mark::Warning, format!("{} (pauses: {why})", outcome.reply)),
            Directive::Stop { why } => (Mark::Good, format!("{} (stops: {why})", outcome.reply)),
        },
        Entry::Error { error, last: true, .. } => (Mark::Bad, format!("the run failed: {error}")),
        Entry::Error { error, last: false, retry_at, .. } => (Mark::Warning, tried_again(error, *retry_at)),
        Entry::Expired { event_id, why } => (Mark::Bad, format!("event {event_id} is not handled any more: {why}")),
        Entry::Redelivered { event_id, note } => {
            (Mark::Warning, format!("an operator has event {event_id} handled once more{}", noted_why(note)))
        }
        Entry::Dismissed { event_id, note } => {
            (Mark::Warning, format!("an operator gives event {event_id} up{}", noted_why(note)))
        }
        Entry::TailLost { why, events } => {
            let whose = if events.len() == 1 { "was open, and calls for it" } else { "were open, and calls for them" };
            (Mark::Bad, format!("{why}: {} {whose} may have been made", counted(events.len(), "event")))
        }
        Entry::StateTransition { from_state: LifecycleState::Starting, to_state: LifecycleState::Awaiting, .. } => {
            (Mark::Life, "ready: it takes events".to_owned())
        }
        Entry::StateTransition { to_state, reason, .. } => moved(*to_state, reason)?,
        Entry::Note { layer, body, .. } => noted(layer, body)?,
        Entry::Recovered { entries_replayed, interrupted, pending_events } => {
            recovered(*entries_replayed, interrupted.len() as u64, *pending_events)
        }
    };
    Some(Line { mark, text })
}

/// A text from outside without what a terminal would obey.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn clock_time(at: DateTime<Local>) -> String {
    at.format("%H:%M:%S%.3f").to_string()
}

fn begun_again(attempt: u32, again: Option<Again>) -> String {
    match again {
        Some(Again::CutOff) => format!("goes on with the run that was cut off (attempt {attempt})"),
        Some(Again::Failed { times, of }) => format!("tries again (attempt {} of {of})", times.saturating_add(1)),
        Some(Again::Held) => format!("looks whether the run that is held can go on (attempt {attempt})"),
        Some(Again::Decided) => format!("goes on after the decision (attempt {attempt})"),
        None => format!("goes on with the run (attempt {attempt})"),
    }
}

fn woken(event: &TriggerEvent) -> String {
    let payload = &event.payload;
    let said = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match event.trigger_type.as_str() {
        "cron" => format!("woken by cron {} ({})", said("cron_expression"), said("scheduled_time")),
        "file_watch" => format!("woken by file_watch: {} {}", said("filename"), said("event_type")),
        "event" => format!("woken by event {} from {}: {}", said("event_type"), said("source"), payload["data"]),
        "message" => format!("woken by message {} from {}: {}", said("topic"), said("sender"), payload["content"]),
        other => format!("woken by {other}: {payload}"),
    }
}

fn called(tool: &str, args: &Map<String, Value>, attempt: u32) -> String {
    let args: Vec<String> = args.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // Before the arguments, which may be cut.
    let again = if attempt > 1 { format!("(attempt {attempt}, same key) ") } else { String::new() };
    format!("{tool} {again}{}", args.join(" "))
}

fn answered(text: &str, settled_by: &Option<String>) -> String {
    match settled_by {
        None => text.to_owned(),
        Some(by) => format!("it had happened before the cut, says {by}: {text}"),
    }
}

fn settled(step: &StepId, decision: &Decision, note: &str) -> String {
    let decision = match decision {
        Decision::Happened { .. } => "it happened",
        Decision::DidNotHappen => "it did not happen",
        Decision::Retry => "make it once more",
        Decision::Abort => "give the run up",
    };
    format!("an operator says of call {step}: {decision}{}", noted_why(note))
}

fn noted_why(note: &str) -> String {
    if note.is_empty() { String::new() } else { format!(" ({note})") }
}

fn tried_again(error: &str, at: Option<DateTime<Utc>>) -> String {
    let at = at.map(|at| format!(" at {}", clock_time(at.with_timezone(&Local)))).unwrap_or_default();
    format!("the run failed and is tried again{at}: {error}")
}

fn moved(to: LifecycleState, reason: &str) -> Option<(Mark, String)> {
    match to {
        // Between two runs these say nothing that the runs do not.
        LifecycleState::Running | LifecycleState::Awaiting | LifecycleState::Created | LifecycleState::Stopping => None,
        LifecycleState::Starting => Some((Mark::Life, reason.to_owned())),
        LifecycleState::Suspended => Some((Mark::Warning, format!("suspended: {reason}"))),
        LifecycleState::Failed => Some((Mark::Bad, format!("failed: {reason}"))),
        LifecycleState::Stopped => Some((Mark::Life, format!("stopped: {reason}"))),
    }
}

fn noted(layer: &str, body: &Value) -> Option<(Mark, String)> {
    let said = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    match layer {
        "mission" => mission(said("event"), body),
        "budget" => match said("event") {
            "exceeded" => Some((Mark::Bad, format!("over its budget: {}", said("limit")))),
            "warning" => Some((Mark::Warning, format!("budget: {} of {} used for {}", body["used"], body["max"], said("limit")))),
            _ => None,
        },
        "health" => Some((Mark::Warning, format!("health: {}{}", said("anomaly"), rest(body, &["anomaly", "call", "calls"])))),
        "secrets" => match said("action") {
            "access" => Some((Mark::Life, format!("secret '{}' goes to {}", said("secret"), said("tool")))),
            action => Some((Mark::Life, format!("secrets: {action} {}", said("secret")))),
        },
        other => Some((Mark::Warning, format!("{other}:{}", rest(body, &[])))),
    }
}

fn mission(event: &str, body: &Value) -> Option<(Mark, String)> {
    let said = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(match event {
        "ran" => return None,
        "started" => (Mark::Life, format!("mission begins: {}", said("objective"))),
        "evaluated" => {
            let verdict = if body["achieved"] == Value::Bool(true) { "achieved" } else { "not achieved" };
            (Mark::Answer, format!("the judge says {verdict} (confidence {}): {}", body["confidence"], said("reasoning")))
        }
        "completed" => (Mark::Good, format!("mission completed: {}", said("reason"))),
        "failed" => (Mark::Bad, format!("mission failed: {}", said("reason"))),
        "no_verdict" => (Mark::Warning, format!("the judge gave no verdict: {}", said("why"))),
        other => (Mark::Warning, format!("mission {other}{}", rest(body, &["event"]))),
    })
}

fn rest(body: &Value, without: &[&str]) -> String {
    let Value::Object(map) = body else { return format!(" {body}") };
    let parts = map.iter().filter(|(key, value)| !without.contains(&key.as_str()) && !value.is_null());
    parts.map(|(key, value)| format!(" {key}={value}")).collect()
}

/// It is for an operator to look at only where there was something to go on with.
fn recovered(entries: u64, interrupted: u64, pending: u64) -> (Mark, String) {
    let cut_off = (interrupted > 0).then(|| format!("{} had been cut off", counted(interrupted, "run")));
    let waited = (pending > 0).then(|| format!("{} {} waiting", counted(pending, "event"), was(pending)));
    let left: Vec<String> = cut_off.into_iter().chain(waited).collect();
    let from = format!("recovered from {}", counted(entries, "record"));
    if left.is_empty() { (Mark::Life, from) } else { (Mark::Warning, format!("{from}: {}", left.join(", "))) }
}

fn was(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_run_begins_again_is_told_as_it_was() {
        let cases = [
            (Some(Again::CutOff), "goes on with the run that was cut off (attempt 3)"),
            (Some(Again::Failed { times: 1, of: 3 }), "tries again (attempt 2 of 3)"),
            (Some(Again::Held), "looks whether the run that is held can go on (attempt 3)"),
            (Some(Again::Decided), "goes on after the decision (attempt 3)"),
            (None, "goes on with the run (attempt 3)"),
        ];
        for (again, told) in cases {
            let run = flyball_core_agent::RunId("r".into());
            let entry = Entry::InvocationStart { run, event_id: "e".into(), attempt: 3, again };
            let record = Record { seq: 1, process: "p".into(), n: 1, epoch: 1, at: DateTime::UNIX_EPOCH, entry };
            assert_eq!(tell(&record).expect("it is told").text, told);
        }
    }
}
