//! What health does to runs.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::{Says, Told, Tools, clock, go, journal, notes, run, wants};
use flyball_core_agent::{CallError, Directive, Failure, Layer, ManualClock, Model, Reply, Stack, ToolReply, Toolbox};
use flyball_governance::{Health, HealthConfig, NoNotify, OnAnomaly};
use flyball_journal::MemoryJournal;
use serde_json::json;

struct Ward {
    stack: Stack,
    health: Arc<Health>,
    journal: Arc<MemoryJournal>,
    clock: Arc<ManualClock>,
    told: Arc<Told>,
}

fn ward(on_anomaly: OnAnomaly) -> Ward {
    ward_of(HealthConfig { on_anomaly, ..HealthConfig::default() })
}

fn ward_of(config: HealthConfig) -> Ward {
    let (journal, clock, told) = (journal(), clock(), Arc::new(Told::default()));
    let health = Health::new(config, clock.clone(), journal.clone(), told.clone());
    let mut stack = Stack::new();
    stack.push(Arc::clone(&health) as Arc<dyn Layer>);
    Ward { stack, health, journal, clock, told }
}

fn asks_again_and_again() -> Arc<Says> {
    Says::new((0..9).map(|_| wants(&[("status", json!({"pipeline": 3}))])))
}

fn same() -> Arc<Tools> {
    Tools::new(&["status", "a", "b"], |_| ToolReply::ok("still broken"))
}

#[tokio::test]
async fn a_stuck_agent_is_halted_at_its_next_call() {
    let ward = ward(OnAnomaly::Pause);
    let (model, tools) = (asks_again_and_again(), same());
    let outcome = go(&ward.stack, &run("r"), &model, &tools).await;
    assert_eq!(tools.count(), 3);
    let why = "health: stuck: 'status' was called 3 times in a row with the same result";
    assert_eq!(outcome.directive, Directive::pause(why));
    assert_eq!(notes(&ward.journal.records(), "health")[0]["anomaly"], json!("stuck"));
    assert!(ward.told.kinds().is_empty(), "a pause tells nobody");
}

#[tokio::test]
async fn what_a_stuck_agent_deserves_is_told_though_its_run_fails() {
    let ward = ward(OnAnomaly::Pause);
    let again = || Ok(wants(&[("status", json!({}))]));
    let model = Says::or_fails([again(), again(), again(), Err(CallError::from(Failure::unsent("500")))]);
    let agent = ward.stack.agent("", 9, model as Arc<dyn Model>, same() as Arc<dyn Toolbox>);
    agent.invoke(common::invocation(&run("r"))).await.expect_err("the model failed");
    let why = "health: stuck: 'status' was called 3 times in a row with the same result";
    assert_eq!(ward.health.after_failure(), Directive::pause(why));
    assert_eq!(ward.health.after_failure(), Directive::Continue, "it is told once");
}

#[tokio::test]
async fn polling_whose_results_differ_is_not_stuck() {
    let ward = ward(OnAnomaly::Stop);
    let percent = AtomicU32::new(0);
    let tools = Tools::new(&["status"], move |_| ToolReply::ok(percent.fetch_add(1, Ordering::SeqCst).to_string()));
    let outcome = go(&ward.stack, &run("r"), &asks_again_and_again(), &tools).await;
    assert_eq!((tools.count(), outcome.directive), (9, Directive::Continue));
    assert_eq!(ward.health.status().expect("a status")["healthy"], json!(true));
}

#[tokio::test]
async fn the_same_call_in_run_after_run_is_not_stuck() {
    let ward = ward(OnAnomaly::Stop);
    for name in ["a", "b", "c", "d"] {
        let model = Says::new([wants(&[("status", json!({}))])]);
        let outcome = go(&ward.stack, &run(name), &model, &same()).await;
        assert_eq!(outcome.directive, Directive::Continue);
    }
}

