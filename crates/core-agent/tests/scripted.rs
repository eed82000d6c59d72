//! The scripted model: what its rules match, what they answer, and how it refuses a bad script.
#![cfg(feature = "scripted")]
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

use std::sync::Arc;

use chrono::DateTime;
use flyball_core_agent::scripted::{Error, ScriptedModel};
use flyball_core_agent::{CallError, Message, Model, Run, RunId, Sent, StepId, TriggerEvent, Turn};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn turn(process: &str, step: &str, messages: Vec<Message>) -> Turn {
    let run = Run::new(RunId("run-1".into()), process, CancellationToken::new());
    let messages = messages.into_iter().map(Arc::new).collect();
    Turn { run, step: StepId(step.into()), messages, tools: Vec::new() }
}

fn event(kind: &str, payload: serde_json::Value) -> Message {
    Message::user(TriggerEvent::new("trigger-1", kind, DateTime::UNIX_EPOCH, payload).prompt("f00"))
}

fn answer(tool: &str, text: &str) -> Message {
    Message::Tool { call_id: "c".into(), name: tool.into(), text: text.into() }
}

fn model(yaml: &str) -> ScriptedModel {
    ScriptedModel::from_yaml(yaml, "script.yaml").expect("the script is good")
}

fn refusal(yaml: &str) -> String {
    ScriptedModel::from_yaml(yaml, "script.yaml").expect_err("the script is bad").to_string()
}

const TWO_STEPS: &str = r#"
rules:
  - name: looks
    when: {process: monitor, trigger: [cron, file_watch]}
    call: [{tool: check_health, args: {pipeline: orders}}]
  - name: acts
    when:
      after: check_health
      result: 'file=(?<file>\S+) rows=(?<rows>\d+)'
    call:
      - tool: quarantine
        args: {file: "{{file}}", rows: "{{rows|json}}", note: "{{file}} is bad", deep: [{f: "{{file}}"}], keep: 7}
      - tool: emit
    say: "quarantining {{file}}"
"#;

#[tokio::test]
async fn the_first_rule_whose_conditions_hold_answers() {
    let model = model(TWO_STEPS);
    let reply = model.reply(&turn("monitor", "t0", vec![event("cron", json!({}))])).await.unwrap();
    assert_eq!(reply.calls[0].name, "check_health");
    assert_eq!(reply.calls[0].args, json!({"pipeline": "orders"}));
    assert!(reply.text.is_empty());
}

#[tokio::test]
async fn captures_fill_texts_and_arguments_at_any_depth() {
    let shown = vec![event("cron", json!({})), answer("check_health", "ok"), answer("check_health", "file=a.csv rows=12")];
    let reply = model(TWO_STEPS).reply(&turn("monitor", "t1", shown)).await.unwrap();
    assert_eq!(reply.text, "quarantining a.csv");
    let args = &reply.calls[0].args;
    assert_eq!(*args, json!({"file": "a.csv", "rows": 12, "note": "a.csv is bad", "deep": [{"f": "a.csv"}], "keep": 7}));
    assert_eq!(reply.calls[1].args, json!({}));
    assert_ne!(reply.calls[0].id, reply.calls[1].id);
}

#[tokio::test]
async fn the_same_turn_always_gets_the_same_answer_and_counts_words() {
    let shown = || turn("monitor", "t1", vec![event("cron", json!({})), answer("check_health", "file=a rows=1")]);
    let model = model(TWO_STEPS);
    let first = model.reply(&shown()).await.unwrap();
    assert_eq!(first, model.reply(&shown()).await.unwrap());
    assert!(first.usage.input_tokens > 10 && first.usage.output_tokens > 3, "{:?}", first.usage);
}

#[tokio::test]
async fn a_trigger_matches_only_until_a_tool_was_called() {
    let model = model("rules:\n  - name: a\n    when: {trigger: cron}\n    say: fresh\n  - say: later\n");
    let said = async |messages| model.reply(&turn("p", "t0", messages)).await.unwrap().text;
    assert_eq!(said(vec![event("cron", json!({}))]).await, "fresh");
    assert_eq!(said(vec![event("webhook", json!({}))]).await, "later");
    assert_eq!(said(vec![event("cron", json!({})), answer("x", "y")]).await, "later");
    let earlier_run = vec![event("cron", json!({})), answer("x", "y"), Message::assistant("done"), event("cron", json!({}))];
    assert_eq!(said(earlier_run).await, "fresh");
}

