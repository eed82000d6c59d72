//! `check_health`: what is wrong now, looked up in the files and the warehouse each time.

use std::time::{Duration, SystemTime};

use chrono::NaiveDate;
use serde::Serialize;

use crate::drops::{Place, RawDrop};
use crate::load::RERUN_LOAD;
use crate::pipeline::NAME;
use crate::{Error, Pipeline};

/// So many problems are told in full; the others are counted.
const MAX_PROBLEMS: usize = 20;

/// A problem that lasts longer gets a new id, so that an alert that came to nothing is raised again.
const REMIND_EVERY: Duration = Duration::from_secs(300);

/// The pipeline's health. `healthy` comes first, because long answers are quoted from their beginning.
#[derive(Debug, Clone, PartialEq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Health {
    /// Whether there is no problem at all.
    pub healthy: bool,
    /// The pipeline.
    pub pipeline: String,
    /// What is wrong, the oldest drop first; at most 20.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: usize,
    /// Rows in the warehouse.
    pub rows: usize,
    /// Drops that should be loaded: those in the inbox, and the good rows of those in quarantine.
    pub files_expected: usize,
    /// Drops that are.
    pub files_loaded: usize,
    /// Drops in quarantine.
    pub files_quarantined: usize,
    /// Drops in the inbox whose columns are not the announced ones.
    pub schema_drift: Vec<Drift>,
    /// Cells without a value in the inbox.
    pub nulls: usize,
    /// How far the warehouse is behind the drops.
    pub freshness: Freshness,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Problem {
    /// Names the problem. It stays the same until something new happens to it: another kind of
    /// problem, a load that failed to cure it, or five more minutes.
    pub id: String,
    /// The drop.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// Whether the caller named it in `alerted`.
    pub alerted: bool,
}

/// How a drop's columns differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Drift {
    /// The drop.
    pub file: String,
    /// Columns that it lacks.
    pub missing_columns: Vec<String>,
    /// Columns that nobody announced.
    pub extra_columns: Vec<String>,
}

/// How far the warehouse is behind the newest day in the drops. The wall clock plays no part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, rmcp::schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
pub struct Freshness {
    /// The newest good day in the drops.
    pub newest_in_drops: Option<String>,
    /// The newest day in the warehouse.
    pub newest_in_warehouse: Option<String>,
    /// Days between them; 0 is fresh, nothing where one of the two is empty.
    pub days_behind: Option<i64>,
}

impl Pipeline {
    /// Looks at everything. `alerted` names the problems (by id) that the caller knows already.
    pub fn health(&self, alerted: &[String]) -> Result<Health, Error> {
        // Held, so that a quarantine or a load under way is seen before or after, not in between.
        let _still = self.lock_shared()?;
        let warehouse = self.warehouse()?;
        let (loads, days) = (warehouse.loads()?, warehouse.days()?);
        let (drops, failed_loads) = (self.all_drops()?, self.failed_loads()?);
        let mut problems: Vec<(SystemTime, Problem)> = Vec::new();
        let mut files_loaded = 0;
        for drop in &drops {
            let loaded = drop.is_loaded(&loads, &days);
            match trouble(drop, loaded, loads.contains(&(drop.source(), drop.sha256.clone()))) {
                Some((kind, problem)) => {
                    problems.push((drop.arrived, Problem::of(drop, kind, problem, failed_loads, alerted)));
                }
                None => files_loaded += 1,
            }
        }
        problems.sort_by_key(|(arrived, _)| *arrived);
        let inbox = || drops.iter().filter(|drop| drop.place == Place::Inbox);
        Ok(Health {
            healthy: problems.is_empty(),
            pipeline: NAME.to_owned(),
            problem_count: problems.len(),
            problems: problems.into_iter().map(|(_, problem)| problem).take(MAX_PROBLEMS).collect(),
            rows: days.len(),
            files_expected: drops.len(),
            files_loaded,
            files_quarantined: drops.len() - inbox().count(),
            schema_drift: inbox().filter_map(drift).take(MAX_PROBLEMS).collect(),
            nulls: inbox().map(|drop| drop.report.nulls).sum(),
            freshness: Freshness::of(drops.iter().filter_map(|drop| drop.report.newest()).max(), days.into_iter().max()),
        })
    }
}

impl Pipeline {
    /// How many loads failed since the last that did not.
    fn failed_loads(&self) -> Result<usize, Error> {
        let lines = self.ledger().read()?;
        let loads = lines.iter().rev().filter(|line| line.tool == RERUN_LOAD);
        Ok(loads.take_while(|line| line.acted != Some(true)).filter(|line| line.error.is_some()).count())
    }
}

impl Problem {
    fn of(drop: &RawDrop, kind: &str, mut problem: String, failed_loads: usize, alerted: &[String]) -> Self {
        // Such characters would break a list of ids that is kept as text, or have to be escaped in one.
        let mut id = format!("{kind}:{}", drop.name.replace([',', '"', '\\'], "_"));
        if failed_loads > 0 && kind != BAD_DROP {
            id.push_str(&format!(":failed-{failed_loads}"));
            problem.push_str(&format!(" (failed loads: {failed_loads})"));
        }
        let age = SystemTime::now().duration_since(drop.arrived).unwrap_or_default();
        if age >= REMIND_EVERY {
            id.push_str(&format!(":again-{}", age.as_secs() / REMIND_EVERY.as_secs()));
        }
        Self { alerted: alerted.contains(&id), id, file: drop.name.clone(), problem }
    }
}

impl Freshness {
    fn of(drops: Option<NaiveDate>, warehouse: Option<NaiveDate>) -> Self {
        let behind = drops.zip(warehouse).map(|(drops, warehouse)| (drops - warehouse).num_days().max(0));
        Self {
            newest_in_drops: drops.map(|day| day.to_string()),
            newest_in_warehouse: warehouse.map(|day| day.to_string()),
            days_behind: behind,
        }
    }
}

/// The one kind of problem that a load does not cure.
const BAD_DROP: &str = "bad_drop";

/// What kind of trouble a drop is in, and what to say of it.
fn trouble(drop: &RawDrop, loaded: bool, was_loaded: bool) -> Option<(&'static str, String)> {
    let of_rows = || format!("{} good rows", drop.report.good.len());
    match drop.place {
        Place::Inbox if !drop.report.is_clean() => Some((BAD_DROP, drop.report.summary().unwrap_or_default())),
        _ if loaded => None,
        _ if was_loaded => Some(("rows_lost", format!("some of its {} are no longer in the warehouse", of_rows()))),
        Place::Inbox => Some(("not_loaded", format!("valid, but its {} are not in the warehouse yet", of_rows()))),
        Place::Quarantine => Some(("not_saved", format!("in quarantine, but its {} are not in the warehouse yet", of_rows()))),
    }
}

fn drift(drop: &RawDrop) -> Option<Drift> {
    let (missing, extra) = (&drop.report.missing_columns, &drop.report.extra_columns);
    let drifted = !missing.is_empty() || !extra.is_empty();
    drifted.then(|| Drift { file: drop.name.clone(), missing_columns: missing.clone(), extra_columns: extra.clone() })
}
