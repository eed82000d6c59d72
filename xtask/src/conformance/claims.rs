//! The claims of docs/conformance.toml, and what becomes of them under test results.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::results::Results;

/// Every one of these has at least one row, so that nothing is left out by silence.
const STEPS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "complete"];

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    row: Vec<Row>,
}

/// One claim.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// One of `STEPS`.
    pub step: String,
    /// What the step is called.
    pub name: String,
    /// One sentence that a test can show.
    pub claim: String,
    /// Whether we say that it works.
    pub works: bool,
    /// Why it does not, in a few words.
    #[serde(default)]
    pub why: Option<String>,
    /// `binary-id test::name`, as nextest prints them; all must pass.
    pub tests: Vec<String>,
}

/// A row and what the results say of it.
#[derive(Debug)]
pub struct Judged {
    pub row: Row,
    pub verdict: Verdict,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Works,
    NotYet,
    /// It is claimed and was not shown, and why.
    Broken(String),
}

impl Claims {
    /// Reads the file and refuses what could not be judged.
    pub fn parse(text: &str) -> Result<Self> {
        let claims: Self = toml::from_str(text)?;
        for row in &claims.row {
            if !STEPS.contains(&row.step.as_str()) {
                bail!("step `{}` is none of {}", row.step, STEPS.join(", "));
            }
            if row.works == row.why.is_some() {
                bail!("step {}, \"{}\": a row that does not work says why, and no other does", row.step, row.claim);
            }
            let ill_named = |test: &&String| test.split(' ').filter(|part| !part.is_empty()).count() != 2;
            if let Some(test) = row.tests.iter().find(ill_named) {
                bail!("test `{test}` of step {} is not written as `binary-id test::name`", row.step);
            }
        }
        if let Some(step) = STEPS.iter().find(|step| claims.row.iter().all(|row| row.step != **step)) {
            bail!("step {step} has no row");
        }
        Ok(claims)
    }

    /// The names without their binaries, each once.
    pub fn test_names(&self) -> Vec<&str> {
        let names = self.row.iter().flat_map(|row| &row.tests).filter_map(|id| id.split_once(' '));
        names.map(|(_, name)| name).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Every row with its verdict, in the order of the file.
    pub fn judge(self, results: &Results) -> Vec<Judged> {
        self.row.into_iter().map(|row| Judged { verdict: verdict(&row, results), row }).collect()
    }
}

fn verdict(row: &Row, results: &Results) -> Verdict {
    if !row.works {
        return Verdict::NotYet;
    }
    if row.tests.is_empty() {
        return Verdict::Broken("it names no test".into());
    }
    let faults: Vec<String> = row
        .tests
        .iter()
        .filter_map(|id| match results.passed(id) {
            Some(true) => None,
            Some(false) => Some(format!("`{id}` failed")),
            None => Some(format!("`{id}` did not run; is there such a test?")),
        })
        .collect();
    if faults.is_empty() { Verdict::Works } else { Verdict::Broken(faults.join("; ")) }
}

impl Judged {
    /// What to tell, if the claim does not hold.
    pub fn complaint(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Broken(why) => {
                Some(format!("step {}, \"{}\": it is said to work, but {why}", self.row.step, self.row.claim))
            }
            Verdict::Works | Verdict::NotYet => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(works: bool, tests: &[&str]) -> Row {
        let tests = tests.iter().map(|id| (*id).to_owned()).collect();
        Row { step: "1".into(), name: "One".into(), claim: "it wakes".into(), works, why: None, tests }
    }

    fn file(rows: &[(&str, &str)]) -> String {
        let row = |(step, tests): &(&str, &str)| {
            format!("[[row]]\nstep = \"{step}\"\nname = \"n\"\nclaim = \"c\"\nworks = false\nwhy = \"w\"\ntests = {tests}\n")
        };
        rows.iter().map(row).collect()
    }

    fn all_steps() -> Vec<(&'static str, &'static str)> {
        STEPS.map(|step| (step, "[]")).into()
    }

    #[test]
    fn a_claim_works_when_all_of_its_tests_passed() {
        let results = Results::of(&[("a b", true), ("a c", true)]);
        assert_eq!(verdict(&row(true, &["a b", "a c"]), &results), Verdict::Works);
    }

    #[test]
    fn a_claim_without_a_test_with_a_failed_or_with_a_missing_one_is_broken() {
        let results = Results::of(&[("a b", true), ("a c", false)]);
        for tests in [&[][..], &["a b", "a c"], &["a b", "a gone"]] {
            let judged = Judged { row: row(true, tests), verdict: verdict(&row(true, tests), &results) };
            assert!(matches!(judged.verdict, Verdict::Broken(_)), "{tests:?}");
            assert!(judged.complaint().unwrap().contains("it wakes"));
        }
    }

    #[test]
    fn what_is_not_claimed_is_not_yet_whatever_its_tests_say() {
        assert_eq!(verdict(&row(false, &["a b"]), &Results::of(&[("a b", true)])), Verdict::NotYet);
        assert_eq!(verdict(&row(false, &["a gone"]), &Results::default()), Verdict::NotYet);
    }

    #[test]
    fn every_step_must_have_a_row() {
        assert!(Claims::parse(&file(&all_steps())).is_ok());
        let error = Claims::parse(&file(&all_steps()[1..])).unwrap_err().to_string();
        assert_eq!(error, "step 1 has no row");
    }

    #[test]
    fn unknown_steps_fields_and_ill_written_tests_are_refused() {
        let with = |row| Claims::parse(&file(&[all_steps(), vec![row]].concat())).unwrap_err().to_string();
        assert!(with(("12", "[]")).contains("step `12`"));
        assert!(with(("1", "[\"no_binary\"]")).contains("binary-id test::name"));
        assert!(Claims::parse(&format!("{}colour = 1\n", file(&all_steps()))).is_err());
    }

    #[test]
    fn a_row_that_does_not_work_says_why_and_no_other_does() {
        let with = |end| {
            Claims::parse(&format!("{}[[row]]\nstep = \"1\"\nname = \"n\"\nclaim = \"c\"\ntests = []\n{end}", file(&all_steps())))
        };
        assert!(with("works = true").is_ok() && with("works = false\nwhy = \"it is not written\"").is_ok());
        for end in ["works = false", "works = true\nwhy = \"it is not written\""] {
            assert!(with(end).unwrap_err().to_string().contains("says why"), "{end}");
        }
    }

    #[test]
    fn names_are_given_once_and_without_their_binaries() {
        let rows = [all_steps(), vec![("1", "[\"a::b c\", \"d c\", \"d e::f\"]")]].concat();
        assert_eq!(Claims::parse(&file(&rows)).unwrap().test_names(), ["c", "e::f"]);
    }
}
