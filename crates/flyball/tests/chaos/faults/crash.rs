//! F21, and the in-memory half of F06, F08 and F09: a process that ends at any operation on its disk.

use std::fmt;
use std::sync::Arc;

use flyball::journal::{Fault as Broken, MemoryStorage};

use crate::binary::Random;
use crate::memory::{Life, Outside, Scenario, block_on, event};
use crate::tally::{Plan, Tally};

/// They wait for the journal's writer more than they compute.
const THREADS: usize = 8;

/// One crash.
pub struct Crash {
    pub scenario: Scenario,
    /// What the disk does at which operation.
    pub broken: Vec<Broken>,
    /// Which of the unsynced writes a power cut leaves; without, the process alone was killed.
    pub kept: Option<u64>,
    /// Pages that a power cut may tear writes into.
    pub pages: Option<u64>,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent: Vec<String> =
            self.scenario.events.iter().map(|(process, key, what)| format!("{process}/{key}:{what}")).collect();
        write!(f, "{} in segments of {}; {:?}", sent.join(" "), self.scenario.segment, self.broken)?;
        match self.kept {
            None => f.write_str("; killed"),
            Some(kept) => write!(f, "; power cut, kept {kept:b}, pages {:?}", self.pages),
        }
    }
}

impl Crash {
    fn disk(&self) -> MemoryStorage {
        self.pages.map_or_else(MemoryStorage::default, MemoryStorage::with_pages)
    }

    /// Plays the scenario up to the crash and judges the life after it.
    pub fn judge(&self) -> Result<(), String> {
        let (disk, outside) = (self.disk(), Outside::new());
        disk.set_faults(&self.broken);
        outside.watch(&disk);
        let known = block_on(self.scenario.play(&disk, &outside));
        if let Some(key) = &known.taken_after_failure {
            return Err(format!("{key} was taken though an event before it could not be made durable (P11)"));
        }
        let after = match self.kept {
            None => disk.fork(),
            Some(kept) => disk.power_cut(|index| kept >> (index % 64) & 1 != 0),
        };
        // What was early was so in the life before.
        if let Some(early) = outside.early().first() {
            return Err(format!("{early} left before its intent was durable (P5)"));
        }
        block_on(self.scenario.recover(&after, &outside, &known))
    }
}

/// Crashes at operations that chance chooses.
pub fn between_intent_and_result(plan: &Plan, tally: &Tally) {
    tally.part("killed at an operation of its disk, in scenarios that chance chooses");
    let mut random = plan.random(21);
    let crashes: Vec<Crash> =
        (0..plan.count(60, 1_400)).map(|_| chosen(&mut random, |stop, _| vec![Broken::FailFrom(stop)])).collect();
    tally.each(THREADS, &crashes, Crash::judge);
    tally.part("killed while a call was out, which nobody answered");
    let tools = ["put", "act", "act_checked"];
    let hangs: Vec<Hang> = (0..plan.count(18, 600))
        .map(|number| Hang { tool: tools[number as usize % 3], power: number % 2 == 0, number })
        .collect();
    tally.each(THREADS, &hangs, |hang| block_on(hang.judge()));
}

fn chosen(random: &mut Random, broken: impl Fn(u64, &mut Random) -> Vec<Broken>) -> Crash {
    let scenario = Scenario::random(random);
    let operations = block_on(scenario.operations());
    let stop = random.below(operations);
    let broken = broken(stop, random);
    let kept = (random.below(3) > 0).then(|| random.below(u64::MAX));
    let pages = (random.below(2) > 0).then_some(512);
    Crash { scenario, broken, kept, pages }
}

/// A call that is out when the machine goes down.
struct Hang {
    tool: &'static str,
    power: bool,
    number: u64,
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out, power cut: {}, number {}", self.tool, self.power, self.number)
    }
}

