//! The steps of `cargo xtask test`, in their order: what fails fast comes first.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;

use super::{Verdict, skipped};
use crate::workspace::Workspace;
use crate::{conformance, layers, process, tidy, tools};

/// One step: its name for `--only`, what it shows, and how.
pub struct Step {
    pub name: &'static str,
    pub what: &'static str,
    pub run: fn(&Workspace) -> Result<Verdict>,
}

pub const STEPS: &[Step] = &[
    Step { name: "fmt", what: "the code is formatted", run: fmt },
    Step { name: "layers", what: "no arrow between crates against the table", run: layers },
    Step { name: "tidy", what: "our own rules over the text", run: tidy },
    Step { name: "clippy", what: "no warning of the compiler or clippy", run: clippy },
    Step { name: "tests", what: "unit, law and scenario tests", run: tests },
    Step { name: "conformance", what: "every claim of docs/conformance.toml has its passing tests", run: conformance },
    Step { name: "doctests", what: "the examples in the documentation", run: doc_tests },
    Step { name: "rustdoc", what: "the API reference builds without a warning", run: rustdoc },
    Step { name: "deny", what: "bans, licences and sources of the dependencies", run: deny },
    Step { name: "advisories", what: "known defects of the dependencies", run: advisories },
];

fn fmt(workspace: &Workspace) -> Result<Verdict> {
    // rustfmt colours its differences even into a file.
    let colour = if std::io::stdout().is_terminal() { "auto" } else { "never" };
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check", "--", "--color", colour]))?;
    Ok(Verdict::Passed)
}

fn layers(workspace: &Workspace) -> Result<Verdict> {
    layers::run(workspace)?;
    Ok(Verdict::Passed)
}

fn tidy(workspace: &Workspace) -> Result<Verdict> {
    tidy::run(workspace)?;
    Ok(Verdict::Passed)
}

fn clippy(workspace: &Workspace) -> Result<Verdict> {
    process::run(&mut workspace.cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]))?;
    Ok(Verdict::Passed)
}

fn tests(workspace: &Workspace) -> Result<Verdict> {
    for note in tools::missing_foreign() {
        println!("note: {note}");
    }
    process::run(&mut workspace.build_tests())?;
    skipped::forget(workspace)?;
    let mut command = if tools::has_nextest(workspace) {
        let profile = conformance::NEXTEST_PROFILE;
        workspace.cargo(&["nextest", "run", "--workspace", "--all-features", "--no-fail-fast", "--profile", profile])
    } else {
        println!("note: cargo-nextest is not installed: the tests run under cargo test");
        workspace.cargo(&["test", "--workspace", "--all-features", "--no-fail-fast", "--lib", "--bins", "--tests"])
    };
    if std::env::var("CI").is_ok_and(|value| value == "true") {
        // On a developer's machine a test that needs npm or pip may say that it was skipped; there it must run.
        command.env("FLYBALL_REQUIRE_FOREIGN", "1");
    }
    process::run(&mut command)?;
    Ok(skipped::told(&skipped::read(workspace)?))
}

fn conformance(workspace: &Workspace) -> Result<Verdict> {
    conformance::check(workspace)?;
    Ok(Verdict::Passed)
}

fn doc_tests(workspace: &Workspace) -> Result<Verdict> {
    process::run(&mut workspace.cargo(&["test", "--doc", "--workspace", "--all-features"]))?;
    Ok(Verdict::Passed)
}

fn rustdoc(workspace: &Workspace) -> Result<Verdict> {
    let mut command = workspace.cargo(&["doc", "--no-deps", "--workspace", "--all-features"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Verdict::Passed)
}

fn deny(workspace: &Workspace) -> Result<Verdict> {
    let program = tools::ensure(workspace, &tools::CARGO_DENY)?;
    let mut command = std::process::Command::new(program);
    process::run(command.current_dir(&workspace.root).args(["check", "bans", "licenses", "sources"]))?;
    Ok(Verdict::Passed)
}

/// The database lies on the net. A copy from before is good as long as deny.toml calls it fresh.
fn advisories(workspace: &Workspace) -> Result<Verdict> {
    const FETCH_LIMIT: Duration = Duration::from_secs(120);
    let program = tools::ensure(workspace, &tools::CARGO_DENY)?;
    let deny = || {
        let mut command = std::process::Command::new(&program);
        command.current_dir(&workspace.root);
        command
    };
    let log = workspace.target.join("advisory-db.log");
    let mut check = deny();
    if let Err(error) = process::run_quietly(deny().args(["fetch", "db"]), FETCH_LIMIT, &log) {
        if !has_folder(&workspace.root.join("target/advisory-db")) {
            return Ok(Verdict::Skipped(format!("no copy of the advisory database can be had: {error}")));
        }
        println!("note: the copy of the advisory database in target/advisory-db is used, for it cannot be refreshed: {error}");
        check.arg("--offline");
    }
    process::run(check.args(["check", "advisories"]))?;
    Ok(Verdict::Passed)
}

fn has_folder(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}
