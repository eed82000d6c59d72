//! The page of the book: what was tried last, in full, and what the suite notices.
//!
//! Its two parts come from two runs. Each is written by its own and leaves the other as it is.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};

use super::mutants::Tried;
use super::row::Row;
use super::table;
use crate::bench::Machine;
use crate::workspace::Workspace;

const PAGE: &str = "docs/src/reliability.md";

/// The part that says what was tried.
pub const FAULTS: &str = "## The faults";

/// The part that says whether the suite can fail.
pub const MUTANTS: &str = "## The suite itself";

/// What stands before both.
const HEAD: &str = "# Reliability

Written by `cargo xtask chaos`. Change nothing here; run it again.

A fault is tried on the real program, or on the same code over a disk in memory that forgets what was not synced. What
must hold is judged by the journal, by what senders were told, and by a ledger of its own that a tool server keeps, which
nobody kills. The [promises](promises.md) are known by their numbers. Where a tool or a right is missing, a fault says that
it was not tried, and why; in CI it fails.
";

/// Writes one part of the page, and leaves the other as it is.
pub fn write(workspace: &Workspace, part: &str, text: &str) -> Result<()> {
    let path = workspace.root.join(PAGE);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, with(&before, part, text)).with_context(|| format!("could not write {PAGE}"))?;
    eprintln!("wrote {PAGE}");
    Ok(())
}

/// The page with this text as this part.
fn with(before: &str, part: &str, text: &str) -> String {
    let body = |wanted: &str| {
        let text =
            if wanted == part { text.to_owned() } else { section(before, wanted).unwrap_or("Not tried yet.\n").to_owned() };
        format!("\n{wanted}\n\n{}\n", text.trim())
    };
    format!("{HEAD}{}{}", body(FAULTS), body(MUTANTS))
}

/// What stands under a heading, up to the next one of its kind.
fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n{heading}\n"))?;
    Some(rest.split_once("\n## ").map_or(rest, |(section, _)| section))
}

/// The part about the faults.
pub fn faults(machine: &Machine, rows: &[Row], took: Duration) -> String {
    let mut text = format!(
        "Tried on {}, on a machine with\n{}: {}, in {:.0} minutes.\n\n\
         | id | fault | promises | trials | failures | seconds | |\n|---|---|---|---|---|---|---|\n",
        machine.date,
        machine.describe(),
        table::counts(rows),
        took.as_secs_f64() / 60.0,
    );
    for row in rows {
        let (trials, failures) = (row.trials.to_string(), row.failures.to_string());
        let (promises, seconds) = (row.promises.join(" "), format!("{:.0}", row.seconds));
        let cells = [&row.fault, &row.what, &promises, &trials, &failures, &seconds, row.verdict()].map(cell);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "|{}", cells.concat());
    }
    text.push_str("\n### By promise\n\nA fault's trials count for each promise that it judges.\n\n");
    text.push_str("| promise | trials | failures | faults |\n|---|---|---|---|\n");
    for table::Kept { promise, trials, failures, faults } in table::by_promise(rows) {
        let cells = [promise, &trials.to_string(), &failures.to_string(), &faults.join(" ")].map(cell);
        let _ = writeln!(text, "|{}", cells.concat());
    }
    text.push_str("\n### What was tried how often\n\n");
    for row in rows {
        let mut said = row.notes.clone();
        said.extend(row.skipped_because.iter().map(|why| format!("not tried: {why}")));
        said.extend(row.first_failure.iter().map(|why| format!("the first failure: {why}")));
        let _ = writeln!(text, "- **{}** {}", row.fault, escaped(&said.join("; ")));
    }
    text
}

/// The part about the mutations.
pub fn mutants(date: &str, all: &[Tried]) -> String {
    let mut text = format!(
        "A suite that cannot fail proves nothing. Each line takes away one thing that keeps a promise, in a copy of the\n\
         sources, and tries some faults in their short form. Tried on {date} by `cargo xtask chaos --mutants`: {}.\n\n\
         | what was taken away | in | tried | noticed by |\n|---|---|---|---|\n",
        table::mutants_counts(all),
    );
    for tried in all {
        let noticed = if tried.noticed.is_empty() { "**nobody**".to_owned() } else { tried.noticed.join(" ") };
        let file = format!("`{}`", tried.file);
        let cells = [tried.what.as_str(), &file, &tried.tried.join(" "), &noticed].map(cell);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "|{}", cells.concat());
    }
    text
}

/// A cell and its right border.
fn cell(text: impl AsRef<str>) -> String {
    format!(" {} |", escaped(text.as_ref()))
}

/// One line that no table and no tag can break.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::row::sample;

    #[test]
    fn each_part_leaves_the_other_as_it_is() {
        let first = with("", FAULTS, "| a |\n\n### more\n\nb\n");
        assert!(first.contains("## The faults\n\n| a |\n\n### more\n\nb\n\n## The suite itself\n\nNot tried yet.\n"), "{first}");
        let second = with(&first, MUTANTS, "| c |\n");
        assert!(second.contains("### more\n\nb\n\n## The suite itself\n\n| c |\n"), "{second}");
        assert_eq!(with(&second, FAULTS, "| a |\n\n### more\n\nb\n"), second);
    }

    #[test]
    fn a_row_is_a_line_of_the_table_and_its_notes_stand_below() {
        let machine =
            Machine { cores: 2, memory_gb: None, system: "Linux 6.1".into(), rustc: "1.95".into(), date: "2026-01-02".into() };
        let page = faults(&machine, &[sample()], Duration::from_secs(90));
        for line in [
            "| F03 | the journal is cut | P9 P10 | 1234 | 0 | 12 | held |",
            "| P9 | 1234 | 0 | F03 |",
            "- **F03** 1234 x cut at a byte",
        ] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
        assert!(page.lines().all(|line| line == line.trim_end()), "{page}");
    }
}
