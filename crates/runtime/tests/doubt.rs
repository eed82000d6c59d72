//! A call of which nobody knows whether it happened: held, shown, and settled by an operator.

#![cfg(test)]

#[path = "support/paying.rs"]
mod paying;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use flyball_core_agent::{
    CallError, Effect, Failure, Model, Reply, ToolCall, ToolReply, ToolSpec, Toolbox, TriggerEvent, Turn, WantedCall,
};
use flyball_journal::{Decision, Doubt, doubts};
use flyball_runtime::{AgentRuntime, Blueprint, Built, Control, Past, ProcessSpec, ProcessStatus, RuntimeParts, Settlement};
use flyball_triggers::Trigger;
use serde_json::json;

use paying::{journalled, pay};

/// Pays; the first answer never comes back.
#[derive(Default)]
struct Till {
    calls: AtomicU32,
    /// The first answer is waited for, for ever.
    hangs: bool,
    /// So many more answers never come back.
    more: u32,
}

#[async_trait]
impl Toolbox for Till {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(pay(Some(Effect::Irreversible)))
    }

    async fn call(&self, _call: &ToolCall) -> Result<ToolReply, CallError> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 if self.hangs => std::future::pending().await,
            call if call <= self.more => {
                // None of them is answered before all have left.
                while self.calls.load(Ordering::SeqCst) <= self.more {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(Failure::unknown("the line went dead").into())
            }
            _ => Ok(ToolReply::ok("paid again")),
        }
    }
}

/// Pays once, and then says what the till said.
#[derive(Default)]
struct Payer {
    /// It pays twice, side by side.
    twice: bool,
}

#[async_trait]
impl Model for Payer {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        if turn.step.0 == "t0" {
            let call = |id: &str, amount| WantedCall { id: id.into(), name: "pay".into(), args: json!({"amount": amount}) };
            let calls = if self.twice { vec![call("c", 5), call("d", 6)] } else { vec![call("c", 5)] };
            return Ok(Reply { calls, ..Reply::default() });
        }
        Ok(Reply::say(turn.messages.last().expect("the till's answer").text()))
    }
}

struct Shop {
    till: Arc<Till>,
    twice: bool,
}

#[async_trait]
impl Blueprint for Shop {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        Ok(Vec::new())
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        Ok(journalled(past, Payer { twice: self.twice }, Arc::clone(&self.till) as _))
    }
}

struct Bench {
    runtime: AgentRuntime,
    till: Arc<Till>,
}

impl Bench {
    /// A process whose one run waits, because of a call in doubt.
    async fn held() -> (Self, Doubt) {
        Self::held_by(Till::default(), ProcessSpec::new("p")).await
    }

    async fn held_by(till: Till, spec: ProcessSpec) -> (Self, Doubt) {
        let runtime = AgentRuntime::new(RuntimeParts::in_memory().expect("memory"));
        let till = Arc::new(till);
        runtime.add_process(spec, Arc::new(Shop { till: Arc::clone(&till), twice: till.more > 0 })).expect("the name is free");
        runtime.start("p").await.expect("it starts");
        runtime.inject("p", TriggerEvent::new("t", "remote", Utc::now(), json!({}))).await.expect("taken");
        let bench = Self { runtime, till };
        bench.until(|status| status.held_runs.len() == 1).await;
        let doubt = bench.doubts().pop().expect("a call is in doubt");
        (bench, doubt)
    }

    fn doubts(&self) -> Vec<Doubt> {
        doubts(&self.runtime.log().records("p").expect("read"))
    }

    /// A process whose one run waits, because of two calls in doubt.
    async fn held_twice() -> (Self, Vec<Doubt>) {
        let (bench, _) = Self::held_by(Till { more: 1, ..Till::default() }, ProcessSpec::new("p")).await;
        let doubts = bench.doubts();
        assert_eq!(doubts.len(), 2, "{doubts:?}");
        (bench, doubts)
    }

    async fn say(&self, doubt: &Doubt, decision: Decision) {
        let settlement = Settlement { run: doubt.run.clone(), step: doubt.step.clone(), decision, note: "looked it up".into() };
        self.runtime.resolve("p", settlement).await.expect("settled");
    }

    async fn settle(&self, doubt: &Doubt, decision: Decision) {
        self.say(doubt, decision).await;
        self.until(|status| status.invocation_count == 1).await;
    }

