//! What came of a fault, as the suite tells it.

use serde::{Deserialize, Serialize};

/// One fault's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub fault: String,
    pub promises: Vec<String>,
    pub what: String,
    pub trials: u64,
    pub failures: u64,
    pub first_failure: Option<String>,
    pub seconds: f64,
    /// Why nothing, or a part, was not tried.
    pub skipped_because: Option<String>,
    /// What was tried how often, and what was measured.
    pub notes: Vec<String>,
}

impl Row {
    /// What came of it in one word.
    pub fn verdict(&self) -> &'static str {
        match self {
            Self { failures: 1.., .. } => "FAILED",
            Self { trials: 0, .. } => "skipped",
            Self { skipped_because: Some(_), .. } => "held, in part",
            _ => "held",
        }
    }
}

#[cfg(test)]
pub fn sample() -> Row {
    Row {
        fault: "F03".into(),
        promises: vec!["P9".into(), "P10".into()],
        what: "the journal is cut".into(),
        trials: 1_234,
        failures: 0,
        first_failure: None,
        seconds: 12.34,
        skipped_because: None,
        notes: vec!["1234 x cut at a byte".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_tried_did_not_hold() {
        let row = sample();
        assert_eq!(row.verdict(), "held");
        let skipped = Some("strace is not there".to_owned());
        assert_eq!(Row { skipped_because: skipped.clone(), ..row.clone() }.verdict(), "held, in part");
        assert_eq!(Row { trials: 0, skipped_because: skipped, ..row.clone() }.verdict(), "skipped");
        assert_eq!(Row { failures: 1, ..row }.verdict(), "FAILED");
    }
}
