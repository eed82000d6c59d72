//! Headlines while the steps run, and the table that closes them.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;

use super::Verdict;

/// A line above a step, bold where a person looks at it.
pub fn headline(text: &str) {
    if std::io::stdout().is_terminal() {
        println!("\n\x1b[1m== {text}\x1b[0m");
    } else {
        println!("\n== {text}");
    }
}

/// One step's row.
pub struct Line {
    step: &'static str,
    verdict: &'static str,
    took: Duration,
    note: String,
}

impl Line {
    pub fn new(step: &'static str, result: Result<Verdict>, took: Duration) -> Self {
        let (verdict, note) = match result {
            Ok(Verdict::Passed) => ("ok", String::new()),
            Ok(Verdict::InPart(what)) => ("in part", what),
            Ok(Verdict::Skipped(why)) => ("SKIPPED", why),
            Err(error) => ("FAILED", format!("{error:#}")),
        };
        Self { step, verdict, took, note }
    }

    pub fn verdict(&self) -> &'static str {
        self.verdict
    }

    pub fn seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }
}

/// All rows so far.
#[derive(Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub fn failed(&self) -> usize {
        self.lines.iter().filter(|line| line.verdict == "FAILED").count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:<8} {:>8}", "step", "result", "seconds")?;
        for line in &self.lines {
            let note = line.note.lines().next().unwrap_or_default();
            let row = format!("{:<12} {:<8} {:>8.1}  {note}", line.step, line.verdict, line.seconds());
            writeln!(f, "{}", row.trim_end())?;
        }
        let total: f64 = self.lines.iter().map(Line::seconds).sum();
        write!(f, "{:<12} {:<8} {total:>8.1}", "all", if self.failed() == 0 { "ok" } else { "FAILED" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_step_with_its_reason_and_the_sum() {
        let mut report = Report::default();
        let second = Duration::from_secs(1);
        report.add(Line::new("fmt", Ok(Verdict::Passed), second));
        report.add(Line::new("tests", Ok(Verdict::InPart("F02, F12 not tried: no strace".into())), second));
        report.add(Line::new("advisories", Ok(Verdict::Skipped("no database".into())), second));
        assert_eq!(report.failed(), 0);
        report.add(Line::new("doctests", Err(anyhow::anyhow!("2 failed\nof many")), second * 10));
        assert_eq!(report.failed(), 1);
        let expected = "\
step         result    seconds
fmt          ok            1.0
tests        in part       1.0  F02, F12 not tried: no strace
advisories   SKIPPED       1.0  no database
doctests     FAILED       10.0  2 failed
all          FAILED       13.0";
        assert_eq!(report.to_string(), expected);
    }
}
