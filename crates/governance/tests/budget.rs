//! What a budget does to runs.

mod common;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use common::{Says, Told, Tools, clock, go, journal, noon, notes, run, wants};
use flyball_core_agent::{CallError, Directive, Failure, Layer, Model, Reply, Stack, ToolReply, Toolbox};
use flyball_governance::{Budget, BudgetConfig, NoNotify, OnExceeded, ToolCostAnnotation};
use flyball_journal::{Entry, Intent, MemoryJournal, Replay};
use serde_json::json;

fn budget(config: BudgetConfig) -> (Stack, Arc<Budget>) {
    let budget = Budget::new(config, clock(), journal(), Arc::new(NoNotify), &[]);
    let mut stack = Stack::new();
    stack.push(Arc::clone(&budget) as Arc<dyn Layer>);
    (stack, budget)
}

fn tools() -> Arc<Tools> {
    Tools::new(&["look", "pay"], |_| ToolReply::ok("fine"))
}

#[tokio::test]
async fn a_call_over_the_limit_is_refused_and_the_model_is_told_which_limit() {
    let (stack, _) = budget(BudgetConfig { max_tool_calls_per_run: Some(2), ..BudgetConfig::default() });
    let model = Says::new([wants(&[("look", json!({})), ("look", json!({})), ("look", json!({}))])]);
    let tools = tools();
    let outcome = go(&stack, &run("r"), &model, &tools).await;
    assert_eq!(tools.count(), 2);
    assert!(model.prompt(1).contains("max_tool_calls_per_run (2)"), "{}", model.prompt(1));
    assert_eq!(outcome.directive, Directive::pause("budget: max_tool_calls_per_run reached"));
}

#[tokio::test]
async fn cost_and_irreversible_calls_have_limits_of_their_own() {
    let pay = ToolCostAnnotation { cost_weight: 5.0, irreversible: true };
    let tool_costs = [("pay".to_owned(), pay)].into();
    let config = BudgetConfig { max_cost_per_run: Some(11.0), tool_costs, ..BudgetConfig::default() };
    let thrice = || Says::new([wants(&[("pay", json!({})), ("pay", json!({})), ("look", json!({})), ("look", json!({}))])]);
    let tools1 = tools();
    go(&budget(config.clone()).0, &run("r"), &thrice(), &tools1).await;
    assert_eq!(tools1.count(), 3, "5 + 5 + 1 fit, the second look does not");

    let config = BudgetConfig { max_cost_per_run: None, max_irreversible_per_run: Some(1), ..config };
    let tools2 = tools();
    let outcome = go(&budget(config).0, &run("r"), &thrice(), &tools2).await;
    assert_eq!(tools2.count(), 3, "one pay and two looks");
    assert_eq!(outcome.directive, Directive::pause("budget: max_irreversible_per_run reached"));
}

#[tokio::test]
async fn the_turn_limit_ends_the_run() {
    let config = BudgetConfig { max_llm_turns_per_run: Some(2), on_exceeded: OnExceeded::Stop, ..BudgetConfig::default() };
    let model = Says::new((0..9).map(|n| wants(&[("look", json!({ "n": n }))])));
    let outcome = go(&budget(config).0, &run("r"), &model, &tools()).await;
    assert_eq!(model.count(), 2);
    assert_eq!(outcome.directive, Directive::stop("budget: max_llm_turns_per_run reached"));
}

