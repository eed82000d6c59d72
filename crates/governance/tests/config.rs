//! What a section may say.

use flyball_governance::{BudgetConfig, EscalationTarget, HealthConfig, MissionConfig, Problems, SecretScopeConfig};
use serde_json::{Value, json};

fn fields(problems: &Problems) -> Vec<&str> {
    problems.iter().map(|(field, _)| field.as_str()).collect()
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is read")
}

#[test]
fn empty_sections_have_the_reference_defaults_and_are_well() {
    let (budget, health, mission): (BudgetConfig, HealthConfig, MissionConfig) =
        (read(json!({})), read(json!({})), read(json!({})));
    assert_eq!((budget.warning_threshold, budget.inject_remaining, budget.daily_reset_hour_utc), (0.8, true, 0));
    assert_eq!((health.stuck_threshold, health.loop_window, health.error_window, health.cooldown), (3, 20, 10, 300.0));
    assert_eq!((mission.eval_every, mission.confidence_threshold, mission.auto_complete), (1, 0.7, true));
    let secrets: SecretScopeConfig = read(json!({}));
    assert!(secrets.revoke_on_stop);
    let problems = [budget.check(), health.check(), mission.check(), secrets.check()].concat();
    assert_eq!(problems, []);
}

#[test]
fn unknown_fields_are_refused() {
    let error = serde_json::from_value::<BudgetConfig>(json!({"max_tool_calls": 3})).expect_err("unknown");
    assert!(error.to_string().contains("max_tool_calls"));
    assert!(serde_json::from_value::<HealthConfig>(json!({"on_anomaly": "shout"})).is_err());
    assert!(serde_json::from_value::<MissionConfig>(json!({"success": "x"})).is_err());
    assert!(serde_json::from_value::<SecretScopeConfig>(json!({"ttl": 3})).is_err());
}

#[test]
fn a_budget_out_of_range_is_told_by_field() {
    let budget: BudgetConfig = read(json!({
        "max_tool_calls_per_run": 0, "max_cost_per_day": 0.0, "max_irreversible_per_run": 0,
        "tool_costs": {"pay": {"cost_weight": -1.0}}, "daily_reset_hour_utc": 24, "warning_threshold": 1.5,
        "on_exceeded": "escalate"
    }));
    let wanted = [
        "max_tool_calls_per_run",
        "max_cost_per_day",
        "tool_costs.pay.cost_weight",
        "daily_reset_hour_utc",
        "warning_threshold",
        "escalation",
    ];
    assert_eq!(fields(&budget.check()), wanted);
}

#[test]
fn health_out_of_range_is_told_by_field() {
    let health: HealthConfig = read(json!({
        "stuck_threshold": 1, "loop_window": 3, "loop_min_repeats": 1, "empty_threshold": 0, "error_window": 9999999,
        "error_rate_threshold": 0.0, "cooldown": -1.0, "escalation": {}
    }));
    let wanted = [
        "stuck_threshold",
        "loop_window",
        "loop_min_repeats",
        "empty_threshold",
        "error_window",
        "error_rate_threshold",
        "cooldown",
        "escalation",
    ];
    assert_eq!(fields(&health.check()), wanted);
}

#[test]
fn a_mission_out_of_range_is_told_by_field() {
    let mission: MissionConfig = read(json!({
        "enabled": true, "objective": " ", "eval_every": 0, "confidence_threshold": 1.1, "timeout_hours": -1.0,
        "escalation": {"webhook_url": "ftp://x"}
    }));
    let wanted =
        ["objective", "success_criteria", "eval_every", "confidence_threshold", "timeout_hours", "escalation.webhook_url"];
    assert_eq!(fields(&mission.check()), wanted);
}

#[test]
fn secrets_out_of_range_are_told_by_field_and_not_quoted() {
    let secrets: SecretScopeConfig = read(json!({
        "secrets": {"a b": "long enough", "pin": "123", "ok": "${X}"}, "default_ttl": 0.0, "ttls": {"ok": 0.0, "nobody": 5.0}
    }));
    let problems = secrets.check();
    assert_eq!(fields(&problems), ["secrets.a b", "secrets.pin", "default_ttl", "ttls.nobody", "ttls.ok"]);
    assert!(!format!("{problems:?} {secrets:?}").contains("123"));
}

#[test]
fn a_hook_address_is_shown_without_its_path() {
    let target = EscalationTarget { webhook_url: Some("https://hooks.example/T0/B0/s3cret".into()), event_type: None };
    assert_eq!(target.check(), []);
    let shown = format!("{target:?}");
    assert!(shown.contains("https://hooks.example/…") && !shown.contains("s3cret"), "{shown}");
}
