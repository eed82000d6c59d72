//! `cargo xtask chaos`: every fault that flyball says it survives, tried and counted; and, with `--mutants`,
//! whether the suite can fail at all.

mod mutants;
mod mutations;
mod page;
mod row;
mod sources;
mod suite;
mod table;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::bench::Machine;
use crate::workspace::Workspace;
use row::Row;
use suite::{Plan, Suite};

/// What `cargo xtask chaos` accepts.
#[derive(clap::Args)]
pub struct Options {
    /// Only these faults, separated by commas; the page is left as it is
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    fault: Vec<String>,
    /// Try each part of each fault so often, and not as often as it wants to be; the page is left as it is
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    trials: Option<u64>,
    /// A few trials of everything; the page is left as it is
    #[arg(long)]
    quick: bool,
    /// Chance begins here [default: the suite's own]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Try the suite and not flyball: take away what keeps a promise, and see whether a fault notices
    #[arg(long)]
    mutants: bool,
    /// With --mutants, only those whose names contain this; may be given several times; the page is left as it is
    #[arg(long, value_name = "TEXT", requires = "mutants")]
    only: Vec<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    #[default]
    Human,
    /// One JSON array of rows.
    Json,
}

/// A fault that takes this long hangs: the longest takes some minutes.
const LIMIT: Duration = Duration::from_secs(45 * 60);

/// Tries the faults, prints the table, and writes the page unless only a part was tried. Errors when a
/// trial failed, or when nobody noticed a mutation.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.mutants {
        return mutants::run(workspace, options);
    }
    let plan = Plan { trials: options.trials, quick: options.quick, seed: options.seed };
    let suite = Suite::build(workspace, &plan)?;
    let known = suite.faults()?;
    let chosen: Vec<&String> = known.iter().filter(|id| options.fault.is_empty() || options.fault.contains(id)).collect();
    if let Some(unknown) = options.fault.iter().find(|id| !known.contains(id)) {
        bail!("--fault: there is no fault {unknown}; there are: {}", known.join(", "));
    }
    let started = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    for (number, id) in (1..).zip(&chosen) {
        eprintln!("[{number}/{}] {id}", chosen.len());
        let row = suite.judge(id, &plan, LIMIT)?;
        eprintln!("[{number}/{}] {}", chosen.len(), table::line(&row));
        rows.push(row);
    }
    match options.output {
        Output::Json => println!("{}", json!(rows)),
        Output::Human => print!("{}", table::render(&rows, started.elapsed())),
    }
    let whole = options.fault.is_empty() && options.trials.is_none() && !options.quick;
    if whole {
        page::write(workspace, page::FAULTS, &page::faults(&Machine::look(), &rows, started.elapsed()))?;
    }
    let failed: Vec<&str> = rows.iter().filter(|row| row.failures > 0).map(|row| row.fault.as_str()).collect();
    if failed.is_empty() { Ok(()) } else { bail!("promises were broken under {}", failed.join(", ")) }
}