#[tokio::test]
async fn what_remains_stands_at_the_end_of_every_turn_in_fresh_numbers() {
    let (stack, _) = budget(BudgetConfig { max_tool_calls_per_run: Some(5), ..BudgetConfig::default() });
    let model = Says::new([wants(&[("look", json!({}))])]);
    go(&stack, &run("r"), &model, &tools()).await;
    let asked = model.asked.lock().expect("asked");
    let last: Vec<&str> = asked.iter().filter_map(|turn| turn.messages.last()).map(|message| message.text()).collect();
    assert!(last[0].contains(r#""tool_calls_run":5"#) && last[0].contains(r#""cost_day":null"#), "{}", last[0]);
    assert!(last[1].contains(r#""tool_calls_run":4"#), "{}", last[1]);
    assert_eq!(asked[1].messages.iter().filter(|message| message.text().contains("[Budget Remaining]")).count(), 1);
}

#[tokio::test]
async fn runs_at_the_same_time_have_limits_of_their_own() {
    let (stack, _) = budget(BudgetConfig { max_tool_calls_per_run: Some(2), ..BudgetConfig::default() });
    let tools = tools();
    let model = || Says::new((0..4).map(|n| wants(&[("look", json!({ "n": n }))])));
    let (runs, models) = ([run("a"), run("b"), run("c")], [model(), model(), model()]);
    tokio::join!(
        go(&stack, &runs[0], &models[0], &tools),
        go(&stack, &runs[1], &models[1], &tools),
        go(&stack, &runs[2], &models[2], &tools)
    );
    assert_eq!(tools.count(), 6);
}

#[tokio::test]
async fn a_pause_by_daily_limits_alone_ends_with_the_day() {
    let clock = clock();
    let config = BudgetConfig { max_tool_calls_per_day: Some(1), daily_reset_hour_utc: 6, ..BudgetConfig::default() };
    let budget = Budget::new(config, clock.clone(), journal(), Arc::new(NoNotify), &[]);
    let mut stack = Stack::new();
    stack.push(budget.clone());
    let twice = || Says::new([wants(&[("look", json!({})), ("look", json!({}))])]);
    let tools = tools();
    let outcome = go(&stack, &run("a"), &twice(), &tools).await;
    let reset = noon() + TimeDelta::hours(18);
    let why = "budget: max_tool_calls_per_day reached".to_owned();
    assert_eq!(outcome.directive, Directive::Pause { why, until: Some(reset) });
    assert_eq!(budget.status().expect("a status")["resets_at"], json!(reset));

    clock.advance(Duration::from_secs(18 * 3600 - 1));
    go(&stack, &run("b"), &twice(), &tools).await;
    assert_eq!(tools.count(), 1);
    clock.advance(Duration::from_secs(1));
    go(&stack, &run("c"), &twice(), &tools).await;
    assert_eq!(tools.count(), 2);
}

#[tokio::test]
async fn a_run_over_the_days_runs_does_not_begin_and_is_not_counted() {
    let (stack, budget) = budget(BudgetConfig { max_runs_per_day: Some(1), ..BudgetConfig::default() });
    let model = Says::new([]);
    go(&stack, &run("a"), &model, &tools()).await;
    let outcome = go(&stack, &run("b"), &model, &tools()).await;
    assert_eq!(model.count(), 1);
    assert!(matches!(outcome.directive, Directive::Pause { until: Some(_), .. }), "{:?}", outcome.directive);
    assert_eq!(budget.status().expect("a status")["used"]["runs_day"], json!(1));
}

#[tokio::test]
async fn someone_is_warned_once_and_told_when_the_limit_is_hit() {
    let told = Arc::new(Told::default());
    let config = BudgetConfig { max_tool_calls_per_run: Some(5), on_exceeded: OnExceeded::Escalate, ..BudgetConfig::default() };
    let mut stack = Stack::new();
    stack.push(Budget::new(config, clock(), journal(), told.clone(), &[]));
    let many: Vec<_> = (0..9).map(|n| ("look", json!({ "n": n }))).collect();
    go(&stack, &run("r"), &Says::new([wants(&many)]), &tools()).await;
    assert_eq!(told.kinds(), ["budget.warning", "budget.exceeded"]);
}

#[tokio::test]
async fn a_run_that_fails_after_hitting_a_limit_passes_its_directive_on() {
    let (stack, _) = budget(BudgetConfig { max_tool_calls_per_run: Some(1), ..BudgetConfig::default() });
    let calls = || Ok(wants(&[("look", json!({})), ("look", json!({}))]));
    let fails = || Err(CallError::from(Failure::unsent("500")));
    let model = Says::or_fails([calls(), fails(), calls(), fails()]);
    let agent = stack.agent("", 9, model as Arc<dyn Model>, tools() as Arc<dyn Toolbox>);
    agent.invoke(common::invocation(&run("a"))).await.expect_err("the model failed");
    let asked = || stack.layers().iter().map(|layer| layer.after_failure()).collect::<Vec<_>>();
    let pause = Directive::pause("budget: max_tool_calls_per_run reached");
    assert_eq!((asked(), asked()), (vec![pause.clone()], vec![Directive::Continue]), "it is told once");
    agent.invoke(common::invocation(&run("b"))).await.expect_err("the model fails again");
    let outcome = go(&stack, &run("c"), &Says::new([]), &tools()).await;
    assert_eq!(outcome.directive, pause, "where nobody asks, the next run that ends tells it");
}

/// The stack around a run, with the journal's own layers.
fn whole(config: BudgetConfig, journal: &Arc<MemoryJournal>) -> (Stack, Arc<Budget>) {
    let budget = Budget::new(config, clock(), journal.clone(), Arc::new(NoNotify), &journal.records());
    let mut stack = Stack::new();
    stack.push(Intent::new(journal.clone()));
    stack.push(budget.clone());
    stack.push(Replay::new(journal.clone()));
    (stack, budget)
}

#[tokio::test]
async fn a_run_that_is_resumed_after_a_crash_goes_on_with_what_it_had_spent() {
    let config = BudgetConfig { max_tool_calls_per_run: Some(3), max_runs_per_day: Some(1), ..BudgetConfig::default() };
    let journal = journal();
    let first = whole(config.clone(), &journal);
    // Two calls, then the model fails as in a crash; the run has no end in the journal.
    let model = Says::or_fails([
        Ok(wants(&[("look", json!({"n": 1})), ("look", json!({"n": 2}))])),
        Err(CallError::Abort("the machine went away".into())),
    ]);
    let agent = first.0.agent("", 9, model as Arc<dyn Model>, tools() as Arc<dyn Toolbox>);
    agent.invoke(common::invocation(&run("r"))).await.expect_err("cut off");

    let (stack, budget) = whole(config, &journal);
    let tools = tools();
    let again = Says::new([
        wants(&[("look", json!({"n": 1})), ("look", json!({"n": 2}))]),
        wants(&[("look", json!({"n": 3})), ("look", json!({"n": 4}))]),
    ]);
    // Without a tape nothing is replayed: the two known steps pass as reserved, and one more fits.
    let outcome = go(&stack, &run("r"), &again, &tools).await;
    assert_eq!(tools.count(), 3);
    assert_eq!(outcome.directive, Directive::pause("budget: max_tool_calls_per_run reached"));
    let used = &budget.status().expect("a status")["used"];
    assert_eq!((&used["tool_calls_day"], &used["runs_day"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn a_reservation_stands_in_the_intent() {
    let journal = journal();
    let (stack, _) = whole(BudgetConfig { max_cost_per_day: Some(9.0), ..BudgetConfig::default() }, &journal);
    go(&stack, &run("r"), &Says::new([wants(&[("look", json!({}))])]), &tools()).await;
    let records = journal.records();
    let marks = records.iter().filter_map(|record| match &record.entry {
        Entry::ToolCall { notes, .. } => notes.get("budget"),
        _ => None,
    });
    assert_eq!(marks.collect::<Vec<_>>(), [&json!({"cost": 1.0, "irreversible": false, "day": "2026-05-04"})]);
    assert_eq!(notes(&records, "budget")[0], json!({"event": "run", "day": "2026-05-04"}));
}

#[tokio::test]
async fn a_judge_is_counted_but_not_refused_and_not_told() {
    let (stack, _) = budget(BudgetConfig { max_llm_turns_per_run: Some(1), ..BudgetConfig::default() });
    let model = Says::new([Reply::say("1"), Reply::say("2")]);
    let wrapped = stack.model(model.clone());
    let run = run("r");
    let turn = |step: &str| flyball_core_agent::Turn {
        run: run.clone(),
        step: flyball_core_agent::StepId(step.into()),
        messages: vec![],
        tools: vec![],
    };
    wrapped.reply(&turn("t0")).await.expect("a reply");
    wrapped.reply(&turn("judge")).await.expect("a verdict");
    assert!(matches!(wrapped.reply(&turn("t1")).await, Err(CallError::Halt(_))));
    assert_eq!(model.prompt(1), "");
}
