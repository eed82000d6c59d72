//! The detectors: pure functions over bounded windows.

use std::collections::BTreeMap;

use flyball_core_agent::short_hash;
use serde::Serialize;
use serde_json::{Map, Value};

/// One call that was made, as the detectors see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The tool.
    pub tool: String,
    /// A hash of the tool and its arguments.
    pub call: String,
    /// A hash of what it brought.
    pub result: String,
}

impl Seen {
    /// A call of `tool` with `args` that brought `result`.
    pub fn new(tool: &str, args: &Map<String, Value>, result: &str) -> Self {
        let args: BTreeMap<&str, String> = args.iter().map(|(key, value)| (key.as_str(), in_order(value))).collect();
        let call = short_hash(format!("{tool}\n{args:?}").as_bytes());
        Self { tool: tool.to_owned(), call, result: short_hash(result.as_bytes()) }
    }
}

/// The value as text, the same in whatever order its keys came.
fn in_order(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&str, String> = map.iter().map(|(key, value)| (key.as_str(), in_order(value))).collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(in_order).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

/// Behaviour that no healthy agent shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "anomaly", rename_all = "snake_case")]
pub enum Anomaly {
    /// The same call brought the same result, again and again.
    Stuck {
        /// The tool.
        tool: String,
        /// How often in a row.
        times: usize,
        /// The call's hash.
        call: String,
    },
    /// The same few calls brought the same results, round after round.
    Loop {
        /// The tools of one round.
        tools: Vec<String>,
        /// How many rounds.
        rounds: usize,
        /// The round's calls as hashes, beginning with the smallest.
        calls: Vec<String>,
    },
    /// The agent answers next to nothing.
    EmptyResponse {
        /// How often in a row.
        times: usize,
    },
    /// Too many calls fail.
    ErrorRate {
        /// Failed calls.
        failed: usize,
        /// Of so many.
        of: usize,
    },
}

impl Anomaly {
    /// The same for the same anomaly at another time.
    pub fn identity(&self) -> String {
        match self {
            Self::Stuck { call, .. } => format!("stuck:{call}"),
            Self::Loop { calls, .. } => format!("loop:{}", calls.join(",")),
            Self::EmptyResponse { .. } => "empty_response".into(),
            Self::ErrorRate { .. } => "error_rate".into(),
        }
    }

    /// In words, for the operator.
    pub fn describe(&self) -> String {
        match self {
            Self::Stuck { tool, times, .. } => format!("stuck: '{tool}' was called {times} times in a row with the same result"),
            Self::Loop { tools, rounds, .. } => {
                format!("loop: {} repeated {rounds} times with the same results", tools.join(" → "))
            }
            Self::EmptyResponse { times } => format!("empty responses: {times} in a row"),
            Self::ErrorRate { failed, of } => format!("error rate: {failed} of the last {of} tool calls failed"),
        }
    }
}

/// The last `threshold` calls are one call with one result. Polling, whose results differ, is not stuck.
pub fn stuck(seen: &[Seen], threshold: usize) -> Option<Anomaly> {
    let last = seen.last()?;
    let tail = &seen[seen.len().checked_sub(threshold)?..];
    let stuck = tail.iter().all(|other| other == last);
    stuck.then(|| Anomaly::Stuck { tool: last.tool.clone(), times: threshold, call: last.call.clone() })
}

/// The last calls are a pattern of two or more, `min_repeats` times, with the same results each time.
pub fn looping(seen: &[Seen], window: usize, min_repeats: usize) -> Option<Anomaly> {
    let seen = &seen[seen.len().saturating_sub(window)..];
    let longest = seen.len() / min_repeats.max(2);
    (2..=longest).find_map(|period| {
        let round = &seen[seen.len() - period..];
        // One call over and over is for `stuck` to judge, by its own threshold.
        let uniform = round.iter().all(|call| call == &round[0]);
        let rounds = seen.rchunks_exact(period).take_while(|chunk| *chunk == round).count();
        (!uniform && rounds >= min_repeats).then(|| Anomaly::Loop {
            tools: round.iter().map(|call| call.tool.clone()).collect(),
            rounds,
            calls: smallest_rotation(round.iter().map(|call| call.call.clone()).collect()),
        })
    })
}

/// The last `threshold` answers had at most `max_chars` characters each.
pub fn empty_response(lengths: &[usize], threshold: usize, max_chars: usize) -> Option<Anomaly> {
    let tail = &lengths[lengths.len().checked_sub(threshold)?..];
    tail.iter().all(|length| *length <= max_chars).then_some(Anomaly::EmptyResponse { times: threshold })
}

/// Of the last `window` calls, which must have been made, the share `threshold` or more failed.
pub fn error_rate(failures: &[bool], window: usize, threshold: f64) -> Option<Anomaly> {
    let tail = &failures[failures.len().checked_sub(window)?..];
    let failed = tail.iter().filter(|failed| **failed).count();
    (failed as f64 >= threshold * window as f64).then_some(Anomaly::ErrorRate { failed, of: window })
}

/// A loop caught at another of its calls is the same loop.
fn smallest_rotation(mut calls: Vec<String>) -> Vec<String> {
    let start = (0..calls.len()).min_by_key(|start| [&calls[*start..], &calls[..*start]].concat()).unwrap_or(0);
    calls.rotate_left(start);
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(pattern: &str) -> Vec<Seen> {
        pattern.chars().map(|c| Seen::new(&c.to_string(), &Map::new(), &c.to_string())).collect()
    }

    #[test]
    fn stuck_needs_equal_calls_with_equal_results_at_the_end() {
        assert!(stuck(&calls("xaaa"), 3).is_some());
        assert!(stuck(&calls("aaax"), 3).is_none());
        assert!(stuck(&calls("aa"), 3).is_none());
        let polling: Vec<Seen> = (0..9).map(|n| Seen::new("status", &Map::new(), &format!("{n} % done"))).collect();
        assert!(stuck(&polling, 3).is_none());
    }

    #[test]
    fn a_loop_is_a_pattern_that_comes_back_and_not_one_call_over_and_over() {
        assert!(looping(&calls("xabab"), 20, 2).is_some());
        assert!(looping(&calls("abcabcabc"), 20, 3).is_some());
        assert!(looping(&calls("abab"), 20, 3).is_none());
        assert!(looping(&calls("abcabx"), 20, 2).is_none());
        assert!(looping(&calls("aaaaaaaa"), 20, 2).is_none());
    }

    #[test]
    fn a_loop_has_one_identity_wherever_it_is_caught() {
        let caught = looping(&calls("abcabc"), 20, 2).expect("a loop");
        let later = looping(&calls("bcabca"), 20, 2).expect("a loop");
        assert_eq!(caught.identity(), later.identity());
        assert_ne!(caught.identity(), looping(&calls("abdabd"), 20, 2).expect("a loop").identity());
    }

    #[test]
    fn a_loop_outside_of_the_window_is_not_seen() {
        assert!(looping(&calls("abcdabcd"), 8, 2).is_some());
        assert!(looping(&calls("abcdabcd"), 7, 2).is_none());
    }

    #[test]
    fn an_answer_of_exactly_the_limit_is_empty() {
        assert!(empty_response(&[99, 10, 0, 10], 3, 10).is_some());
        assert!(empty_response(&[10, 11, 10], 3, 10).is_none());
        assert!(empty_response(&[0, 0], 3, 10).is_none());
    }

    #[test]
    fn the_error_rate_is_taken_over_a_full_window_only() {
        assert!(error_rate(&[true, true, true], 4, 0.5).is_none());
        assert!(error_rate(&[true, false, true, false], 4, 0.5).is_some());
        assert!(error_rate(&[true, true, true, false, false, false], 4, 0.5).is_none());
    }
}
