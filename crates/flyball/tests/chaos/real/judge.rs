//! What must hold of a node that was treated badly and came to rest.

use std::collections::{BTreeMap, BTreeSet};

use flyball::journal::history::check;
use flyball::journal::{Entry, ProcessFold, Record};
use serde_json::Value;

use super::client::Promises;
use super::node::{Node, holding};
use crate::memory::in_order;
use crate::world::{Arrival, CANARY};

/// What is expected.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// An operator has settled what was in doubt, so everything is done.
    pub settled: bool,
}

/// Judges a node that is not running, by its journal, its ledger and what senders were told.
pub fn judge(node: &Node, senders: &[Promises], verdict: Verdict) -> Result<(), String> {
    let records = flyball::journal::read(&node.journal()).map_err(|error| error.to_string())?;
    let ledger = node.ledger();
    let (worker, listener) = (of(&records, "worker"), of(&records, "listener"));
    for said in senders {
        if let Some(wrong) = said.wrong.first() {
            return Err(wrong.clone());
        }
        promised(said, &worker)?;
    }
    counted(&worker)?;
    counted(&listener)?;
    in_order("worker", &worker)?;
    calls(&ledger, &worker)?;
    emitted(&worker, &listener)?;
    whole(node)?;
    quiet(node)?;
    if verdict.settled { all_done(&ledger, &worker) } else { held(node, &ledger, &worker) }?;
    for (name, records) in [("worker", &worker), ("listener", &listener)] {
        if let Some(found) = check(records.iter()).first() {
            return Err(format!("{name}'s records contradict each other: {found:?} (P9)"));
        }
    }
    Ok(())
}

fn of(records: &[Record], process: &str) -> Vec<Record> {
    records.iter().filter(|record| record.process == process).cloned().collect()
}

/// P1, P2, P4: what was promised is there, once, and in the order of the promises.
fn promised(said: &Promises, worker: &[Record]) -> Result<(), String> {
    let mut by_key: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    for record in worker {
        if let Entry::TriggerEvent { event, .. } = &record.entry
            && by_key.insert(event.key(), (&event.event_id, record.seq)).is_some()
        {
            return Err(format!("{} was taken twice (P2)", event.key()));
        }
    }
    let mut last = 0;
    for (key, id, _) in &said.taken {
        let Some((found, seq)) = by_key.get(format!("idempotency-key:{key}").as_str()) else {
            return Err(format!("{key} was answered with yes as {id} and is not in the journal (P1)"));
        };
        if found != id {
            return Err(format!("{key} was answered as {id} and is in the journal as {found} (P2)"));
        }
        if *seq < last {
            return Err(format!("{key} was answered after one that came later in the journal (P4)"));
        }
        last = *seq;
    }
    Ok(())
}

/// P3, and P2 by runs: every event that was taken ended in one way, or is open; each had one run.
fn counted(records: &[Record]) -> Result<(), String> {
    let fold = ProcessFold::of(records.iter());
    let counts = fold.events;
    if counts.accepted != counts.ended() + fold.open_events.len() as u64 {
        return Err(format!("accepted is not what ended and what is open: {counts:?}, {} open (P3)", fold.open_events.len()));
    }
    let mut runs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in records {
        if let Entry::InvocationStart { run, event_id, .. } = &record.entry {
            runs.entry(event_id).or_default().insert(&run.0);
        }
    }
    match runs.iter().find(|(_, runs)| runs.len() > 1) {
        Some((event, runs)) => Err(format!("event {event} had several runs: {runs:?} (P2)")),
        None => Ok(()),
    }
}

/// P5, P6, P7: what the world outside saw.
fn calls(ledger: &[Arrival], worker: &[Record]) -> Result<(), String> {
    let mut acts: BTreeMap<&str, u32> = BTreeMap::new();
    for arrival in ledger {
        match (arrival.tool.as_str(), arrival.written) {
            ("model", true) => return Err(format!("the model was asked for {} though its reply was recorded (P7)", arrival.key)),
            ("put" | "act" | "act_checked", false) => {
                return Err(format!("{} {} arrived and its intent was not written (P5)", arrival.tool, arrival.key));
            }
            ("act" | "act_checked", true) => *acts.entry(&arrival.key).or_default() += 1,
            _ => {}
        }
        if arrival.tool == "put" && !arrival.secret {
            return Err(format!("put {} came without its secret", arrival.key));
        }
    }
    if let Some((key, count)) = acts.iter().find(|(_, count)| **count > 1) {
        return Err(format!("irreversible call {key} arrived {count} times (P6)"));
    }
    let intents: BTreeSet<String> = worker.iter().filter_map(intent).collect();
    match acts.keys().find(|key| !intents.contains(**key)) {
        Some(key) => Err(format!("call {key} arrived and no intent of it is in the journal (P5)")),
        None => Ok(()),
    }
}

fn intent(record: &Record) -> Option<String> {
    match &record.entry {
        Entry::ToolCall { run, step, .. } => Some(format!("{run}/{step}")),
        _ => None,
    }
}

