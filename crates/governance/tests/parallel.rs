//! The calls of one reply are made side by side, and a budget decides on them as if they were made one after
//! the other: in the reply's order, whichever ends first and wherever a crash falls.

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use common::{clock, invocation, run, wants};
use flyball_core_agent::{
    CallError, Effect, Layer, Model, Reply, RunId, Stack, StepId, ToolCall, ToolReply, ToolSpec, Toolbox, Turn,
};
use flyball_governance::{Budget, BudgetConfig, EscalationTarget, Notice, Notify, ToolCostAnnotation};
use flyball_journal::{Entry, Intent, Journal, MemoryJournal, ProcessFold, Record, Replay};
use proptest::prelude::*;
use serde_json::json;

/// One call that the model wants.
#[derive(Debug, Clone)]
struct Wish {
    cost: u8,
    irreversible: bool,
    /// It only looks, so nobody waits for its intent.
    reads: bool,
    /// For so long it is under way: this decides which call ends first.
    takes: u8,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    calls: u64,
    cost: u8,
    irreversible: u64,
}

fn wish() -> impl Strategy<Value = Wish> {
    (1..5_u8, any::<bool>(), any::<bool>(), 0..12_u8).prop_map(|(cost, irreversible, reads, takes)| Wish {
        cost,
        irreversible,
        reads,
        takes,
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..12_u64, 1..30_u8, 0..5_u64).prop_map(|(calls, cost, irreversible)| Limits { calls, cost, irreversible })
}

/// Which calls are granted where one is decided on after the other.
fn in_order(wishes: &[Wish], limits: Limits) -> Vec<bool> {
    let (mut calls, mut cost, mut irreversible) = (0, 0, 0);
    let decide = |wish: &Wish| {
        let one = u64::from(wish.irreversible);
        let granted = calls < limits.calls
            && cost + wish.cost <= limits.cost
            && irreversible + one <= limits.irreversible.max(irreversible);
        if granted {
            (calls, cost, irreversible) = (calls + 1, cost + wish.cost, irreversible + one);
        }
        granted
    };
    wishes.iter().map(decide).collect()
}

fn tool(index: usize) -> String {
    format!("tool{index}")
}

/// Tools that take their time.
struct Slow {
    wishes: Vec<Wish>,
    ended: Mutex<Vec<StepId>>,
}

#[async_trait]
impl Toolbox for Slow {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let spec = |(index, wish): (usize, &Wish)| ToolSpec {
            name: tool(index),
            description: String::new(),
            parameters: json!({}),
            effect: Some(if wish.reads { Effect::Read } else { Effect::Idempotent }),
            reconcile: None,
        };
        Ok(self.wishes.iter().enumerate().map(|wish| Arc::new(spec(wish))).collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let index: usize = call.name.trim_start_matches("tool").parse().expect("a number");
        for _ in 0..self.wishes[index].takes {
            tokio::task::yield_now().await;
        }
        self.ended.lock().expect("ended").push(call.step.clone());
        Ok(ToolReply::ok("done"))
    }
}

/// Wants all of the calls in its first turn, and is done in the second.
struct WantsAll(usize);

#[async_trait]
impl Model for WantsAll {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        if turn.step != StepId::turn(0) {
            return Ok(Reply::say("all of it is done"));
        }
        let names: Vec<String> = (0..self.0).map(tool).collect();
        Ok(wants(&names.iter().map(|name| (name.as_str(), json!({}))).collect::<Vec<_>>()))
    }
}

/// Someone who is told of warnings, and takes time to listen: intents may be written in another order than
/// calls were reserved.
struct Listens;

