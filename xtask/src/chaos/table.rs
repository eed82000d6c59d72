//! The tables for a terminal.

use std::fmt::Write;
use std::time::Duration;

use super::mutants::Tried;
use super::row::Row;

/// Every fault in a line, and what failed or was left out under it.
pub fn render(rows: &[Row], took: Duration) -> String {
    let mut out = String::from("\n");
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line(row));
        let _ = writeln!(out, "     {}", row.what);
        for note in &row.notes {
            let _ = writeln!(out, "     - {note}");
        }
        if let Some(why) = &row.skipped_because {
            let _ = writeln!(out, "     not tried: {why}");
        }
        if let Some(failure) = &row.first_failure {
            let _ = writeln!(out, "     the first failure: {failure}");
        }
    }
    out.push('\n');
    for kept in by_promise(rows) {
        let Kept { promise, trials, failures, faults } = kept;
        let _ = writeln!(out, "{promise:<4} {trials:>7} trials  {failures:>4} failed  {}", faults.join(" "));
    }
    let _ = writeln!(out, "\n{} in {:.0} s", counts(rows), took.as_secs_f64());
    out
}

/// How often a promise was tried. A fault's trials count for each promise that it judges.
pub struct Kept<'a> {
    pub promise: &'a str,
    pub trials: u64,
    pub failures: u64,
    pub faults: Vec<&'a str>,
}

/// All promises of the rows, by their numbers.
pub fn by_promise(rows: &[Row]) -> Vec<Kept<'_>> {
    let number = |promise: &str| promise.trim_start_matches('P').parse::<u32>().unwrap_or(u32::MAX);
    let mut promises: Vec<&str> = rows.iter().flat_map(|row| row.promises.iter().map(String::as_str)).collect();
    promises.sort_unstable_by_key(|promise| number(promise));
    promises.dedup();
    let kept = |promise| {
        let judging = || rows.iter().filter(move |row| row.promises.iter().any(|judged| judged == promise));
        let (trials, failures) = (judging().map(|row| row.trials).sum(), judging().map(|row| row.failures).sum());
        Kept { promise, trials, failures, faults: judging().map(|row| row.fault.as_str()).collect() }
    };
    promises.into_iter().map(kept).collect()
}

/// One fault without what was noted.
pub fn line(row: &Row) -> String {
    let Row { fault, trials, failures, seconds, promises, .. } = row;
    format!("{fault}  {trials:>7} trials  {failures:>4} failed  {seconds:>7.1} s  {:<13}  {}", row.verdict(), promises.join(" "))
}

/// All faults in one sentence.
pub fn counts(rows: &[Row]) -> String {
    let (trials, failures) = (rows.iter().map(|row| row.trials).sum::<u64>(), rows.iter().map(|row| row.failures).sum::<u64>());
    format!("{} faults, {trials} trials, {failures} failed", rows.len())
}

/// Every mutation in a line.
pub fn mutants(all: &[Tried]) -> String {
    let mut out = String::from("\n");
    for tried in all {
        let noticed = if tried.noticed.is_empty() { "NOBODY".to_owned() } else { tried.noticed.join(" ") };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{noticed:<12} {}", tried.what);
    }
    let _ = writeln!(out, "\n{}", mutants_counts(all));
    out
}

/// All mutations in one sentence.
pub fn mutants_counts(all: &[Tried]) -> String {
    let unnoticed = all.iter().filter(|tried| tried.noticed.is_empty()).count();
    format!("{} mutations, {} noticed, {unnoticed} not", all.len(), all.len() - unnoticed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::row::sample;

    #[test]
    fn a_fault_shows_its_counts_and_its_first_failure() {
        let row = Row { failures: 2, first_failure: Some("a record is gone (P9)".into()), ..sample() };
        let text = render(&[row], Duration::from_secs(61));
        for part in
            ["F03     1234 trials     2 failed", "FAILED", "a record is gone (P9)", "1 faults, 1234 trials, 2 failed in 61 s"]
        {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_faults_trials_count_for_each_promise_that_it_judges() {
        let other = Row { fault: "F04".into(), promises: vec!["P10".into()], trials: 6, failures: 1, ..sample() };
        let rows = [sample(), other];
        let kept = by_promise(&rows);
        let told: Vec<_> = kept.iter().map(|kept| (kept.promise, kept.trials, kept.failures, kept.faults.join(" "))).collect();
        assert_eq!(told, [("P9", 1_234, 0, "F03".to_owned()), ("P10", 1_240, 1, "F03 F04".to_owned())]);
    }
}
