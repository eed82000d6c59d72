//! F48: a journal that grows, and how much of it is kept.

use std::sync::Arc;

use chrono::Utc;
use flyball::journal::history::check;
use flyball::journal::{Entry, Log, MemoryStorage, Record, Retention, Storage, audit_storage};

use serde_json::json;
use tokio::sync::broadcast::Receiver;

use crate::memory::{Life, Outside, block_on, event, open, segments};
use crate::tally::{Plan, Tally};

const SEGMENT: u64 = 1 << 16;

/// So much is kept.
const KEEP: u64 = 512 * 1024;

/// A process writes a checkpoint every 2,000 records; two of those stand behind what is dropped.
const BOUND: u64 = 6 << 20;

pub fn grows(plan: &Plan, tally: &Tally) {
    tally.part("thousands of events, compacted again and again: the journal stays small, and nothing that is needed is lost");
    let rounds = plan.count(3, 30);
    let result = block_on(many_events(rounds, tally));
    tally.counted(rounds, "compacted", result);
    tally.part("a process that is damaged: what is left of it stays, however little is to be kept");
    tally.counted(1, "compacted", block_on(evidence()));
}

/// Of a damaged process nobody knows what it still needs.
async fn evidence() -> Result<(), String> {
    let disk = MemoryStorage::default();
    let (log, _) = open(&disk, SEGMENT).map_err(|error| error.to_string())?;
    let note = |number: u64| Entry::Note { layer: "suite".into(), run: None, body: json!(number) };
    for number in 0..3 {
        log.process("damaged").append(vec![note(number)]).await.map_err(|error| error.to_string())?;
    }
    let first = segments(&disk)[0].clone();
    log.close();
    disk.damage(&first, |bytes| {
        let place = bytes.windows(8).position(|part| part == b"\"body\":0").expect("it is written down");
        bytes[place + 7] = b'9';
    });
    let (log, recovery) = open(&disk, SEGMENT).map_err(|error| error.to_string())?;
    if !recovery.damaged.contains_key("damaged") {
        return Err("a record was changed, and nobody says so (P10)".into());
    }
    for _ in 0..20 {
        let large = Entry::Note { layer: "suite".into(), run: None, body: json!("x".repeat(SEGMENT as usize)) };
        log.process("other").append(vec![large]).await.map_err(|error| error.to_string())?;
    }
    compact(&log)?;
    log.close();
    if segments(&disk).contains(&first) {
        Ok(())
    } else {
        Err(format!("{first} is gone, with what was left of a damaged process"))
    }
}

/// Events of a round: some make a checkpoint due.
const EACH: u64 = 250;

async fn many_events(rounds: u64, tally: &Tally) -> Result<(), String> {
    let (mut disk, outside) = (MemoryStorage::default(), Outside::new());
    let (mut life, _) = Life::begin(&disk, SEGMENT, &outside).await.map_err(|error| error.to_string())?;
    outside.hang_in("act");
    life.inject("other", event("held", "act")).await.map_err(|error| error.to_string())?;
    outside.hung().await;
    life.log.close();
    let mut written = records_of("shop", &mut life.records);
    drop(life);
    let outside = outside.fork();
    let mut most = 0;
    let mut dropped = 0;
    for round in 0..rounds {
        disk = disk.fork();
        let (mut life, _) = Life::begin(&disk, SEGMENT, &outside).await.map_err(|error| error.to_string())?;
        for number in 0..EACH {
            let key = format!("{round}-{number}");
            life.inject("shop", event(&key, "say")).await.map_err(|error| error.to_string())?;
        }
        life.quiet().await?;
        // What was sent in the round before is known, whatever was dropped since.
        if round > 0 {
            let receipt =
                life.inject("shop", event(&format!("{}-0", round - 1), "say")).await.map_err(|error| error.to_string())?;
            if !receipt.duplicate {
                return Err(format!("round {round}: an event of the round before is not known any more (P2)"));
            }
        }
        dropped += compact(&life.log)?;
        let status = life.status("shop").await;
        if status.events.completed != (round + 1) * EACH {
            return Err(format!("round {round}: {:?} (P3)", status.events));
        }
        if life.status("other").await.held_runs.len() != 1 {
            return Err(format!("round {round}: a held run of an idle process is lost (P6)"));
        }
        life.runtime.shutdown().await;
        life.log.close();
        written.extend(records_of("shop", &mut life.records));
        drop(life);
        let size: u64 = segments(&disk).iter().map(|name| disk.len(name).unwrap_or(0)).sum();
        most = most.max(size);
        if size > BOUND {
            return Err(format!("round {round}: the journal has {size} bytes"));
        }
        whole(&disk, round)?;
    }
    agree(&written)?;
    tally.note(format!(
        "{} events; the journal never had more than {} KiB, {dropped} segments were dropped",
        rounds * EACH,
        most / 1024
    ));
    Ok(())
}

fn records_of(process: &str, watched: &mut Receiver<Arc<Record>>) -> Vec<Record> {
    let all = std::iter::from_fn(|| watched.try_recv().ok());
    all.filter(|record| record.process == process).map(|record| Record::clone(&record)).collect()
}

/// All records that there ever were, with the checkpoints among them.
fn agree(written: &[Record]) -> Result<(), String> {
    if !written.iter().any(|record| matches!(record.entry, Entry::Checkpoint { .. })) {
        return Err(format!("there is no checkpoint among {} records", written.len()));
    }
    match check(written).first() {
        Some(found) => Err(format!("shop's records contradict each other: {found:?} (P9)")),
        None => Ok(()),
    }
}

fn compact(log: &Arc<Log>) -> Result<usize, String> {
    let keep = Retention { max_bytes: Some(KEEP), max_age: None };
    log.compact(&keep, Utc::now()).map(|done| done.dropped.len()).map_err(|error| error.to_string())
}

fn whole(disk: &MemoryStorage, round: u64) -> Result<(), String> {
    let audit = audit_storage(disk).map_err(|error| error.to_string())?;
    let (_, recovery) = open(&disk.fork(), SEGMENT).map_err(|error| error.to_string())?;
    if !audit.damage.is_empty() || !recovery.damaged.is_empty() {
        return Err(format!("round {round}: {:?} {:?} (P9)", audit.damage, recovery.damaged));
    }
    Ok(())
}
