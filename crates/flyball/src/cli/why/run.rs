//! A run's tree as lines.

use chrono::{DateTime, TimeDelta, Utc};
use flyball_core_agent::{Change, Reply};
use flyball_journal::history::{Because, Caused, Moment, RunSummary, RunTree};
use flyball_journal::{Entry, Record};

use super::letter::Letter;
use crate::cli::past::{outcome, short, took, words};
use crate::cli::times::instant;
use crate::instance::DataDir;
use crate::story;
use crate::words::counted;

/// The tree, top down.
pub fn lines(tree: &RunTree, letter: &Letter, data: &DataDir) -> Vec<String> {
    let mut lines = vec![head(&tree.run, data), "because".to_owned()];
    lines.extend(letter.because());
    if tree.causes.is_empty() {
        lines.push("  the record of its event is no longer in the journal".into());
    }
    for (depth, cause) in tree.causes.iter().enumerate() {
        lines.push(because(depth, cause));
    }
    lines.push("then".into());
    lines.extend(tree.moments.iter().flat_map(|of| moment(&tree.run, of)));
    lines.extend(letter.then());
    if !tree.caused.is_empty() {
        lines.push("and so".into());
        caused(&mut lines, 1, &tree.caused, data);
    }
    lines
}

fn head(run: &RunSummary, data: &DataDir) -> String {
    let cost = run.cost.map(|cost| format!(", cost {cost}")).unwrap_or_default();
    let took = took(run).map(|took| format!(", {took}")).unwrap_or_default();
    let (turns, calls) = (counted(run.turns, "turn"), counted(run.calls, "call"));
    let next = if run.decided { format!("; it {}", words(run, data)) } else { String::new() };
    let ended = run.ended.map(|at| format!(" to {}", instant(at))).unwrap_or_default();
    let when = format!("{}{ended}", instant(run.started));
    format!("run {} of {}: {}{next}, {turns}, {calls}{cost}{took}, {when}", run.run, run.process, outcome(run))
}

fn because(depth: usize, cause: &Because) -> String {
    let by = match depth {
        0 => String::new(),
        _ => format!(", whose run {} caused this", cause.run),
    };
    format!(
        "  {}#{} {} took in event {}{by}: {}",
        "  ".repeat(depth),
        cause.seq,
        cause.process,
        cause.event.event_id,
        woken(cause)
    )
}

fn woken(cause: &Because) -> String {
    told(&cause.process, cause.seq, cause.event.timestamp, &Entry::accepted(cause.event.clone()))
}

fn record(process: &str, seq: u64, at: DateTime<Utc>, entry: &Entry) -> Record {
    Record { seq, process: process.to_owned(), n: 0, epoch: 0, at, entry: entry.clone() }
}

/// What the story says of an entry.
fn told(process: &str, seq: u64, at: DateTime<Utc>, entry: &Entry) -> String {
    short(&story::tell(&record(process, seq, at, entry)).map_or_else(|| entry.kind().to_owned(), |line| line.text))
}

fn moment(run: &RunSummary, moment: &Moment) -> Vec<String> {
    let process = run.process.as_str();
    let record = record(process, moment.seq, moment.at, &moment.entry);
    if matches!(record.entry, Entry::Note { .. }) && story::tell(&record).is_none() {
        return Vec::new();
    }
    let text = match &moment.entry {
        Entry::InvocationStart { attempt: 1, .. } => "it begins".to_owned(),
        Entry::ModelReply { reply, .. } => turn(reply),
        Entry::ToolCall { effect, .. } => {
            let cost = moment.cost.map(|cost| format!(", cost {cost}")).unwrap_or_default();
            format!("calls {} [{effect}{cost}]", told(process, moment.seq, moment.at, &moment.entry))
        }
        Entry::ToolResult { .. } => format!("-> {}", told(process, moment.seq, moment.at, &moment.entry)),
        Entry::InvocationResult { .. } => format!("it ends: {}", told(process, moment.seq, moment.at, &moment.entry)),
        entry => told(process, moment.seq, moment.at, entry),
    };
    let step = moment.step().map(|step| format!("{step} ")).unwrap_or_default();
    let indent = if moment.step().is_some_and(|step| step.0.contains('.')) { "    " } else { "  " };
    let first = format!("{indent}#{}{} {step}{text}", moment.seq, offset(moment.at - run.started));
    let writes = changes(&moment.entry)
        .iter()
        .map(|change| format!("{indent}  writes {} = {}", change.key, short(&change.value.to_string())));
    std::iter::once(first).chain(writes).collect()
}

/// How long after the run's beginning, as far as anybody cares; nothing for the beginning itself.
fn offset(since: TimeDelta) -> String {
    match since.num_milliseconds() {
        millis @ ..0 => format!(" -{} ms", -millis),
        0 => String::new(),
        millis @ ..1_000 => format!(" +{millis} ms"),
        millis @ ..60_000 => format!(" +{}.{} s", millis / 1_000, millis % 1_000 / 100),
        millis => format!(" +{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
    }
}

fn turn(reply: &Reply) -> String {
    let mut wanted: Vec<&str> = reply.calls.iter().map(|call| call.name.as_str()).collect();
    let beyond = format!("{} more that were not made", reply.calls_beyond);
    wanted.extend((reply.calls_beyond > 0).then_some(beyond.as_str()));
    match (reply.text.is_empty(), wanted.is_empty()) {
        (_, true) => format!("the model says: {}", short(&reply.text)),
        (true, false) => format!("the model wants {}", wanted.join(", ")),
        (false, false) => format!("the model wants {}: {}", wanted.join(", "), short(&reply.text)),
    }
}

/// What a record of a run wrote for good; a call's own changes count when the run ends.
fn changes(entry: &Entry) -> &[Change] {
    match entry {
        Entry::InvocationResult { changes, .. } => changes,
        _ => &[],
    }
}

fn caused(lines: &mut Vec<String>, depth: usize, all: &[Caused], data: &DataDir) {
    for one in all {
        let then = match &one.run {
            Some(run) => format!("run {} ({}): {}", run.run, outcome(run), words(run, data)),
            None => "no run yet".into(),
        };
        let event = told(&one.process, one.seq, one.event.timestamp, &Entry::accepted(one.event.clone()));
        lines.push(format!("{}#{} {} {event}", "  ".repeat(depth), one.seq, one.process));
        lines.push(format!("{}-> {then}", "  ".repeat(depth + 1)));
        caused(lines, depth + 2, &one.caused, data);
    }
}