#[tokio::test]
async fn log_only_writes_it_down_once_until_it_has_cooled_down() {
    let ward = ward(OnAnomaly::Log);
    let tools = same();
    let outcome = go(&ward.stack, &run("a"), &asks_again_and_again(), &tools).await;
    assert_eq!((tools.count(), outcome.directive), (9, Directive::Continue));
    assert_eq!(notes(&ward.journal.records(), "health").len(), 1);
    assert_eq!(ward.health.status().expect("a status")["healthy"], json!(false));
    ward.clock.advance(Duration::from_secs(300));
    assert_eq!(ward.health.status().expect("a status")["healthy"], json!(true));
    go(&ward.stack, &run("b"), &asks_again_and_again(), &tools).await;
    assert_eq!(notes(&ward.journal.records(), "health").len(), 2);
}

#[tokio::test]
async fn a_cooldown_silences_the_notice_and_not_the_halt() {
    let ward = ward(OnAnomaly::Escalate);
    for name in ["a", "b"] {
        let tools = same();
        let outcome = go(&ward.stack, &run(name), &asks_again_and_again(), &tools).await;
        assert!(matches!(outcome.directive, Directive::Pause { until: None, .. }));
        assert_eq!(tools.count(), 3);
    }
    assert_eq!(ward.told.kinds(), ["health.anomaly"]);
}

#[tokio::test]
async fn a_loop_of_two_calls_is_found() {
    let ward = ward(OnAnomaly::Stop);
    let model = Says::new((0..9).map(|n| wants(&[(if n % 2 == 0 { "a" } else { "b" }, json!({}))])));
    let outcome = go(&ward.stack, &run("r"), &model, &same()).await;
    assert_eq!(outcome.directive, Directive::stop("health: loop: a → b repeated 2 times with the same results"));
}

#[tokio::test]
async fn three_empty_answers_in_a_row_are_an_anomaly() {
    let ward = ward(OnAnomaly::Pause);
    let mut directives = Vec::new();
    for (name, says) in [("a", "ok"), ("b", "all pipelines are healthy"), ("c", " ok "), ("d", ""), ("e", "0123456789")] {
        directives.push(go(&ward.stack, &run(name), &Says::new([Reply::say(says)]), &same()).await.directive);
    }
    assert_eq!(directives[..4], [const { Directive::Continue }; 4]);
    assert_eq!(directives[4], Directive::pause("health: empty responses: 3 in a row"));
}

#[tokio::test]
async fn half_of_the_last_ten_calls_failing_is_an_anomaly() {
    let ward = ward_of(HealthConfig { on_anomaly: OnAnomaly::Stop, error_window: 4, ..HealthConfig::default() });
    let tools = Tools::new(&["a"], |call| match call.args["n"].as_u64() {
        Some(n) if n % 2 == 0 => ToolReply::error(n.to_string()),
        n => ToolReply::ok(format!("{n:?}")),
    });
    let model = Says::new((0..9).map(|n| wants(&[("a", json!({ "n": n }))])));
    let outcome = go(&ward.stack, &run("r"), &model, &tools).await;
    assert_eq!(outcome.directive, Directive::stop("health: error rate: 2 of the last 4 tool calls failed"));
    assert_eq!(tools.count(), 4);
}

#[tokio::test]
async fn runs_at_the_same_time_do_not_make_each_other_stuck() {
    let config = HealthConfig { on_anomaly: OnAnomaly::Stop, ..HealthConfig::default() };
    let mut stack = Stack::new();
    stack.push(Health::new(config, clock(), journal(), Arc::new(NoNotify)));
    let tools = same();
    let twice = || Says::new((0..2).map(|_| wants(&[("status", json!({}))])));
    let (runs, models) = ([run("a"), run("b")], [twice(), twice()]);
    let (a, b) = tokio::join!(go(&stack, &runs[0], &models[0], &tools), go(&stack, &runs[1], &models[1], &tools));
    assert_eq!((a.directive, b.directive, tools.count()), (Directive::Continue, Directive::Continue, 4));
}
