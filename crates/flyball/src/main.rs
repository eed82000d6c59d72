//! The `flyball` command.

use std::process::ExitCode;

use clap::Parser;

/// A run makes and drops some thousand small things on several threads, which the system's own allocator
/// takes a quarter of its time for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flyball::cli::main(flyball::cli::Arguments::parse())
}