impl Hang {
    async fn judge(&self) -> Result<(), String> {
        let (disk, outside) = (MemoryStorage::default(), Outside::new());
        let segment = [900, 4096][(self.number as usize / 2) % 2];
        let what = if self.tool == "act_checked" && self.number % 4 < 2 { "check" } else { "all" };
        let mut events = vec![("other", "before".to_owned(), "act"), ("shop", "hangs".to_owned(), what)];
        events.truncate(2);
        let scenario = Scenario { segment, events };
        let (life, _) = Life::begin(&disk, segment, &outside).await.map_err(|error| error.to_string())?;
        let mut known = crate::memory::Known::default();
        for (process, key, what) in &scenario.events {
            if *process == "shop" {
                outside.hang_in(self.tool);
            }
            let receipt = life.inject(process, event(key, what)).await.map_err(|error| error.to_string())?;
            known.taken.insert(((*process).to_owned(), key.clone()), receipt.event_id);
            if *process == "other" {
                life.quiet().await?;
            }
        }
        outside.hung().await;
        let after = if self.power { disk.power_cut(|_| false) } else { disk.fork() };
        let (outside, before) = (outside.fork(), outside.acts());
        let at_rest = self.rest(&after, segment, &outside).await?;
        if self.tool == "act" && outside.acts() != before {
            return Err(format!("an irreversible call in doubt was made again: {:?} (P6)", outside.acts()));
        }
        if self.tool == "act" && !at_rest {
            return Err("a call in doubt did not hold its run (P6)".into());
        }
        scenario.recover(&after, &outside, &known).await
    }

    /// A life in which nobody says a word. Whether a run is held in the end.
    async fn rest(&self, disk: &MemoryStorage, segment: u64, outside: &Arc<Outside>) -> Result<bool, String> {
        let (life, _) = Life::begin(disk, segment, outside).await.map_err(|error| error.to_string())?;
        life.quiet().await?;
        let held = !life.status("shop").await.held_runs.is_empty();
        life.end().await;
        Ok(held)
    }
}

/// Every operation of a fixed scenario, and every subset of what was not synced (or many of them).
pub fn power_cuts(plan: &Plan, tally: &Tally) {
    for (pages, name) in [(None, "whole writes"), (Some(512), "pages of 512 bytes")] {
        tally.part(format!("power cut at an operation, with any subset of the unsynced {name} kept"));
        let scenario = Scenario {
            segment: 900,
            events: vec![("shop", "a".into(), "act"), ("other", "b".into(), "say"), ("shop", "c".into(), "check")],
        };
        let operations = block_on(scenario.operations());
        let mut random = plan.random(6);
        let mut crashes = Vec::new();
        for stop in 0..=operations {
            let subsets: Vec<u64> = match pages {
                None => (0..16).collect(),
                Some(_) => [0, u64::MAX].into_iter().chain((0..14).map(|_| random.below(u64::MAX))).collect(),
            };
            for kept in subsets {
                crashes.push(Crash { scenario: scenario.clone(), broken: vec![Broken::FailFrom(stop)], kept: Some(kept), pages });
            }
        }
        tally.each(THREADS, &plan.sample(crashes, 80), Crash::judge);
    }
}

/// What becomes of the n-th operation, in words and as the disk is told.
type Kind = (&'static str, fn(u64) -> Broken);

/// Every operation fails once, or for ever.
pub fn failing_operations(plan: &Plan, tally: &Tally) {
    each_operation(plan, tally, &[("fails once", Broken::FailOperation), ("fails, and all after it", Broken::FailFrom)]);
}

/// Every write is half of one.
pub fn torn_operations(plan: &Plan, tally: &Tally) {
    each_operation(plan, tally, &[("is a write of half its bytes", Broken::TearOperation)]);
}

fn each_operation(plan: &Plan, tally: &Tally, kinds: &[Kind]) {
    let scenario = Scenario {
        segment: 900,
        events: vec![
            ("shop", "a".into(), "act"),
            ("other", "b".into(), "say"),
            ("shop", "c".into(), "check"),
            ("shop", "d".into(), "all"),
        ],
    };
    let operations = block_on(scenario.operations());
    for (name, broken) in kinds {
        tally.part(format!("the n-th operation {name}, every n; then a new life"));
        let all = (0..operations + 4).map(|stop| Crash {
            scenario: scenario.clone(),
            broken: vec![broken(stop)],
            kept: None,
            pages: None,
        });
        tally.each(THREADS, &plan.sample(all.collect(), 25), Crash::judge);
    }
}
