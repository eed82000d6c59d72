//! One line of the table: a figure of ours, what it is held against, and what should come of it.

use serde::Serialize;

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// Our figure, with its unit.
    pub ours: String,
    /// Against what, with its figure.
    pub against: String,
    /// Ours divided by the other, in the direction that the target speaks of.
    pub ratio: Option<f64>,
    /// What it should be.
    pub target: Option<Target>,
    /// What came of it.
    pub verdict: Verdict,
    /// What each side syncs, where it makes a difference.
    pub syncs: &'static str,
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Met,
    /// Not as it should be.
    Missed,
    /// Nothing is asked of it; it is there to be known.
    Known,
    /// It says nothing on this machine at this hour.
    DoesNotCount(String),
    /// One side is missing.
    Skipped(String),
}

impl Row {
    /// A row of which nothing is asked.
    pub fn known(what: impl Into<String>, ours: String) -> Self {
        Self { what: what.into(), ours, against: String::new(), ratio: None, target: None, verdict: Verdict::Known, syncs: "" }
    }

    /// Held against something, whose figure is `against`.
    pub fn against(mut self, against: String, ratio: Option<f64>) -> Self {
        self.against = against;
        self.ratio = ratio;
        self
    }

    /// Held against something that may be missing.
    pub fn against_or_skipped(mut self, missing: Option<String>, against: impl FnOnce() -> String, ratio: Option<f64>) -> Self {
        match missing {
            Some(why) => {
                self.against = format!("skipped: {why}");
                self.verdict = Verdict::Skipped(why);
                self
            }
            None => self.against(against(), ratio),
        }
    }

    /// What the ratio should be; call it after the ratio is there.
    pub fn should(mut self, target: Target) -> Self {
        self.target = Some(target);
        if let (Some(ratio), Verdict::Known) = (self.ratio, &self.verdict) {
            self.verdict = if target.holds(ratio) { Verdict::Met } else { Verdict::Missed };
        }
        self
    }

    /// Takes the verdict back where `why` tells that it means nothing.
    pub fn unless(mut self, why: Option<String>) -> Self {
        if let (Some(why), Verdict::Met | Verdict::Missed) = (why, &self.verdict) {
            self.verdict = Verdict::DoesNotCount(why);
        }
        self
    }

    /// Takes a target that was met back where `why` tells that anything would have met it. A miss stays one.
    pub fn unless_flattered(mut self, why: Option<String>) -> Self {
        if let (Some(why), Verdict::Met) = (why, &self.verdict) {
            self.verdict = Verdict::DoesNotCount(why);
        }
        self
    }

    /// What each side syncs.
    pub fn syncs(mut self, syncs: &'static str) -> Self {
        self.syncs = syncs;
        self
    }
}

impl Target {
    pub fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {}", ratio_text(least)),
            Self::AtMost(most) => format!("<= {}", ratio_text(most)),
        }
    }
}

impl Verdict {
    pub fn words(&self) -> String {
        match self {
            Self::Met => "met".to_owned(),
            Self::Missed => "**missed**".to_owned(),
            Self::Known => String::new(),
            Self::DoesNotCount(why) => format!("does not count: {why}"),
            Self::Skipped(_) => "skipped".to_owned(),
        }
    }
}

/// A ratio with as many digits as it deserves.
pub fn ratio_text(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 100.0 => format!("{ratio:.0}"),
        ratio if ratio >= 10.0 => format!("{ratio:.1}").trim_end_matches(".0").to_owned(),
        ratio if ratio >= 0.1 || ratio == 0.0 => format!("{ratio:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        ratio => format!("{ratio:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// A figure with thousands apart, and digits behind the point only where it is small.
pub fn number(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_thousands_apart() {
        let texts = [0.5, 42.25, 999.4, 1234.5, 1_000_000.0].map(number);
        assert_eq!(texts, ["0.50", "42.2", "999", "1,234", "1,000,000"]);
    }

    #[test]
    fn a_row_is_met_or_missed_by_its_ratio() {
        let row = |ratio| Row::known("a", "1".into()).against("2".into(), Some(ratio)).should(Target::AtLeast(0.8));
        assert_eq!((row(0.8).verdict, row(0.79).verdict), (Verdict::Met, Verdict::Missed));
        let most = Row::known("a", "1".into()).against("2".into(), Some(1.3)).should(Target::AtMost(1.2));
        assert_eq!(most.verdict, Verdict::Missed);
    }

    #[test]
    fn what_is_skipped_is_neither_met_nor_missed() {
        let row =
            Row::known("a", "1".into()).against_or_skipped(Some("why".into()), String::new, None).should(Target::AtLeast(5.0));
        assert_eq!((row.against.as_str(), &row.verdict), ("skipped: why", &Verdict::Skipped("why".into())));
        let row = row.unless(Some("slow".into()));
        assert_eq!(row.verdict, Verdict::Skipped("why".into()));
    }

    #[test]
    fn ratios_keep_the_digits_that_say_something() {
        assert_eq!([139.4, 24.0, 1.5, 0.96, 0.0034, 0.0].map(ratio_text), ["139", "24", "1.5", "0.96", "0.0034", "0"]);
    }

    #[test]
    fn what_a_slow_disk_flatters_is_not_met_and_what_misses_even_then_is_missed() {
        let row = |ratio| Row::known("a", "1".into()).against("2".into(), Some(ratio)).should(Target::AtLeast(0.8));
        assert_eq!(row(1.0).unless_flattered(Some("slow".into())).verdict, Verdict::DoesNotCount("slow".into()));
        assert_eq!(row(0.5).unless_flattered(Some("slow".into())).verdict, Verdict::Missed);
        assert_eq!(row(1.0).unless_flattered(None).verdict, Verdict::Met);
    }

    #[test]
    fn a_slow_disk_takes_the_verdict_back() {
        let row =
            Row::known("a", "1".into()).against("2".into(), Some(9.0)).should(Target::AtLeast(5.0)).unless(Some("slow".into()));
        assert_eq!(row.verdict, Verdict::DoesNotCount("slow".into()));
    }
}
