//! A scenario that something cuts off, and the life after it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flyball::core_agent::RunId;
use flyball::journal::history::check;
use flyball::journal::{Decision, Doubt, Entry, MemoryStorage, ProcessFold, Record, Recovery, audit_storage, doubts};
use flyball::runtime::{Control, Settlement};

use super::prefix::state;
use super::{Life, Outside, PROCESSES, event, open};

/// What a client sends, in its order.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub segment: u64,
    /// Process, key, and what is to be done.
    pub events: Vec<(&'static str, String, &'static str)>,
}

/// What a client knows when the lights have gone out.
#[derive(Debug, Default)]
pub struct Known {
    /// The ids under which its events were taken, by process and key.
    pub taken: BTreeMap<(String, String), String>,
    /// An event was taken in the same life in which one had not been made durable.
    pub taken_after_failure: Option<String>,
}

impl Scenario {
    /// What a client sends in a few seconds, chosen by chance.
    pub fn random(random: &mut crate::binary::Random) -> Self {
        let segment = [700, 1500, 4096, 1 << 16][pick(random, 4)];
        let count = 2 + pick(random, 4);
        let one = |number| {
            let what = ["act", "all", "check", "say", "act"][pick(random, 5)];
            (PROCESSES[pick(random, 2)], format!("k{number}"), what)
        };
        Self { segment, events: (0..count).map(one).collect() }
    }

    /// Sends everything in one life on `disk`, whatever becomes of it, and tells what the client knows.
    pub async fn play(&self, disk: &MemoryStorage, outside: &Arc<Outside>) -> Known {
        let mut known = Known::default();
        let Ok((life, _)) = Life::begin(disk, self.segment, outside).await else { return known };
        let mut refused = false;
        for (process, key, what) in &self.events {
            match life.inject(process, event(key, what)).await {
                Ok(receipt) => {
                    if refused {
                        known.taken_after_failure.get_or_insert(key.clone());
                    }
                    known.taken.insert(((*process).to_owned(), key.clone()), receipt.event_id);
                }
                Err(_) => refused = true,
            }
        }
        // A process whose journal is gone fails, and comes to rest in its own way.
        let _ = life.quiet().await;
        let Life { runtime, log, .. } = life;
        drop(runtime);
        log.close();
        known
    }

    /// How many operations on its disk the scenario takes.
    pub async fn operations(&self) -> u64 {
        let disk = MemoryStorage::default();
        let known = self.play(&disk, &Outside::new()).await;
        assert_eq!(known.taken.len(), self.events.len(), "undisturbed, everything is taken");
        disk.operations()
    }

    /// The life after: the client sends everything again, an operator settles what is in doubt, and
    /// everything must have come to its end once.
    pub async fn recover(&self, disk: &MemoryStorage, outside: &Arc<Outside>, known: &Known) -> Result<(), String> {
        let (_, recovery) = open(&disk.fork(), self.segment).map_err(|error| format!("the log does not open: {error}"))?;
        if !recovery.damaged.is_empty() {
            return Err(format!("damaged: {:?}", recovery.damaged));
        }
        let asked = recorded_turns(&recovery, outside);
        outside.watch(disk);
        let begun = Life::begin(disk, self.segment, outside).await;
        let (life, _) = begun.map_err(|error| format!("the log does not open: {error}"))?;
        if !life.refused.is_empty() {
            return Err(format!("not started: {:?}", life.refused));
        }
        self.send_again(&life, known).await?;
        life.quiet().await?;
        nothing_twice(outside)?;
        settle(&life, outside).await?;
        self.all_done(&life, outside).await?;
        for ((run, step), before) in asked {
            if outside.asked(&run.0, &step) > before {
                return Err(format!("the model was asked again for {run}/{step}, which is recorded (P7)"));
            }
        }
        life.end().await;
        agrees(disk, self.segment)
    }

    /// A sender that had no answer, or had one, sends again.
    async fn send_again(&self, life: &Life, known: &Known) -> Result<(), String> {
        for (process, key, what) in &self.events {
            let receipt = life.inject(process, event(key, what)).await.map_err(|error| format!("{key} is refused: {error}"))?;
            let first = known.taken.get(&((*process).to_owned(), key.clone()));
            match first {
                Some(id) if receipt.event_id != *id || !receipt.duplicate => {
                    return Err(format!("{key} was taken as {id} and is not known any more (P1, P2)"));
                }
                _ => {}
            }
            let again = life.inject(process, event(key, what)).await.map_err(|error| format!("{key} is refused: {error}"))?;
            if !again.duplicate || again.event_id != receipt.event_id {
                return Err(format!("{key}, sent twice, was taken twice (P2)"));
            }
        }
        Ok(())
    }

