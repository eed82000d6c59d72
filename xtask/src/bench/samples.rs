//! What was measured, round by round.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// The answers to each part, and why there is none.
#[derive(Debug, Default, Serialize)]
pub struct Samples {
    values: BTreeMap<String, Vec<Value>>,
    skipped: BTreeMap<String, String>,
}

impl Samples {
    pub fn add(&mut self, key: &str, value: Value) {
        self.values.entry(key.to_owned()).or_default().push(value);
    }

    pub fn skip(&mut self, key: &str, why: &str) {
        self.skipped.insert(key.to_owned(), why.to_owned());
    }

    /// Why there is no answer, if there is none.
    pub fn missing(&self, key: &str) -> Option<String> {
        if self.values.contains_key(key) {
            return None;
        }
        Some(self.skipped.get(key).cloned().unwrap_or_else(|| "it was not measured".to_owned()))
    }

    /// A figure of each round, by its JSON pointer.
    pub fn figures(&self, key: &str, at: &str) -> Vec<f64> {
        let values = self.values.get(key).into_iter().flatten();
        values.filter_map(|value| value.pointer(at)?.as_f64()).collect()
    }

    /// The middle one of a figure; `None` where there is none.
    pub fn median(&self, key: &str, at: &str) -> Option<f64> {
        median(self.figures(key, at))
    }

    /// The middle one of the rounds' ratios of two figures.
    pub fn ratio(&self, (key, at): (&str, &str), (to, to_at): (&str, &str)) -> Option<f64> {
        let pairs = self.figures(key, at).into_iter().zip(self.figures(to, to_at));
        median(pairs.filter(|(_, below)| *below > 0.0).map(|(above, below)| above / below).collect())
    }
}

/// The middle one, or the mean of the two middle ones.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn a_ratio_is_of_each_round_and_not_of_the_medians() {
        let mut samples = Samples::default();
        for (ours, theirs) in [(10.0, 1.0), (20.0, 10.0), (30.0, 2.0)] {
            samples.add("ours", json!({"a": {"b": ours}}));
            samples.add("theirs", json!({"c": theirs}));
        }
        assert_eq!(samples.ratio(("ours", "/a/b"), ("theirs", "/c")), Some(10.0));
        assert_eq!(samples.median("ours", "/a/b"), Some(20.0));
        assert_eq!(samples.ratio(("ours", "/a/b"), ("nobody", "/c")), None);
    }

    #[test]
    fn what_was_skipped_says_why() {
        let mut samples = Samples::default();
        samples.skip("theirs", "no Python");
        samples.add("ours", json!({}));
        assert_eq!(samples.missing("theirs").as_deref(), Some("no Python"));
        assert_eq!(samples.missing("ours"), None);
    }
}
