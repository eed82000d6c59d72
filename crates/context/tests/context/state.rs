use chrono::{DateTime, Utc};
use flyball_context::{Error, State, StateConfig};
use flyball_core_agent::Change;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::support::object;

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn state(writable: &[&str], initial: Value) -> State {
    let writable_keys = writable.iter().map(|&key| key.to_owned()).collect();
    State::new(StateConfig { writable_keys, initial_state: object(initial) }, AT)
}

#[test]
fn a_history_names_every_writer_and_ends_in_the_present_value() {
    let state = state(&[], json!({"alerts": 0}));
    state.put("alerts", json!(1), "agent", AT + chrono::TimeDelta::seconds(5)).unwrap();
    let history = state.history("alerts");
    let story: Vec<_> = history.iter().map(|entry| (entry.value.clone(), entry.source.as_str())).collect();
    assert_eq!(story, [(json!(0), "system"), (json!(1), "agent")]);
    assert_eq!(history[1].timestamp, AT + chrono::TimeDelta::seconds(5));
    assert_eq!(state.get("alerts"), Some(json!(1)));
    assert_eq!(state.get("nothing"), None);
    assert!(state.history("nothing").is_empty());
}

#[test]
fn a_key_that_is_not_writable_is_refused_with_the_ones_that_are() {
    let state = state(&["alert_count", "last_healthy"], json!({"mode": "test"}));
    let refused = state.put("alert_cout", json!(1), "agent", AT).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the state key 'alert_cout' is not writable, did you mean 'alert_count'?; writable keys: alert_count, last_healthy"
    );
    assert!(state.put("mode", json!("live"), "api", AT).is_err(), "initial keys are not writable by that alone");
    assert_eq!(state.keys(), ["mode"]);
}

#[test]
fn a_change_is_only_checked_until_it_is_applied() {
    let state = state(&[], json!({}));
    let change = state.change("a", json!(1), "api", AT).unwrap();
    assert_eq!(state.get("a"), None);
    state.apply(&change);
    assert_eq!(state.get("a"), Some(json!(1)));
}

#[test]
fn what_is_too_big_or_too_many_is_refused() {
    let state = state(&[], json!({}));
    let put = |key: &str, value: Value| state.put(key, value, "agent", AT);
    assert!(matches!(put("big", json!("x".repeat(10_000))), Err(Error::TooLarge(_))));
    assert!(put("fits", json!("x".repeat(9_998))).is_ok());
    assert!(matches!(put("", json!(1)), Err(Error::TooLarge(_))));
    let nested = |levels| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    assert!(matches!(put("deep", nested(65)), Err(Error::TooLarge(_))));
    assert!(put("fits", nested(64)).is_ok());
    assert!(matches!(put(&"k".repeat(129), json!(1)), Err(Error::TooLarge(_))));
    for number in 1..100 {
        put(&format!("key{number}"), json!(number)).unwrap();
    }
    assert!(matches!(put("one_more", json!(1)), Err(Error::TooLarge(_))));
    assert!(put("key7", json!("known keys can still be written")).is_ok());
}

#[test]
fn a_history_is_bounded_in_entries_and_in_bytes() {
    let state = state(&[], json!({}));
    for number in 0..250 {
        state.put("small", json!(number), "agent", AT).unwrap();
        state.put("big", json!("x".repeat(9_000)), "agent", AT).unwrap();
    }
    assert_eq!(state.history("small").len(), 100);
    assert_eq!(state.history("small")[0].value, json!(150));
    assert_eq!(state.history("big").len(), 7);
}

#[test]
fn an_applied_change_stays_though_the_configuration_forbids_it_now() {
    let state = state(&["a"], json!({}));
    state.apply(&Change { key: "b".into(), value: json!(1), source: "agent".into(), at: AT });
    assert_eq!(state.get("b"), Some(json!(1)));
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change =
        ("[a-d]", any::<i32>(), "agent|api").prop_map(|(key, value, source)| Change { key, value: json!(value), source, at: AT });
    prop::collection::vec(change, 0..60)
}

proptest! {
    #[test]
    fn the_state_is_the_fold_of_any_prefix_of_its_changes(changes in changes(), cut in any::<prop::sample::Index>()) {
        let prefix = &changes[..cut.index(changes.len() + 1)];
        let live = state(&[], json!({"a": "first"}));
        let mut expected: Map<String, Value> = object(json!({"a": "first"}));
        let mut written: Vec<Value> = vec![json!("first")];
        for change in prefix {
            let put = live.put(&change.key, change.value.clone(), &change.source, change.at).unwrap();
            prop_assert_eq!(&put, change);
            expected.insert(change.key.clone(), change.value.clone());
            written.extend((change.key == "a").then(|| change.value.clone()));
        }
        let recovered = state(&[], json!({"a": "first"}));
        prefix.iter().for_each(|change| recovered.apply(change));

        prop_assert_eq!(&live.snapshot(), &expected);
        prop_assert_eq!(&recovered.snapshot(), &expected);
        prop_assert_eq!(live.history("a"), recovered.history("a"));
        let history: Vec<Value> = live.history("a").into_iter().map(|entry| entry.value).collect();
        prop_assert_eq!(history, written);
    }
}
