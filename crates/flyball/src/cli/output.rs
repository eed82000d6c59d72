//! How answers look.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use owo_colors::OwoColorize;
use serde::Serialize;

/// For whom a command prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Human,
    /// For programs: one JSON document, or one a line where it goes on for long.
    Json,
}

/// Colours are for terminals, and only where nobody asked for none.
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How wide the terminal is, if it is one that is printed to.
pub fn terminal_width() -> Option<usize> {
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    terminal.map(|(width, _)| usize::from(width.0))
}

/// The program goes on when what it prints cannot be written.
static IS_A_VIEW: AtomicBool = AtomicBool::new(false);

/// Nothing is printed any more.
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// What is printed from here on is only a view of what the program does: where it cannot be
/// written, nothing more is printed, and the program goes on.
pub fn is_a_view() {
    IS_A_VIEW.store(true, Ordering::Relaxed);
}

/// Prints a line. An answer that cannot be written ends the program: quietly if nobody reads any
/// more, else as a failure.
pub fn line(text: &str) {
    if UNHEARD.load(Ordering::Relaxed) {
        return;
    }
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    drop(out);
    if let Err(error) = written {
        not_written(error);
    }
}

fn not_written(error: std::io::Error) {
    if IS_A_VIEW.load(Ordering::Relaxed) {
        if !UNHEARD.swap(true, Ordering::Relaxed) {
            note(&format!("warning: the story cannot be printed any more: {error}. The run goes on: `flyball logs` has it all"));
        }
        return;
    }
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    fail(&anyhow::Error::from(error).context("the answer could not be written"));
    std::process::exit(1);
}

/// Says something on stderr that is not the answer. Nobody can be told where that fails.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a document for programs.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints one line for programs.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// Says on stderr what went wrong, and gives the exit code of a failure.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let label = if std::io::stderr().is_terminal() { "error:".red().bold().to_string() } else { "error:".to_owned() };
    note(&format!("{label} {error:#}"));
    ExitCode::FAILURE
}
