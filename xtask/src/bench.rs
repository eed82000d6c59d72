//! `cargo xtask bench`: flyball beside the bare machine and beside the Python system, in one run.
//!
//! A disk that synced 7,000 times a second may sync 200 times an hour later, so no figure of one run says
//! anything beside a figure of another. Everything here is therefore measured in turn, several times over,
//! and what is shown are ratios: the medians of those of each round.

mod child;
mod machine;
mod page;
mod part;
mod peer;
mod row;
mod rows;
mod samples;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::workspace::Workspace;
pub use machine::Machine;
use part::{By, GROUPS, Group, Part, Scale};
use peer::Peer;
use row::Row;
use samples::Samples;

const PAGE: &str = "docs/src/performance.md";

/// What `cargo xtask bench` accepts.
#[derive(clap::Args)]
pub struct Options {
    /// A short run, to see that everything works; its figures are rough, and the page is left as it is
    #[arg(long)]
    quick: bool,
    /// Only these groups, separated by commas; the page is left as it is
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// The folder with the scripts that measure the Python system
    #[arg(long, value_name = "DIR", env = "FLYBALL_PEER_BENCH")]
    peer: Option<PathBuf>,
    /// Where journals are written while they are measured [default: bench in cargo's target folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How often everything is measured in turn [default: 3, or 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// How to print: json has every sample beside the table
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table.
    #[default]
    Human,
    /// One JSON object.
    Json,
}

/// Measures, prints the table, and writes the page unless the run was short or of a part only.
///
/// Nothing fails for being slow: a target that is missed is shown as missed.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let groups = chosen(&options.only)?;
    let scale = if options.quick { Scale::QUICK } else { Scale::FULL };
    let rounds = options.rounds.unwrap_or(scale.rounds);
    let measure = child::build(workspace)?;
    let dir = options.dir.clone().unwrap_or_else(|| workspace.target.join("bench"));
    let peer = Peer::prepare(workspace, options.peer.as_deref());
    if let Err(why) = &peer {
        eprintln!("note: the Python system is not measured: {why}");
    }
    let started = Instant::now();
    let mut samples = Samples::default();
    for group in &groups {
        measure_group(group, rounds, scale, &Sides { measure: &measure, dir: &dir, peer: &peer }, &mut samples)?;
    }
    // Whatever was on the way when a measurement failed is of no use to anybody.
    let _ = std::fs::remove_dir_all(&dir);
    let rows: Vec<Row> = groups.iter().flat_map(|group| (group.rows)(&samples)).collect();
    let machine = Machine::look();
    let took = started.elapsed();
    match options.output {
        Output::Json => println!("{}", json!({"machine": machine, "rounds": rounds, "rows": rows, "samples": samples})),
        Output::Human => print!("{}", table::render(&machine, &rows, rounds, took)),
    }
    if options.quick || groups.len() < GROUPS.len() {
        return Ok(());
    }
    std::fs::write(workspace.root.join(PAGE), page::render(&machine, &rows, rounds))
        .with_context(|| format!("could not write {PAGE}"))?;
    eprintln!("wrote {PAGE}");
    Ok(())
}

/// Who is measured, and where.
struct Sides<'a> {
    measure: &'a Path,
    dir: &'a Path,
    peer: &'a Result<Peer, String>,
}

/// Each part once, and then each once more: what the machine does meanwhile hits all of them.
fn measure_group(group: &Group, rounds: u32, scale: Scale, sides: &Sides<'_>, samples: &mut Samples) -> Result<()> {
    for round in 1..=rounds {
        for part in group.parts.iter().filter(|part| part.rounds.is_none_or(|most| round <= most)) {
            let started = Instant::now();
            eprint!("[{} {round}/{rounds}] {} ...", group.name, part.key);
            match measure_part(part, scale, sides) {
                Ok(value) => samples.add(part.key, value),
                // Without ours there is nothing to compare; without the peer there is still the machine.
                Err(error) if matches!(part.by, By::Ours(_)) => {
                    eprintln!();
                    return Err(error.context(format!("measuring {}", part.key)));
                }
                Err(error) => samples.skip(part.key, &format!("{error:#}")),
            }
            eprintln!(" {:.1} s", started.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// A measurement takes a minute on a slow machine; one that takes this long hangs.
const LIMIT: Duration = Duration::from_secs(300);

fn measure_part(part: &Part, scale: Scale, sides: &Sides<'_>) -> Result<serde_json::Value> {
    match &part.by {
        By::Ours(words) => child::ours(sides.measure, &words(scale), sides.dir, scale.seconds, LIMIT),
        By::Peer { script, words, needs } => match sides.peer {
            Ok(peer) => peer.measure(script, &words(scale), needs, LIMIT),
            Err(why) => bail!("{why}"),
        },
    }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Group>> {
    let known = || GROUPS.iter().map(|group| group.name).collect::<Vec<_>>().join(", ");
    for name in only {
        if !GROUPS.iter().any(|group| group.name == name) {
            bail!("--only: there is no group '{name}'; there are: {}", known());
        }
    }
    Ok(GROUPS.iter().filter(|group| only.is_empty() || only.iter().any(|name| name == group.name)).collect())
}
