//! How much memory an event takes, roughly.

use flyball_core_agent::TriggerEvent;
use serde_json::Value;

/// What a value takes apart from its text.
const EACH: usize = 32;

/// The bytes of an event's payload and metadata.
pub fn weight(event: &TriggerEvent) -> usize {
    EACH + of(&event.payload) + event.metadata.iter().map(|(key, value)| key.len() + of(value)).sum::<usize>()
}

fn of(value: &Value) -> usize {
    EACH + match value {
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(of).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + of(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn text_counts_wherever_it_is() {
        let light = TriggerEvent::new("t", "webhook", DateTime::UNIX_EPOCH, json!({}));
        let text = "x".repeat(10_000);
        for payload in [json!(text), json!({"a": [{"b": text}]}), json!({text: 1})] {
            let heavy = TriggerEvent { payload, ..light.clone() };
            assert!(weight(&heavy) > 10_000);
        }
        assert!(weight(&light) < 200);
    }
}
