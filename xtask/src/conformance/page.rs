//! The page that shows the claims and their verdicts.

use std::fmt::Write;

use super::claims::{Judged, Row, Verdict};

/// The page. Nothing in it changes from run to run unless a claim or a verdict does.
pub fn render(judged: &[Judged]) -> String {
    let mut page = String::from(
        "# What works\n\n\
         The eleven steps from a single agent to production, and the complete example, one claim a row. A row says *works*\n\
         only when every test that it names passed. `cargo xtask conformance` writes this page from `docs/conformance.toml`\n\
         and the test results; change the claims there, not here.\n\n\
         | step | claim | state | tests |\n|---|---|---|---|\n",
    );
    for Judged { row, verdict } in judged {
        let tests: Vec<String> = row.tests.iter().map(|id| format!("`{}`", cell(id))).collect();
        let (step, name, claim, tests) = (cell(&row.step), cell(&row.name), cell(&row.claim), tests.join("<br>"));
        let line = format!("| {step}. {name} | {claim} | {} | {tests} |", state(row, verdict));
        // A row without tests would end in two spaces.
        page.push_str(&line.replace("|  |", "| |"));
        page.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = write!(page, "\n{}\n", counts(judged));
    page
}

/// How many of the claims work.
pub fn counts(judged: &[Judged]) -> String {
    let works = judged.iter().filter(|judged| judged.verdict == Verdict::Works).count();
    format!("{works} of {} claims work.", judged.len())
}

fn state(row: &Row, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Works => "works".into(),
        Verdict::NotYet => row.why.as_ref().map_or("not yet".into(), |why| format!("not yet: {}", cell(why))),
        Verdict::Broken(why) => format!("**broken**: {}", cell(why)),
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(step: &str, tests: &[&str], verdict: Verdict) -> Judged {
        let tests = tests.iter().map(|id| (*id).to_owned()).collect();
        Judged {
            row: Row { step: step.into(), name: "Name".into(), claim: "a | b".into(), works: true, why: None, tests },
            verdict,
        }
    }

    #[test]
    fn every_row_shows_its_state_and_its_tests() {
        let mut late = judged("2", &[], Verdict::NotYet);
        late.row.why = Some("next".into());
        let rows = [
            late,
            judged("1", &["a::b c", "a::b d"], Verdict::Works),
            judged("3", &[], Verdict::NotYet),
            judged("complete", &["a e"], Verdict::Broken("`a e` failed".into())),
        ];
        let page = render(&rows);
        for line in [
            "| 1. Name | a \\| b | works | `a::b c`<br>`a::b d` |",
            "| 2. Name | a \\| b | not yet: next | |",
            "| 3. Name | a \\| b | not yet | |",
            "| complete. Name | a \\| b | **broken**: `a e` failed | `a e` |",
            "1 of 4 claims work.",
        ] {
            assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
        }
    }
}