#[tokio::test]
async fn after_looks_at_the_last_turns_answers_only() {
    let model = model("rules:\n  - when: {after: a}\n    say: after a\n  - say: other\n");
    let said = async |messages| model.reply(&turn("p", "t2", messages)).await.unwrap().text;
    assert_eq!(said(vec![answer("a", "1"), answer("b", "2")]).await, "after a");
    assert_eq!(said(vec![answer("a", "1"), Message::assistant("now b"), answer("b", "2")]).await, "other");
}

#[tokio::test]
async fn step_event_and_shown_are_conditions_too() {
    let yaml =
        "rules:\n  - when: {step: judge, shown: 'status: (?<s>\\w+)', event: 'order (?<n>\\d+)'}\n    say: '{{s}} {{n}}'\n";
    let messages = vec![Message::system("status: healthy"), event("message", json!("order 17"))];
    let model = model(yaml);
    assert_eq!(model.reply(&turn("p", "judge", messages.clone())).await.unwrap().text, "healthy 17");
    assert_eq!(model.rule_for(&turn("p", "judge", messages.clone())), Some("number 1"));
    assert_eq!(model.rule_for(&turn("p", "t0", messages)), None);
}

#[tokio::test]
async fn a_turn_that_no_rule_answers_says_what_was_shown() {
    let shown = turn("analyst", "t1", vec![event("event", json!({})), answer("read_rows", "x")]);
    let Err(CallError::Failed(failure)) = model(TWO_STEPS).reply(&shown).await else { panic!("no rule matches") };
    assert_eq!(failure.sent, Sent::No);
    let expected = "no rule of script.yaml answers process 'analyst' at step t1 (trigger: event; last tool: read_rows)";
    assert_eq!(failure.message, expected);
}

#[tokio::test]
async fn a_group_that_captured_nothing_and_text_that_is_no_json_fail_the_turn() {
    let yaml = "rules:\n  - name: r\n    when: {shown: 'a(?<x>b)?'}\n    say: '{{x}}'\n";
    let failed = model(yaml).reply(&turn("p", "t0", vec![Message::user("a")])).await.unwrap_err().to_string();
    assert!(failed.contains("rule 'r' (line 2)") && failed.contains("'x' took part in no match"), "{failed}");
    let yaml = "rules:\n  - when: {shown: '(?<x>.+)'}\n    call: [{tool: t, args: {v: '{{x|json}}'}}]\n";
    let failed = model(yaml).reply(&turn("p", "t0", vec![Message::user("no json")])).await.unwrap_err().to_string();
    assert!(failed.contains("no JSON"), "{failed}");
}

#[test]
fn mistakes_are_named_with_place_rule_and_suggestion() {
    let cases = [
        (
            "rules:\n  - name: r\n    wen: {}\n    say: x\n",
            "script.yaml:3:5: rule 'r': unknown field 'wen' (did you mean 'when'?)",
        ),
        (
            "rules:\n  - name: r\n    when:\n      triger: cron\n    say: x\n",
            "script.yaml:4:7: rule 'r': unknown field 'triger' (did you mean 'trigger'?)",
        ),
        ("rules:\n  - name: r\n    when: {event: '('}\n    say: x\n", "script.yaml:3:19: rule 'r': event: regex parse error"),
        (
            "rules:\n  - name: r\n    when: {event: '(?<file>.)'}\n    say: '{{fiel}}'\n",
            "script.yaml:4:10: rule 'r': say: no regex of this rule captures 'fiel' (did you mean 'file'?)",
        ),
        (
            "rules:\n  - name: r\n    call: [{tool: t, args: {a: '{{b}}'}}]\n",
            "rule 'r': args: no regex of this rule captures 'b'",
        ),
        ("rules:\n  - name: r\n", "rule 'r': it neither calls a tool"),
        ("rules:\n  - name: r\n    call: [{args: {}}]\n", "the field 'tool' is missing"),
        ("rules:\n  - name: r\n    call: [{tool: t, args: [1]}]\n", "script.yaml:3:"),
        ("rules:\n  - name: r\n    when: {event: '(?<a>.)'}\n    say: '{{a|upper}}'\n", "knows no filter 'upper'"),
        (
            "rules:\n  - name: r\n    when: {event: '(?<a>.)', shown: '(?<a>.)'}\n    say: x\n",
            "both event: and shown: capture 'a'",
        ),
        ("rules:\n  - name: r\n    say: x\n    say: y\n", "script.yaml:4:"),
        ("rules: [\n", "script.yaml:"),
    ];
    for (yaml, expected) in cases {
        let message = refusal(yaml);
        assert!(message.contains(expected), "expected {expected:?} in:\n{message}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = ScriptedModel::from_file("/no/such/script.yaml").unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    assert!(error.to_string().contains("/no/such/script.yaml"), "{error}");
}