#[async_trait]
impl Notify for Listens {
    async fn notify(&self, _target: &EscalationTarget, _notice: Notice) {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}

/// What came of a life.
struct Life {
    records: Vec<Record>,
    /// In the order in which their tools answered.
    ended: Vec<StepId>,
    cost: f64,
}

/// Runs the run from `records` on to its end.
async fn live(wishes: &[Wish], limits: Limits, records: &[Record]) -> Life {
    let journal = Arc::new(MemoryJournal::new("p"));
    for record in records {
        journal.push(record.entry.clone()).expect("pushed");
    }
    let costs = wishes.iter().enumerate().map(|(index, wish)| {
        (tool(index), ToolCostAnnotation { cost_weight: f64::from(wish.cost), irreversible: wish.irreversible })
    });
    let config = BudgetConfig {
        enabled: true,
        max_tool_calls_per_run: Some(limits.calls),
        max_cost_per_run: Some(f64::from(limits.cost)),
        max_irreversible_per_run: Some(limits.irreversible),
        max_cost_per_day: Some(1000.0),
        tool_costs: costs.collect(),
        warning_threshold: 0.3,
        ..BudgetConfig::default()
    };
    let budget = Budget::new(config, clock(), journal.clone(), Arc::new(Listens), records);
    let mut stack = Stack::new();
    stack.push(Intent::new(journal.clone()));
    stack.push(budget.clone());
    stack.push(Replay::new(journal.clone()));
    let tools = Arc::new(Slow { wishes: wishes.to_vec(), ended: Mutex::default() });
    let agent = stack.agent("You work.", 5, Arc::new(WantsAll(wishes.len())), tools.clone());
    let run = run("r");
    let fold = ProcessFold::of(records);
    if let Some(open) = fold.open_runs.get(&RunId("r".into())) {
        run.set_extension(Arc::new(open.tape.clone()));
    }
    agent.invoke(invocation(&run)).await.expect("the run ends");
    let cost = budget.status().expect("a status")["used"]["cost_day"].as_f64().expect("a number");
    let ended = tools.ended.lock().expect("ended").clone();
    Life { records: journal.records(), ended, cost }
}

/// Which calls were granted, by their results in the journal.
fn decided(records: &[Record], count: usize) -> Vec<bool> {
    let results: BTreeMap<&StepId, bool> = records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::ToolResult { step, refused, .. } => Some((step, !refused)),
            _ => None,
        })
        .collect();
    (0..count).map(|index| results[&StepId::call(0, u32::try_from(index).expect("few"))]).collect()
}

fn in_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
}

fn begun() -> Vec<Record> {
    let journal = MemoryJournal::new("p");
    let event = flyball_core_agent::TriggerEvent { event_id: "e".into(), ..invocation(&run("r")).event };
    journal.push(Entry::accepted(event)).expect("pushed");
    journal
        .push(Entry::InvocationStart { run: RunId("r".into()), event_id: "e".into(), attempt: 1, again: None })
        .expect("pushed");
    journal.records()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_decides_in_the_order_of_the_calls_whichever_ends_first_and_wherever_a_crash_falls(
        wishes in prop::collection::vec(wish(), 1..12),
        limits in limits(),
        later in prop::collection::vec(0..12_u8, 12),
    ) {
        in_a_runtime(async {
            let expected = in_order(&wishes, limits);
            let spent: f64 = wishes.iter().zip(&expected).filter(|(_, granted)| **granted).map(|(wish, _)| f64::from(wish.cost)).sum();
            let whole = live(&wishes, limits, &begun()).await;
            prop_assert_eq!(decided(&whole.records, wishes.len()), expected.clone());
            prop_assert_eq!(whole.cost, spent);
            // The next life's calls take other times.
            let other: Vec<Wish> = wishes.iter().zip(later).map(|(wish, takes)| Wish { takes, ..wish.clone() }).collect();
            for cut in begun().len()..=whole.records.len() {
                let resumed = live(&other, limits, &whole.records[..cut]).await;
                prop_assert_eq!(decided(&resumed.records, wishes.len()), expected.clone(), "cut after {} records", cut);
                prop_assert_eq!(resumed.cost, spent, "cut after {} records", cut);
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

#[test]
fn the_calls_do_end_in_another_order_than_they_begin() {
    let wish = |takes| Wish { cost: 2, irreversible: false, reads: false, takes };
    let wishes = [wish(9), wish(5), wish(1)];
    // Whoever decided at a call's end would grant the last two.
    let limits = Limits { calls: 9, cost: 4, irreversible: 0 };
    let life = in_a_runtime(live(&wishes, limits, &begun()));
    assert_eq!(life.ended, [StepId::call(0, 1), StepId::call(0, 0)]);
    assert_eq!(decided(&life.records, 3), [true, true, false]);
}
