//! Tasks of the flyball workspace: `cargo xtask test`, `layers`, `tidy`, `docs`, `conformance`, `bench`, `chaos`,
//! `demo`.
//!
//! One task is one file. A task looks at the workspace, runs what it needs and returns; what it decides
//! is a pure function beside it, with its tests.

mod bench;
mod chaos;
mod conformance;
mod demo;
mod docs;
mod layers;
mod markdown;
mod process;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Tasks of the flyball workspace")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must hold before a change is done: one table at the end says what did
    Test(test::Options),
    /// The arrows between the crates, against the table in xtask/src/layers.rs
    Layers,
    /// Checks of our own over the text of the repository
    Tidy,
    /// The site in one folder: the book, the crates' pages and the API reference
    Docs,
    /// The table of what works, filled from test results
    Conformance(conformance::Options),
    /// Ratios to the bare machine and to the Python system, measured in one run
    Bench(bench::Options),
    /// Every fault that flyball says it survives, tried and counted
    Chaos(chaos::Options),
    /// The example operations center on real data, from nothing to its summary
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test(options) => test::run(&workspace, &options),
        Task::Layers => layers::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Docs => docs::run(&workspace),
        Task::Conformance(options) => conformance::run(&workspace, &options),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Chaos(options) => chaos::run(&workspace, &options),
        Task::Demo(options) => demo::run(&workspace, &options),
    }
}
