//! Whether the suite can fail: something that keeps a promise is taken away, and a fault must notice.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use super::mutations::{MUTATIONS, Mutation};
use super::sources::Sources;
use super::suite::{Plan, Suite};
use super::{Options, Output, page, table};
use crate::bench::Machine;
use crate::workspace::Workspace;

/// What came of a mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    pub what: String,
    pub file: String,
    /// The faults that were tried.
    pub tried: Vec<String>,
    /// Those that failed.
    pub noticed: Vec<String>,
}

/// A short form takes half a minute. Under a mutation it may hang, and that is noticed too.
const LIMIT: Duration = Duration::from_secs(240);

/// Tries each mutation, prints the table, and writes the page unless only some were tried. Errors when
/// nobody noticed one, or when a fault fails without any.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let named = |mutation: &Mutation| options.only.iter().any(|text| mutation.what.contains(text.as_str()));
    let wanted = |mutation: &&Mutation| options.only.is_empty() || named(mutation);
    let chosen: Vec<&Mutation> = MUTATIONS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("--only: no mutation's name contains that");
    }
    let place = workspace.target.join("mutants");
    let lab = Lab { sources: Sources::copy(workspace, &place.join("sources"))?, workspace, place: &place, options };
    lab.nothing_fails_without(&chosen)?;
    let mut all = Vec::new();
    for (number, mutation) in (1..).zip(&chosen) {
        let started = Instant::now();
        eprintln!("[{number}/{}] {}", chosen.len(), mutation.what);
        let tried = lab.sources.with(mutation, || lab.attempt(mutation))?;
        let noticed = if tried.noticed.is_empty() { "nobody".to_owned() } else { tried.noticed.join(" ") };
        eprintln!("[{number}/{}] noticed by {noticed}, {:.0} s", chosen.len(), started.elapsed().as_secs_f64());
        all.push(tried);
    }
    match options.output {
        Output::Json => println!("{}", json!(all)),
        Output::Human => print!("{}", table::mutants(&all)),
    }
    if options.only.is_empty() {
        page::write(workspace, page::MUTANTS, &page::mutants(&Machine::look().date, &all))?;
    }
    match all.iter().filter(|tried| tried.noticed.is_empty()).count() {
        0 => Ok(()),
        unnoticed => bail!("nobody noticed {unnoticed} of {} mutations", all.len()),
    }
}

/// Where mutants are made: a copy of the sources, and one target folder for all of them.
struct Lab<'a> {
    workspace: &'a Workspace,
    sources: Sources,
    place: &'a Path,
    options: &'a Options,
}

impl Lab<'_> {
    fn suite(&self) -> Result<Suite> {
        let mut command = self.workspace.cargo(&["build", "--target-dir"]);
        // Without lines for a debugger a mutant is linked in half the time.
        command.arg(self.place.join("target")).env("CARGO_PROFILE_DEV_DEBUG", "0").current_dir(&self.sources.dir);
        Suite::built(command, self.place.join("said"))
    }

    fn plan(&self) -> Plan {
        Plan { quick: true, trials: None, seed: self.options.seed }
    }

    /// A fault that fails anyway notices nothing.
    fn nothing_fails_without(&self, chosen: &[&Mutation]) -> Result<()> {
        let suite = self.suite()?;
        let faults: BTreeSet<&str> = chosen.iter().flat_map(|mutation| mutation.faults.iter().copied()).collect();
        for fault in faults {
            eprintln!("[nothing taken away] {fault}");
            let row = suite.judge(fault, &self.plan(), LIMIT)?;
            if row.failures > 0 {
                bail!("{fault} fails though nothing was taken away: {}", row.first_failure.unwrap_or_default());
            }
            if row.trials == 0 {
                bail!("{fault} cannot be tried here: {}", row.skipped_because.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn attempt(&self, mutation: &Mutation) -> Result<Tried> {
        let suite = self.suite()?;
        let notices = |fault: &&&str| suite.judge(fault, &self.plan(), LIMIT).map_or(true, |row| row.failures > 0);
        let noticed = mutation.faults.iter().filter(notices).map(|fault| (*fault).to_owned()).collect();
        let tried = mutation.faults.iter().map(|fault| (*fault).to_owned()).collect();
        Ok(Tried { what: mutation.what.to_owned(), file: mutation.file.to_owned(), tried, noticed })
    }
}
