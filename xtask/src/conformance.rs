//! `cargo xtask conformance`: what docs/conformance.toml claims, against what the tests say.
//!
//! The page is written from both, so it cannot claim more than was shown.

mod claims;
mod page;
mod results;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{process, tools};
use claims::{Claims, Judged};
use results::Results;

/// The profile of .config/nextest.toml that writes its results to a file.
pub const NEXTEST_PROFILE: &str = "xtask";

const CLAIMS: &str = "docs/conformance.toml";
const PAGE: &str = "docs/src/conformance.md";

/// What `cargo xtask conformance` accepts.
#[derive(clap::Args)]
pub struct Options {
    /// Compare the page with what it should be, and write nothing
    #[arg(long)]
    check: bool,
}

/// Runs the tests that the claims name, writes the page, and errors if a claim did not hold.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    forget_results(workspace)?;
    let judged = judge(workspace)?;
    let page = page::render(&judged);
    if options.check {
        up_to_date(workspace, &page)?;
    } else {
        std::fs::write(workspace.root.join(PAGE), page).with_context(|| format!("could not write {PAGE}"))?;
        println!("wrote {PAGE}");
    }
    hold(&judged)
}

/// As `run` with `--check`, from the results of the last test run if there are any.
pub fn check(workspace: &Workspace) -> Result<()> {
    let judged = judge(workspace)?;
    hold(&judged)?;
    up_to_date(workspace, &page::render(&judged))
}

/// Removes what an earlier test run left, so that nothing is judged by it.
pub fn forget_results(workspace: &Workspace) -> Result<()> {
    match std::fs::remove_file(results_file(workspace)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("could not remove old test results"),
        _ => Ok(()),
    }
}

fn judge(workspace: &Workspace) -> Result<Vec<Judged>> {
    let text = std::fs::read_to_string(workspace.root.join(CLAIMS)).with_context(|| format!("could not read {CLAIMS}"))?;
    let claims = Claims::parse(&text).with_context(|| format!("{CLAIMS} is wrong"))?;
    let results = results(workspace, &claims)?;
    Ok(claims.judge(&results))
}

/// What the last run left; where there is none, the named tests are run.
fn results(workspace: &Workspace, claims: &Claims) -> Result<Results> {
    let file = results_file(workspace);
    let names = claims.test_names();
    if names.is_empty() {
        return Ok(Results::default());
    }
    if !file.is_file() {
        run_named(workspace, &names)?;
    }
    match std::fs::read_to_string(&file) {
        Ok(text) => Results::from_junit(&text).with_context(|| format!("could not understand {}", file.display())),
        // No test of these names: every claim that needs one will say so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Results::default()),
        Err(error) => Err(error).with_context(|| format!("could not read {}", file.display())),
    }
}

fn run_named(workspace: &Workspace, names: &[&str]) -> Result<()> {
    if !tools::has_nextest(workspace) {
        tools::ensure(workspace, &tools::NEXTEST)?;
    }
    process::run(&mut workspace.build_tests())?;
    let filter = names.iter().map(|name| format!("test(={name})")).collect::<Vec<_>>().join(" | ");
    let run = ["nextest", "run", "--workspace", "--all-features", "--no-tests", "pass", "--profile", NEXTEST_PROFILE, "-E"];
    let mut command = workspace.cargo(&run);
    let tools_too = std::env::join_paths(
        std::iter::once(workspace.target.join("tools/bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    let ended = process::run(command.arg(filter).env("PATH", tools_too));
    // A failed test is in the results; without them the tests did not even build.
    match ended {
        Err(error) if !results_file(workspace).is_file() => Err(error.context("the tests could not be run")),
        _ => Ok(()),
    }
}

/// nextest keeps them there wherever cargo's target directory is.
fn results_file(workspace: &Workspace) -> PathBuf {
    workspace.root.join("target/nextest").join(NEXTEST_PROFILE).join("junit.xml")
}

fn hold(judged: &[Judged]) -> Result<()> {
    let broken: Vec<String> = judged.iter().filter_map(Judged::complaint).collect();
    for line in &broken {
        eprintln!("{line}");
    }
    if !broken.is_empty() {
        bail!("{} claim(s) of {CLAIMS} do not hold", broken.len());
    }
    println!("conformance: {}", page::counts(judged));
    Ok(())
}

fn up_to_date(workspace: &Workspace, page: &str) -> Result<()> {
    let there = std::fs::read_to_string(workspace.root.join(PAGE)).unwrap_or_default();
    if there != page {
        bail!("{PAGE} does not say what {CLAIMS} and the tests say: run `cargo xtask conformance` and commit it");
    }
    Ok(())
}
