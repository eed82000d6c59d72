//! The fault suite: what flyball promises, under the faults that it says it survives.
//!
//! It is a program of its own and no list of `#[test]`s, because each fault is tried as often as whoever
//! asks for it wants, and says how often that was. `cargo xtask chaos` runs all of it; `cargo nextest run
//! -p flyball --test chaos` runs a short form of each fault as one test.

#[path = "../binary/mod.rs"]
mod binary;
mod clock;
mod command;
mod faults;
mod memory;
mod panics;
mod real;
mod tally;
mod world;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    match arguments.role() {
        command::Role::World(dir) => world::serve(&dir),
        command::Role::Server(behaviour) => world::stdio::serve(&behaviour),
        command::Role::Judge => judge(&arguments),
    }
}

fn judge(arguments: &command::Arguments) -> ExitCode {
    if arguments.lists() {
        arguments.list();
        return ExitCode::SUCCESS;
    }
    panics::watch();
    let mut failed = false;
    for fault in arguments.chosen() {
        let row = fault.judge(&arguments.plan());
        failed |= row.failures > 0;
        arguments.tell(&row);
    }
    if failed { ExitCode::from(101) } else { ExitCode::SUCCESS }
}