    /// Every event came to its end, and everything that was to happen once did.
    async fn all_done(&self, life: &Life, outside: &Outside) -> Result<(), String> {
        for process in PROCESSES {
            let status = life.status(process).await;
            let sent = self.events.iter().filter(|(to, ..)| *to == process).count() as u64;
            let counts = status.events;
            if counts.accepted != sent || counts.accepted != counts.ended() + status.open_events as u64 {
                return Err(format!("{process}: {sent} events were sent, and it counts {counts:?} (P2, P3)"));
            }
            if counts.completed != sent {
                return Err(format!("{process}: {sent} events were sent, and not all are done: {status:?} (P3)"));
            }
        }
        let wanted: u32 = self
            .events
            .iter()
            .map(|(.., what)| match *what {
                "act" | "check" => 1,
                "all" => 2,
                _ => 0,
            })
            .sum();
        let acts = outside.acts();
        if acts.values().sum::<u32>() != wanted || acts.len() as u32 != wanted {
            return Err(format!("{wanted} things were to happen once, and this happened: {acts:?} (P6)"));
        }
        if let Some(early) = outside.early().first() {
            return Err(format!("{early} left before its intent was durable (P5)"));
        }
        budgets(life, outside).await
    }
}

/// Turns that are recorded, and how often the model was asked for each so far.
fn recorded_turns(recovery: &Recovery, outside: &Outside) -> BTreeMap<(RunId, String), u32> {
    let recorded = recovery.processes.values().flatten().filter_map(|record| match &record.entry {
        Entry::ModelReply { run, step, .. } => Some((run.clone(), step.0.clone())),
        _ => None,
    });
    recorded.map(|(run, step)| ((run.clone(), step.clone()), outside.asked(&run.0, &step))).collect()
}

/// No irreversible call arrived twice without an operator's word.
pub fn nothing_twice(outside: &Outside) -> Result<(), String> {
    match outside.acts().into_iter().find(|(_, count)| *count > 1) {
        Some((key, count)) => Err(format!("irreversible call {key} arrived {count} times (P6)")),
        None => Ok(()),
    }
}

/// Says of every call in doubt what the world outside knows of it.
pub async fn settle(life: &Life, outside: &Outside) -> Result<(), String> {
    // A settled run may come upon its next doubtful call.
    for _ in 0..10 {
        let open: Vec<Doubt> = PROCESSES.into_iter().flat_map(|name| doubts_of(life, name)).collect();
        if open.is_empty() {
            return Ok(());
        }
        for doubt in open {
            let happened = outside.acts().contains_key(&format!("{}/{}", doubt.run, doubt.step));
            let decision = if happened { Decision::Happened { result: "it had".into() } } else { Decision::DidNotHappen };
            let settlement = Settlement { run: doubt.run, step: doubt.step, decision, note: "looked it up".into() };
            life.runtime.resolve(&doubt.process, settlement).await.map_err(|error| error.to_string())?;
        }
        life.quiet().await?;
    }
    Err("calls are in doubt again and again".into())
}

fn doubts_of(life: &Life, process: &str) -> Vec<Doubt> {
    life.log.records(process).map(|records| doubts(&records)).unwrap_or_default()
}

/// No budget counts less than what arrived.
async fn budgets(life: &Life, outside: &Outside) -> Result<(), String> {
    let mut counted = 0;
    for process in PROCESSES {
        counted += life.status(process).await.layers["budget"]["used"]["tool_calls_day"].as_u64().unwrap_or(0);
    }
    let arrived: BTreeSet<String> = outside.calls().iter().map(|call| call.key.clone()).collect();
    if (counted as usize) < arrived.len() {
        return Err(format!("{} calls arrived, and the budgets count {counted} (P8)", arrived.len()));
    }
    Ok(())
}

/// What is left on the disk is whole, agrees with itself, and is in the order in which it was taken.
pub fn agrees(disk: &MemoryStorage, segment: u64) -> Result<(), String> {
    let audit = audit_storage(disk).map_err(|error| error.to_string())?;
    if !audit.damage.is_empty() || audit.torn.is_some() || audit.refused.is_some() {
        return Err(format!("the journal is not whole afterwards: {audit:?}"));
    }
    let (log, recovery) = open(&disk.fork(), segment).map_err(|error| error.to_string())?;
    for (process, records) in &recovery.processes {
        if let Some(found) = check(records).first() {
            return Err(format!("{process}'s records contradict each other: {found:?} (P9)"));
        }
        in_order(process, records)?;
        let (read, again) = (ProcessFold::of(records), log.records(process).map_err(|error| error.to_string())?);
        if state(&read) != state(&ProcessFold::of(&again)) {
            return Err(format!("{process} is another when it is read again (P9)"));
        }
    }
    Ok(())
}

/// Runs begin in the order in which their events were taken.
pub fn in_order(process: &str, records: &[Record]) -> Result<(), String> {
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last = 0;
    for record in records {
        match &record.entry {
            Entry::TriggerEvent { event, .. } => drop(taken.insert(&event.event_id, record.seq)),
            Entry::InvocationStart { event_id, attempt: 1, .. } => {
                let seq = taken.get(event_id.as_str()).copied().unwrap_or(0);
                if seq < last {
                    return Err(format!("{process}: event {event_id} begins after one that came later (P4)"));
                }
                last = seq;
            }
            _ => {}
        }
    }
    Ok(())
}

fn pick(random: &mut crate::binary::Random, below: u64) -> usize {
    usize::try_from(random.below(below)).unwrap_or(0)
}
