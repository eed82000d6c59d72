//! `cargo xtask test`: everything that must hold, one step after the other, and a table at the end.

mod report;
mod skipped;
mod steps;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::conformance;
use crate::workspace::Workspace;
use report::{Line, Report};
use steps::{STEPS, Step};

/// What `cargo xtask test` accepts.
#[derive(clap::Args)]
pub struct Options {
    /// Run these steps alone
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    only: Vec<String>,
    /// Print the steps and run nothing
    #[arg(long)]
    list: bool,
}

/// How a step ended, when nothing stopped it from ending.
pub enum Verdict {
    Passed,
    /// It passed as far as it could be done here, and what could not.
    InPart(String),
    /// It could not be done here, and why.
    Skipped(String),
}

/// Runs the chosen steps, all of them even if one fails, and errors if one did.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let chosen = choose(&options.only)?;
    if options.list {
        for step in chosen {
            println!("{:<12} {}", step.name, step.what);
        }
        return Ok(());
    }
    // What an earlier run left must not vouch for this one.
    conformance::forget_results(workspace)?;
    let mut report = Report::default();
    for (number, step) in chosen.iter().enumerate() {
        report::headline(&format!("[{}/{}] {}: {}", number + 1, chosen.len(), step.name, step.what));
        let started = Instant::now();
        let result = (step.run)(workspace);
        if let Err(error) = &result {
            eprintln!("error: {error:#}");
        }
        let line = Line::new(step.name, result, started.elapsed());
        println!("{}: {} in {:.1} s", step.name, line.verdict(), line.seconds());
        report.add(line);
    }
    println!("\n{report}");
    match report.failed() {
        0 => Ok(()),
        failed => bail!("{failed} of {} steps failed", chosen.len()),
    }
}

fn choose(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step `{unknown}`; the steps are {}", names.join(", "));
    }
    Ok(STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keeps_the_order_of_the_table() {
        let names: Vec<_> = choose(&["tidy".into(), "fmt".into()]).unwrap().iter().map(|step| step.name).collect();
        assert_eq!(names, ["fmt", "tidy"]);
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_known_ones() {
        let error = choose(&["tests?".into()]).err().unwrap().to_string();
        assert!(error.contains("tests?") && error.contains("clippy"), "{error}");
    }
}
