//! The table for a terminal.

use std::fmt::Write;
use std::time::Duration;

use super::machine::Machine;
use super::row::{Row, Verdict, ratio_text};

/// Every row in three lines: what, the two figures, and what came of it.
pub fn render(machine: &Machine, rows: &[Row], rounds: u32, took: Duration) -> String {
    let mut out = String::new();
    let s = if rounds == 1 { "" } else { "s" };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "\n{}; {} round{s} in {:.0} s\n", machine.describe(), rounds, took.as_secs_f64());
    for row in rows {
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), ratio_text);
        let _ = writeln!(out, "{:>8}  {}{}", ratio, row.what, verdict(row));
        let _ = writeln!(out, "          {}", row.ours);
        if !row.against.is_empty() {
            let _ = writeln!(out, "          {}", row.against);
        }
    }
    let _ = writeln!(out, "\n{}", counts(rows));
    out
}

fn verdict(row: &Row) -> String {
    let target = row.target.map(|target| format!(" (target {})", target.words())).unwrap_or_default();
    match &row.verdict {
        Verdict::Known | Verdict::Skipped(_) => target,
        Verdict::Met => format!("{target}: met"),
        Verdict::Missed => format!("{target}: MISSED"),
        Verdict::DoesNotCount(why) => format!("{target}: does not count, {why}"),
    }
}

/// How many targets were met.
pub fn counts(rows: &[Row]) -> String {
    let count = |wanted: fn(&Verdict) -> bool| rows.iter().filter(|row| row.target.is_some() && wanted(&row.verdict)).count();
    format!(
        "{} targets met, {} missed, {} do not count here, {} skipped",
        count(|verdict| *verdict == Verdict::Met),
        count(|verdict| *verdict == Verdict::Missed),
        count(|verdict| matches!(verdict, Verdict::DoesNotCount(_))),
        count(|verdict| matches!(verdict, Verdict::Skipped(_))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Target;

    #[test]
    fn a_row_shows_its_figures_its_ratio_and_its_verdict() {
        let machine =
            Machine { cores: 2, memory_gb: Some(8), system: "Linux 6.1".into(), rustc: "1.95".into(), date: "d".into() };
        let rows = [Row::known("append", "80/s".into()).against("100/s".into(), Some(0.8)).should(Target::AtLeast(0.9))];
        let text = render(&machine, &rows, 3, Duration::from_secs(61));
        for part in [
            "2 cores, 8 GB of memory, Linux 6.1, Rust 1.95; 3 rounds in 61 s",
            "0.8  append (target >= 0.9): MISSED",
            "80/s",
            "0 targets met, 1 missed",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