/// What `worker` emitted with a known result reached `listener` once.
fn emitted(worker: &[Record], listener: &[Record]) -> Result<(), String> {
    let mut heard: BTreeMap<&str, u32> = BTreeMap::new();
    for record in listener {
        if let Entry::TriggerEvent { event, .. } = &record.entry {
            *heard.entry(event.key()).or_default() += 1;
        }
    }
    if let Some((key, count)) = heard.iter().find(|(_, count)| **count > 1) {
        return Err(format!("listener heard {key} {count} times (P2)"));
    }
    let mut calls: BTreeMap<String, bool> = BTreeMap::new();
    for record in worker {
        match &record.entry {
            Entry::ToolCall { run, step, tool, .. } if tool == "emit_event" => drop(calls.insert(format!("{run}/{step}"), false)),
            Entry::ToolResult { run, step, reply, .. } => {
                calls.entry(format!("{run}/{step}")).and_modify(|answered| *answered = !reply.is_error);
            }
            _ => {}
        }
    }
    match calls.iter().find(|(key, answered)| **answered && !heard.contains_key(key.as_str())) {
        Some((key, _)) => Err(format!("event {key} was emitted, and listener never heard of it (P1)")),
        None => Ok(()),
    }
}

/// The journal is whole, says the program itself.
fn whole(node: &Node) -> Result<(), String> {
    let verified = node.ask(&["journal", "verify"]);
    if verified.code != Some(0) || verified.stdout.contains("torn") {
        return Err(format!("journal verify: {} {} (P9, P10)", verified.stdout, verified.stderr));
    }
    Ok(())
}

/// P17 and no panic: nothing that must not be said was said.
fn quiet(node: &Node) -> Result<(), String> {
    let said = node.said();
    if said.contains("panicked") {
        let at = said.find("panicked").unwrap_or(0);
        return Err(format!("it panicked: {}", said[at..].chars().take(300).collect::<String>()));
    }
    match holding(&node.dir, CANARY).first() {
        Some(path) => Err(format!("a secret's value stands in {} (P17)", path.display())),
        None => Ok(()),
    }
}

/// P6: every irreversible call without a known result is shown to an operator.
fn held(node: &Node, ledger: &[Arrival], worker: &[Record]) -> Result<(), String> {
    let doubts: Value = serde_json::from_str(&node.ask(&["indoubt", "-o", "json"]).stdout).map_err(|error| error.to_string())?;
    let shown: BTreeSet<String> =
        doubts.as_array().into_iter().flatten().filter_map(|doubt| Some(doubt["id"].as_str()?.to_owned())).collect();
    let answered = answered(worker);
    let arrived = ledger.iter().filter(|arrival| arrival.tool.starts_with("act")).map(|arrival| &arrival.key);
    match arrived.into_iter().find(|key| !answered.contains(*key) && !shown.contains(*key)) {
        Some(key) => Err(format!("call {key} arrived, its result is not recorded, and nobody is told (P6)")),
        None => Ok(()),
    }
}

fn answered(worker: &[Record]) -> BTreeSet<String> {
    worker
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::ToolResult { run, step, .. } | Entry::Settled { run, step, .. } => Some(format!("{run}/{step}")),
            _ => None,
        })
        .collect()
}

/// Everything came to its end, and what was to happen once did.
fn all_done(ledger: &[Arrival], worker: &[Record]) -> Result<(), String> {
    let fold = ProcessFold::of(worker.iter());
    if fold.events.completed != fold.events.accepted {
        return Err(format!("not everything is done: {:?} (P3)", fold.events));
    }
    let mut wanted = 0;
    for record in worker {
        if let Entry::TriggerEvent { event, .. } = &record.entry {
            wanted += match event.payload["do"].as_str() {
                Some("act" | "check") => 1,
                Some("all") => 2,
                _ => 0,
            };
        }
    }
    let acts: BTreeSet<&str> =
        ledger.iter().filter(|arrival| arrival.tool.starts_with("act")).map(|arrival| arrival.key.as_str()).collect();
    if acts.len() != wanted {
        return Err(format!("{wanted} things were to happen once, and {} did (P6)", acts.len()));
    }
    Ok(())
}

/// An operator says of every call in doubt what the world outside knows of it. Says how many there were.
pub fn settle(node: &Node) -> Result<usize, String> {
    let doubts: Value = serde_json::from_str(&node.ask(&["indoubt", "-o", "json"]).stdout).map_err(|error| error.to_string())?;
    let ledger = node.ledger();
    let doubts = doubts.as_array().cloned().unwrap_or_default();
    for doubt in &doubts {
        let id = doubt["id"].as_str().unwrap_or_default();
        let happened = ledger.iter().any(|arrival| arrival.key == id);
        let decision = if happened { "--happened" } else { "--did-not-happen" };
        let ended = node.ask(&["resolve", id, decision, "--note", "looked it up"]);
        if ended.code != Some(0) {
            return Err(format!("resolve {id}: {}", ended.stderr));
        }
    }
    Ok(doubts.len())
}