    async fn until(&self, wanted: impl Fn(&ProcessStatus) -> bool) {
        let watched = async {
            while !wanted(&self.runtime.process_status("p").await.expect("there is p")) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), watched).await.expect("it comes");
    }

    fn calls(&self) -> u32 {
        self.till.calls.load(Ordering::SeqCst)
    }

    fn last_words(&self) -> String {
        let records = self.runtime.log().records("p").expect("read");
        let said = |record: &flyball_journal::Record| match &record.entry {
            flyball_journal::Entry::InvocationResult { outcome, .. } => Some(outcome.reply.clone()),
            _ => None,
        };
        records.iter().rev().find_map(said).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_call_in_doubt_is_shown_with_its_arguments_and_holds_its_run_only() {
    let (bench, doubt) = Bench::held().await;
    assert_eq!((doubt.tool.as_str(), &doubt.args["amount"]), ("pay", &json!(5)));
    assert!(doubt.why.contains("the line went dead"), "{}", doubt.why);
    assert_eq!(bench.calls(), 1);
    bench.runtime.inject("p", TriggerEvent::new("t", "remote", Utc::now(), json!({}))).await.expect("taken");
    bench.until(|status| status.invocation_count == 1).await;
    assert_eq!(bench.doubts(), [doubt], "the other event went on, and the doubt stays");
}

#[tokio::test]
async fn a_run_that_is_cut_off_by_its_deadline_in_such_a_call_is_held_and_not_failed() {
    let mut spec = ProcessSpec::new("p");
    spec.max_invocation_time = Some(Duration::from_millis(50));
    let (bench, doubt) = Bench::held_by(Till { hangs: true, ..Till::default() }, spec).await;
    assert!(doubt.why.contains("max_invocation_time"), "{}", doubt.why);
    bench.settle(&doubt, Decision::Happened { result: "paid".into() }).await;
    assert_eq!((bench.calls(), bench.last_words()), (1, "paid".to_owned()));
}

#[tokio::test]
async fn what_happened_is_not_done_again() {
    let (bench, doubt) = Bench::held().await;
    bench.settle(&doubt, Decision::Happened { result: "paid, says the bank".into() }).await;
    assert_eq!((bench.calls(), bench.last_words()), (1, "paid, says the bank".to_owned()));
    assert!(bench.doubts().is_empty());
}

#[tokio::test]
async fn what_did_not_happen_or_may_be_retried_is_done() {
    for decision in [Decision::DidNotHappen, Decision::Retry] {
        let (bench, doubt) = Bench::held().await;
        bench.settle(&doubt, decision).await;
        assert_eq!((bench.calls(), bench.last_words()), (2, "paid again".to_owned()));
    }
}

#[tokio::test]
async fn an_aborted_run_ends_with_its_event() {
    let (bench, doubt) = Bench::held().await;
    bench.settle(&doubt, Decision::Abort).await;
    let status = bench.runtime.process_status("p").await.expect("status");
    assert_eq!((bench.calls(), status.pending_events, status.held_runs.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_call_that_is_not_in_doubt_cannot_be_settled() {
    let (bench, doubt) = Bench::held().await;
    let wrong = Settlement {
        run: doubt.run.clone(),
        step: flyball_core_agent::StepId::turn(7),
        decision: Decision::Abort,
        note: String::new(),
    };
    assert!(bench.runtime.resolve("p", wrong).await.expect_err("refused").to_string().contains("not in doubt"));
}

#[tokio::test]
async fn two_calls_in_doubt_are_settled_one_after_the_other_and_the_run_goes_on_after_the_last() {
    for resting in ["alive", "paused", "stopped"] {
        let (bench, doubts) = Bench::held_twice().await;
        match resting {
            "paused" => bench.runtime.pause("p", "for a while").await.expect("paused"),
            "stopped" => bench.runtime.stop("p").await.expect("stopped"),
            _ => {}
        }
        bench.say(&doubts[0], Decision::Happened { result: "the first".into() }).await;
        assert_eq!(bench.doubts().len(), 1, "{resting}");
        assert_eq!(
            bench.runtime.process_status("p").await.expect("status").held_runs.len(),
            1,
            "{resting}: it waits for the other"
        );
        bench.say(&doubts[1], Decision::Happened { result: "the second".into() }).await;
        match resting {
            "paused" => bench.runtime.resume("p").await.expect("resumed"),
            "stopped" => bench.runtime.start("p").await.expect("started"),
            _ => {}
        }
        bench.until(|status| status.invocation_count == 1).await;
        assert_eq!((bench.calls(), bench.last_words()), (2, "the second".to_owned()), "{resting}");
        let records = bench.runtime.log().records("p").expect("read");
        let begun = |record: &&flyball_journal::Record| record.entry.kind() == "invocation_start";
        assert_eq!(records.iter().filter(begun).count(), 2, "{resting}: it went on once");
    }
}

#[tokio::test]
async fn an_abort_leaves_no_doubt_of_its_run() {
    let (bench, doubts) = Bench::held_twice().await;
    bench.settle(&doubts[0], Decision::Abort).await;
    assert_eq!(bench.doubts(), []);
}
