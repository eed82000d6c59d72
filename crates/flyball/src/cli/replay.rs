//! `flyball replay`: a run again, step by step, from the journal alone.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::Args;
use flyball_journal::history::{Contradiction, Moment, RunSummary, RunTree, check};
use flyball_journal::{Decision, Entry, Record};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::output::{self, colour};
use super::past::Past;
use super::suggest::command;
use super::why::tree;
use super::{At, Output};
use crate::instance::DataDir;
use crate::story::plain;
use crate::words::counted;

/// Show a run again, step by step, with every word; nobody is called.
#[derive(Debug, Args)]
pub struct Replay {
    /// The run; the beginning of its id is enough
    run: String,
    /// Fold the process's records again, from the start and from the newest checkpoint, and hold them against each other
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Replay {
    pub fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let mut past = Past::open(data)?;
        let run = past.find_run(&self.run)?.map_err(|why| anyhow!("{why} (`{}` lists the runs)", command(data, "runs")))?;
        let tree = tree(&past.tree_of(&run)?, &run)?;
        let records =
            if self.verify { past.journal_of(&tree.run.process)?.of_process(&tree.run.process)? } else { Arc::default() };
        drop(past);
        let of_process: Vec<&Record> = records.iter().filter(|record| record.process == tree.run.process).collect();
        let found = self.verify.then(|| check(of_process.iter().copied()));
        match self.output {
            Output::Json => {
                output::json(
                    &json!({"run": tree.run, "event": tree.causes.first(), "steps": tree.moments, "contradictions": found}),
                )?;
            }
            Output::Human => {
                show(&tree);
                if let Some(found) = &found {
                    verdict(&tree.run, of_process.len(), found);
                }
            }
        }
        Ok(if found.is_some_and(|found| !found.is_empty()) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn show(tree: &RunTree) {
    if let Some(cause) = tree.causes.first() {
        title(cause.seq, &format!("event {} of {}", cause.event.event_id, cause.event.trigger_type));
        body(&pretty(&cause.event.payload));
    }
    for moment in &tree.moments {
        step(moment);
    }
}

fn step(moment: &Moment) {
    let say = |text: &str| title(moment.seq, text);
    match &moment.entry {
        Entry::InvocationStart { run, attempt, .. } => say(&format!("run {run} begins, attempt {attempt}")),
        Entry::ModelReply { step, reply, .. } => {
            say(&format!("{step}: the model, {} tokens in, {} out", reply.usage.input_tokens, reply.usage.output_tokens));
            body(&reply.text);
            reply.calls.iter().for_each(|call| body(&format!("wants {} {}", call.name, call.args)));
            if reply.calls_beyond > 0 {
                body(&format!("wants {} calls more, which were not made", reply.calls_beyond));
            }
        }
        Entry::ToolCall { step, tool, args, effect, attempt, .. } => {
            say(&format!("{step}: {tool} is called ({effect}, attempt {attempt})"));
            body(&pretty(&Value::Object(args.clone())));
        }
        Entry::ToolResult { step, reply, refused, settled_by, .. } => {
            let how = match (refused, settled_by, reply.is_error) {
                (true, _, _) => "was refused".to_owned(),
                (_, Some(by), _) => format!("had happened, says {by}"),
                (_, _, true) => "failed".to_owned(),
                _ => "answered".to_owned(),
            };
            say(&format!("{step}: {how}"));
            body(&reply.text);
            reply.changes.iter().for_each(|change| body(&format!("sets {} = {}", change.key, change.value)));
        }
        Entry::InvocationHeld { why, .. } => say(&format!("the run is held: {}", plain(why))),
        Entry::Settled { step, decision, note, .. } => {
            let said = match decision {
                Decision::Happened { result } => format!("it happened: {result}"),
                Decision::DidNotHappen => "it did not happen".into(),
                Decision::Retry => "once more".into(),
                Decision::Abort => "the run is given up".into(),
            };
            say(&format!("{step}: an operator says: {}", plain(&said)));
            body(note);
        }
        Entry::InvocationResult { outcome, changes, .. } => {
            say("the run ends");
            body(&outcome.reply);
            changes.iter().for_each(|change| body(&format!("writes {} = {}", change.key, change.value)));
        }
        Entry::Error { error, last, .. } => {
            say(if *last { "the run failed" } else { "the run failed and is tried again" });
            body(error);
        }
        Entry::Note { layer, body: fact, .. } => say(&format!("{layer} notes {fact}")),
        other => say(other.kind()),
    }
}

fn title(seq: u64, text: &str) {
    let text = format!("#{seq} {text}");
    output::line(&if colour() { text.bold().to_string() } else { text });
}

fn body(text: &str) {
    plain(text).lines().for_each(|line| output::line(&format!("    {line}")));
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn verdict(run: &RunSummary, records: usize, found: &[Contradiction]) {
    for one in found {
        output::line(&format!("contradiction at #{}: {}", one.seq, plain(&one.what)));
    }
    let process = &run.process;
    output::line(&match found.len() {
        0 => format!("verified: the {records} records of {process} agree, from the start and from the newest checkpoint"),
        count => format!("{} in the {records} records of {process}", counted(count, "contradiction")),
    });
}
