//! Runs that are killed, and what the run after them makes of it.

mod label;
mod verdict;

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use flyball_journal::{ProcessFold, Record};

use super::binary::{LONG, Live, Scene, finish};
use label::Labels;
pub use verdict::{Row, verdict};

/// When a run is killed.
#[derive(Debug, Clone)]
pub enum Moment {
    /// As soon as the record with this label is durable.
    After(&'static str),
    /// A little after so many records are durable.
    Later {
        /// So many.
        records: u64,
        /// A little.
        micros: u64,
    },
}

/// Kills, one after the other, before a run that nobody disturbs.
#[derive(Debug)]
pub struct Case {
    /// The first kill cuts off the first run, the second one the run after it, and so on.
    pub moments: Vec<Moment>,
}

/// So many runs at a time: they wait more than they work.
const AT_A_TIME: usize = 4;

/// A run may be over before the kill comes, where the machine is busy. Then the case begins anew.
const MAX_TRIES: usize = 5;

/// The file that arrives damaged in a first run.
pub const DAMAGED: &str = "weather-2013-01.csv";

/// The moment after the record with this label; see [`Labels`].
pub fn after(label: &'static str) -> Moment {
    Moment::After(label)
}

impl Moment {
    /// The kind of the record, where the moment is after one of a kind.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::After(label) => label.split(' ').nth(1),
            Self::Later { .. } => None,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::After(label) => (*label).to_owned(),
            Self::Later { records, micros } => format!("{records} records and {:.1} ms", *micros as f64 / 1000.0),
        }
    }
}

impl Case {
    /// A case of these kills.
    pub fn new<const N: usize>(moments: [Moment; N]) -> Self {
        Self { moments: moments.to_vec() }
    }

    fn describe(&self) -> String {
        self.moments.iter().map(Moment::describe).collect::<Vec<_>>().join(", then ")
    }

    fn run(&self) -> Row {
        for _ in 0..MAX_TRIES {
            let scene = Scene::new();
            scene.tick_often();
            if !self.moments.iter().all(|moment| kill_at(&scene, moment)) {
                continue;
            }
            let on_disk = scene.records();
            let again = finish(&mut next_run(&scene), LONG);
            return verdict(&scene, &on_disk, &again);
        }
        panic!("in {MAX_TRIES} tries every run was over before it could be killed");
    }
}

/// Runs all cases, prints a table of them, and fails if one did.
pub fn kills(cases: &[Case]) -> Vec<Row> {
    let next = Mutex::new(cases.iter().enumerate());
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some((number, case)) = next.lock().expect("no holder panics").next() else { return };
                    // A thread of its own, so that a case that fails does not take the others with it.
                    let result = std::thread::scope(|scope| scope.spawn(|| case.run()).join());
                    results.lock().expect("no holder panics").push((number, case, result));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no holder panics");
    results.sort_by_key(|(number, ..)| *number);
    println!("| killed after | last durable record on disk | outcome |\n|---|---|---|");
    let mut rows = Vec::new();
    let mut failed = 0;
    for (_, case, result) in results {
        match result {
            Ok(row) => {
                println!("| {} | {} | {} |", case.describe(), row.last, row.outcome);
                rows.push(row);
            }
            Err(_) => {
                println!("| {} | ? | FAILED: see above |", case.describe());
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 0, "of {} cases", cases.len());
    rows
}

/// The next run. While a mission is on whose damaged file has arrived no second one does: it could
/// come at the very end and find nobody who mends it.
pub fn next_run(scene: &Scene) -> Command {
    let mut run = scene.run();
    let arrived = ["inbox", "quarantine"].iter().any(|folder| scene.work(folder).join(DAMAGED).exists());
    if arrived && mission_is_on(scene) {
        run.env("PIPELINE_INCIDENT", "off");
    }
    run
}

fn mission_is_on(scene: &Scene) -> bool {
    let records = scene.records();
    !ProcessFold::of(records.iter().filter(|record| record.process == "responder")).state.is_over()
}

/// Starts a run and kills it at the moment. False if it was over before.
fn kill_at(scene: &Scene, moment: &Moment) -> bool {
    let mut live = Live::start(next_run(scene).args(["-o", "json"]));
    let mut labels = Labels::default();
    let mut records = 0;
    loop {
        let Some(line) = live.line(LONG, |_| true) else { return false };
        // Before the first one it is told what there is, and after the last one what it came to.
        let Ok(record) = serde_json::from_str::<Record>(&line) else { continue };
        records += 1;
        let label = labels.of(&record);
        match moment {
            Moment::After(wanted) if label.starts_with(wanted) => break,
            Moment::Later { records: wanted, micros } if records == *wanted => {
                std::thread::sleep(Duration::from_micros(*micros));
                break;
            }
            _ => {}
        }
    }
    let hit = live.kill9();
    let left = scene.servers_left(LONG);
    assert!(left.is_empty(), "servers outlive their client: {left:?}");
    hit
}

/// Sends a signal to any process; says whether that could be done.
pub fn signal(pid: u32, name: &str) -> bool {
    Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("kill runs").success()
}
