//! How answers look.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::story;

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

/// How long a story's text may be here.
pub fn text_width() -> usize {
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    story::text_width(terminal.map(|(width, _)| usize::from(width.0)))
}

/// Prints a line, and ends the program quietly if nobody reads any more.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
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
    let _ = writeln!(std::io::stderr(), "{label} {error:#}");
    ExitCode::FAILURE
}
