use std::time::Duration;

use flyball_context::{Context, ContextConfig, Error};
use serde_json::json;

use super::support::object;

#[test]
fn a_field_out_of_range_is_refused_by_name() {
    let with = |change: fn(&mut ContextConfig)| {
        let mut config = ContextConfig::default();
        change(&mut config);
        match Context::new(config) {
            Err(Error::Config(what)) => what,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was taken"),
        }
    };
    assert!(with(|c| c.memory_max = 0).starts_with("memory_max: must be 1 to 100, is 0"));
    assert!(with(|c| c.memory_min_score = f64::NAN).starts_with("memory_min_score: must be 0 to 1"));
    assert!(with(|c| c.memory_timeout = Duration::ZERO).starts_with("memory_timeout"));
    assert!(with(|c| c.memory_auto_store = true).starts_with("memory_auto_store: there is no memory"));
    assert!(with(|c| c.conversation_max_messages = 0).contains("set conversation_history to false"));
    assert!(with(|c| c.env_prefix = Some(String::new())).starts_with("env_prefix"));
    assert!(with(|c| c.writable_keys = vec![String::new()]).starts_with("writable_keys"));
    assert!(with(|c| c.file_mounts = [(String::new(), "x".into())].into()).starts_with("file_mounts"));
    assert!(with(|c| c.initial_state = object(json!({"a": "x".repeat(20_000)}))).starts_with("initial_state: the value of 'a'"));
}
