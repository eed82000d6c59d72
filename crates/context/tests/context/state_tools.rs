use std::sync::Arc;

use chrono::DateTime;
use flyball_context::{State, StateConfig, StateToolbox};
use flyball_core_agent::{Change, Effect, ManualClock, Toolbox};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{call, object, run};

fn tools(writable: &[&str], initial: Value) -> (Arc<State>, StateToolbox) {
    let writable_keys = writable.iter().map(|&key| key.to_owned()).collect();
    let config = StateConfig { writable_keys, initial_state: object(initial) };
    let state = Arc::new(State::new(config, DateTime::UNIX_EPOCH));
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    (Arc::clone(&state), StateToolbox::new(state, Arc::new(clock)))
}

#[tokio::test]
async fn a_write_is_carried_by_its_reply_and_changes_nothing_else() {
    let (state, tools) = tools(&[], json!({"alerts": 0}));
    let reply = call(&tools, &run(), "set_state", json!({"key": "alerts", "value": 3})).await;
    let change = Change { key: "alerts".into(), value: json!(3), source: "agent".into(), at: DateTime::UNIX_EPOCH };
    assert_eq!(reply.changes, [change]);
    assert_eq!(reply.text, "alerts is now 3");
    assert_eq!(state.get("alerts"), Some(json!(0)));
}

#[tokio::test]
async fn a_run_reads_its_own_writes_and_nobody_elses() {
    let (state, tools) = tools(&[], json!({"alerts": 0}));
    let (mine, other) = (run(), run());
    assert_eq!(call(&tools, &mine, "get_state", json!({"key": "alerts"})).await.text, "0");
    call(&tools, &other, "set_state", json!({"key": "alerts", "value": 9})).await;
    other.changes().iter().for_each(|change| state.apply(change));
    assert_eq!(call(&tools, &mine, "get_state", json!({})).await.text, r#"{"alerts":0}"#, "the state of the run's start");
    call(&tools, &mine, "set_state", json!({"key": "mode", "value": null})).await;
    assert_eq!(call(&tools, &mine, "get_state", json!({})).await.text, r#"{"alerts":0,"mode":null}"#);
    assert_eq!(call(&tools, &run(), "get_state", json!({})).await.text, r#"{"alerts":9}"#);
}

#[tokio::test]
async fn mistakes_are_answered_with_what_would_be_right() {
    let (_, tools) = tools(&["alerts"], json!({"alerts": 0}));
    let run = run();
    for (tool, args, expected) in [
        ("set_state", json!({"key": "alert", "value": 1}), "did you mean 'alerts'?; writable keys: alerts"),
        ("set_state", json!({"key": "alerts"}), "'value' is missing"),
        ("set_state", json!({"key": 7, "value": 1}), "'key' is missing"),
        ("set_state", json!({"key": "alerts", "valeu": 1}), "unknown argument 'valeu', did you mean 'value'?"),
        ("get_state", json!({"key": "alertz"}), "no key 'alertz', did you mean 'alerts'?"),
    ] {
        let reply = call(&tools, &run, tool, args).await;
        assert!(reply.is_error && reply.text.contains(expected), "{tool}: {}", reply.text);
    }
    assert!(run.changes().is_empty());
}

#[tokio::test]
async fn the_limit_on_keys_counts_the_runs_own_writes() {
    let (_, tools) = tools(&[], json!({}));
    let run = run();
    for number in 0..100 {
        assert!(!call(&tools, &run, "set_state", json!({"key": format!("k{number}"), "value": 1})).await.is_error);
    }
    assert!(call(&tools, &run, "set_state", json!({"key": "k100", "value": 1})).await.is_error);
    assert!(!call(&tools, &run, "set_state", json!({"key": "k99", "value": 2})).await.is_error);
}

#[tokio::test]
async fn the_tools_declare_what_they_do_and_which_keys_may_be_written() {
    let (_, tools) = tools(&["a", "b"], json!({}));
    let specs = tools.list().await.unwrap();
    let effects: Vec<_> = specs.iter().map(|spec| (spec.name.as_str(), spec.effect)).collect();
    assert_eq!(effects, [("get_state", Some(Effect::Read)), ("set_state", Some(Effect::Idempotent))]);
    assert!(specs[1].description.contains("Writable keys: a, b."));
}

proptest! {
    #[test]
    fn two_runs_that_write_in_any_order_never_see_each_other(writes in prop::collection::vec((any::<bool>(), "[ab]", 0..9i32), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_, tools) = tools(&[], json!({"a": -1}));
            let runs = [run(), run()];
            let mut expected = [object(json!({"a": -1})), object(json!({"a": -1}))];
            for (second, key, value) in writes {
                let which = usize::from(second);
                call(&tools, &runs[which], "set_state", json!({"key": key, "value": value})).await;
                expected[which].insert(key, json!(value));
                for (run, expected) in runs.iter().zip(&expected) {
                    let seen: Value = serde_json::from_str(&call(&tools, run, "get_state", json!({})).await.text).unwrap();
                    assert_eq!(&seen, &Value::Object(expected.clone()));
                }
            }
        });
    }
}
