//! `flyball dlq`: events whose runs failed for good.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::{ArgGroup, Args, Subcommand};
use flyball_journal::{DeadLetter, Entry, ProcessFold};
use flyball_runtime::Control;
use serde::Serialize;
use serde_json::{Value, json};

use super::output;
use super::past::{Journal, Past, short};
use super::suggest::command;
use super::table::{Cell, Table};
use super::times::instant;
use super::{At, Output, ask, decide};
use crate::instance::DataDir;
use crate::words::counted;

/// See to events whose runs failed for good.
#[derive(Debug, Args)]
pub struct Dlq {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them, oldest first
    List {
        /// Only those of this process
        name: Option<String>,
    },
    /// Show one with its payload
    Show {
        /// The event's id; its beginning is enough
        id: String,
    },
    /// Handle one once more, in a run of its own
    Retry(Chosen),
    /// Give one up
    Drop(Chosen),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
struct Chosen {
    /// The event's id; its beginning is enough
    #[arg(group = "which")]
    id: Option<String>,
    /// All of them
    #[arg(long, group = "which")]
    all: bool,
    /// Only those of this process
    #[arg(long, value_name = "NAME")]
    process: Option<String>,
    /// Why; it is written into the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

/// A dead letter and whose it is.
#[derive(Debug, Serialize)]
struct Letter {
    /// The journal that has it.
    #[serde(skip)]
    journal: PathBuf,
    process: String,
    #[serde(flatten)]
    letter: DeadLetter,
}

impl Dlq {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let mut past = Past::open(data)?;
        let letters = letters(&mut past)?;
        let of_process = match &self.what {
            What::List { name } | What::Retry(Chosen { process: name, .. }) | What::Drop(Chosen { process: name, .. }) => name,
            What::Show { .. } => &None,
        };
        let of_process = of_process.as_deref().map(|name| past.known_process(name)).transpose()?;
        drop(past);
        let of_it = |letter: &&Letter| of_process.as_ref().is_none_or(|name| letter.process == *name);
        let all: Vec<&Letter> = letters.iter().filter(of_it).collect();
        match &self.what {
            What::List { .. } => list(&all, self.output),
            What::Show { id } => show(data, find(data, &all, id, None)?, self.output),
            What::Retry(Chosen { id, note, .. }) | What::Drop(Chosen { id, note, .. }) => {
                let chosen =
                    id.as_ref().map(|id| find(data, &all, id, of_process.as_deref())).transpose()?.map_or(all, |one| vec![one]);
                let (done, outcome) = see_to(&chosen, matches!(self.what, What::Retry(_)), note, data).await;
                if !done.is_empty() || outcome.is_ok() {
                    tell(&done, id.is_some(), self.output)?;
                }
                outcome.map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

fn letters(past: &mut Past) -> Result<Vec<Letter>> {
    let mut letters = Vec::new();
    for Journal { dir, history } in past.journals() {
        for process in history.names()? {
            let records = history.since_checkpoint(&process)?;
            let fold = ProcessFold::of(records.iter().filter(|record| record.process == process));
            let of_fold = fold.dead_letters.into_iter();
            letters.extend(of_fold.map(|letter| Letter { journal: dir.clone(), process: process.clone(), letter }));
        }
    }
    letters.sort_by_key(|letter: &Letter| letter.letter.at);
    Ok(letters)
}

fn find<'a>(data: &DataDir, letters: &[&'a Letter], id: &str, of: Option<&str>) -> Result<&'a Letter> {
    let whose = of.map(|name| format!(" of {name}")).unwrap_or_default();
    let named = |letter: &&&Letter| letter.letter.event.event_id.starts_with(id);
    let matching: Vec<&Letter> = letters.iter().filter(named).copied().collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => bail!("no dead letter{whose} is event '{id}': see `{}`", command(data, "dlq list")),
        several => {
            let ids: Vec<&str> = several.iter().map(|letter| letter.letter.event.event_id.as_str()).collect();
            Err(anyhow!("'{id}' may be any of: {}", ids.join(", ")))
        }
    }
}

fn list(letters: &[&Letter], output: Output) -> Result<ExitCode> {
    match output {
        Output::Json => output::json(&letters)?,
        Output::Human if letters.is_empty() => output::line("there is no dead letter"),
        Output::Human => {
            let mut table = Table::new(&["EVENT", "PROCESS", "KIND", "SINCE", "BECAUSE"]);
            for Letter { process, letter, .. } in letters {
                let DeadLetter { event, reason, at, .. } = letter;
                let (id, kind) = (event.event_id.as_str(), event.trigger_type.as_str());
                let [since, because] = [instant(*at), short(reason)].map(Cell::from);
                table.row(vec![id.into(), process.as_str().into(), kind.into(), since, because]);
            }
            table.print();
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(data: &DataDir, letter: &Letter, output: Output) -> Result<ExitCode> {
    if output == Output::Json {
        output::json(letter)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Letter { process, letter: DeadLetter { event, run, reason, at, redeliveries }, .. } = letter;
    output::line(&event.event_id);
    output::line(&format!("  process  {process}"));
    output::line(&format!("  trigger  {} ({}), at {}", event.trigger_type, event.trigger_id, instant(event.timestamp)));
    output::line(&format!("  because  {}", short(reason)));
    output::line(&format!("  since    {}", instant(*at)));
    if *redeliveries > 0 {
        output::line(&format!("  retried  {} by an operator", counted(*redeliveries, "time")));
    }
    output::line(&format!("  run      {run} (`{}` tells what it did)", command(data, &format!("why {run}"))));
    output::line("  payload");
    for line in serde_json::to_string_pretty(&event.payload)?.lines() {
        output::line(&format!("    {}", crate::story::plain(line)));
    }
    let id = &event.event_id;
    output::line(&format!("  settle   {}", command(data, &format!("dlq retry {id}"))));
    output::line(&format!("           {}", command(data, &format!("dlq drop {id} --note TEXT"))));
    Ok(ExitCode::SUCCESS)
}

/// Sees to each of them and tells of all at the end: whoever reads must not keep the rest from being done.
async fn see_to(letters: &[&Letter], again: bool, note: &str, data: &DataDir) -> (Vec<Value>, Result<()>) {
    let live = ask::connect(data).await.ok();
    let (mut done, mut when_of) = (Vec::new(), BTreeMap::new());
    for Letter { journal, process, letter } in letters {
        let event_id = letter.event.event_id.as_str();
        let seen_to = match &live {
            Some((instance, control)) => ask::reached(control.see_to_dead_letter(process, event_id, again, note).await, instance),
            None => {
                let (event_id, note) = (event_id.to_owned(), note.to_owned());
                let entry = if again { Entry::Redelivered { event_id, note } } else { Entry::Dismissed { event_id, note } };
                decide::write_down(data, journal, process, entry).await
            }
        };
        if let Err(error) = seen_to {
            return (done, Err(error));
        }
        if again && !when_of.contains_key(process) {
            let control = live.as_ref().map(|(_, control)| control);
            when_of.insert(process, decide::when(data, control, process).await);
        }
        let when = when_of.get(process);
        done.push(json!({"event_id": event_id, "process": process, "again": again, "live": live.is_some(), "when": when}));
    }
    (done, Ok(()))
}

/// One object where one was named, else a list.
fn tell(done: &[Value], one: bool, output: Output) -> Result<()> {
    match (output, done) {
        (Output::Json, [only]) if one => output::json(only)?,
        (Output::Json, _) => output::json(&done)?,
        (Output::Human, []) => output::line("there is no dead letter"),
        (Output::Human, _) => done.iter().for_each(|one| output::line(&in_words(one))),
    }
    Ok(())
}

fn in_words(done: &Value) -> String {
    let text = |key: &str| done[key].as_str().unwrap_or_default();
    let then = match done["again"] == true {
        true => format!("{} handles it {}", text("process"), text("when")),
        false => "it is given up".to_owned(),
    };
    format!("{}: recorded; {then}", text("event_id"))
}
