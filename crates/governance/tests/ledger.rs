//! A budget never counts too little, whatever the clock does and wherever a crash falls.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use common::{AnyClock, journal, noon, run};
use flyball_core_agent::{CallError, Clock, Layer, ManualClock, Run, RunId, StepId, ToolCall, ToolReply, ToolSpec, Toolbox};
use flyball_governance::{Budget, BudgetConfig, NoNotify};
use flyball_journal::{Entry, Journal, MemoryJournal, Record};
use proptest::prelude::*;
use serde_json::{Map, json};

const PER_DAY: u64 = 5;
const PER_RUN: u64 = 3;

/// Writes the intent, and makes the call unless the machine dies before that.
struct Outside {
    journal: Arc<MemoryJournal>,
    dies_before_the_call: Mutex<bool>,
    /// The calls that reached the tool: their run and the budget's day.
    made: Mutex<Vec<(String, NaiveDate)>>,
}

#[async_trait]
impl Toolbox for Outside {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(vec![])
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let intent = Entry::ToolCall {
            run: call.run.id().clone(),
            step: call.step.clone(),
            attempt: 1,
            tool: call.name.clone(),
            args: call.args.clone(),
            effect: call.effect(),
            notes: call.notes.clone(),
        };
        self.journal.append(vec![intent]).await.expect("the intent");
        if *self.dies_before_the_call.lock().expect("fate") {
            return Err(CallError::Abort("the machine went away".into()));
        }
        let day = serde_json::from_value(call.notes["budget"]["day"].clone()).expect("a day");
        self.made.lock().expect("made").push((call.run.id().0.clone(), day));
        Ok(ToolReply::ok("done"))
    }
}

#[derive(Debug, Clone)]
enum Act {
    Call { run: u8, step: u8 },
    CrashInCall { run: u8, step: u8 },
    Crash,
    Clock { hours: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..4_u8, 0..12_u8).prop_map(|(run, step)| Act::Call { run, step }),
        1 => (0..4_u8, 0..12_u8).prop_map(|(run, step)| Act::CrashInCall { run, step }),
        1 => Just(Act::Crash),
        2 => (-40..40_i64).prop_map(|hours| Act::Clock { hours }),
    ]
}

struct World {
    clock: Arc<AnyClock>,
    outside: Arc<Outside>,
    budget: Arc<Budget>,
    toolbox: Arc<dyn Toolbox>,
    runs: BTreeMap<u8, Run>,
    answered: BTreeSet<(u8, u8)>,
}

impl World {
    fn new() -> Self {
        let (clock, journal) = (Arc::new(AnyClock(Mutex::new(noon()))), journal());
        let outside = Arc::new(Outside { journal, dies_before_the_call: Mutex::default(), made: Mutex::default() });
        let (budget, toolbox) = Self::start(&clock, &outside);
        Self { clock, outside, budget, toolbox, runs: BTreeMap::new(), answered: BTreeSet::new() }
    }

    fn start(clock: &Arc<AnyClock>, outside: &Arc<Outside>) -> (Arc<Budget>, Arc<dyn Toolbox>) {
        let config = BudgetConfig {
            max_tool_calls_per_day: Some(PER_DAY),
            max_tool_calls_per_run: Some(PER_RUN),
            ..BudgetConfig::default()
        };
        let records = outside.journal.records();
        let budget = Budget::new(config, clock.clone(), outside.journal.clone(), Arc::new(NoNotify), &records);
        let toolbox = budget.toolbox(outside.clone());
        (budget, toolbox)
    }

    fn crash(&mut self) {
        (self.budget, self.toolbox) = Self::start(&self.clock, &self.outside);
        self.runs.clear();
    }

    /// Calls through the whole run wrapper, so that a run cut off gets its totals back.
    async fn call(&mut self, name: u8, step: u8) {
        if self.answered.contains(&(name, step)) {
            return;
        }
        let before = self.outside.made.lock().expect("made").len();
        let call = Call { toolbox: Arc::clone(&self.toolbox), step };
        let agent = self.budget.agent(Arc::new(call));
        let run = self.runs.entry(name).or_insert_with(|| run(&format!("r{name}"))).clone();
        let ended = agent.invoke(common::invocation(&run)).await;
        assert!(ended.is_err(), "the run never ends, so its totals stay");
        if self.outside.made.lock().expect("made").len() > before {
            self.answered.insert((name, step));
        }
    }

    fn check(&self, seen: DateTime<Utc>) -> Result<(), TestCaseError> {
        let made = self.outside.made.lock().expect("made").clone();
        for (_, day) in &made {
            prop_assert!(made.iter().filter(|(_, other)| other == day).count() as u64 <= PER_DAY);
        }
        for (run, _) in &made {
            prop_assert!(made.iter().filter(|(other, _)| other == run).count() as u64 <= PER_RUN);
        }
        let days: Vec<NaiveDate> = made.iter().map(|(_, day)| *day).collect();
        let status = self.budget.status().expect("a status");
        let today: NaiveDate = serde_json::from_value(status["day"].clone()).expect("a day");
        let used = status["used"]["tool_calls_day"].as_u64().expect("a count");
        let really = days.iter().filter(|day| **day == today).count() as u64;
        prop_assert!(used >= really, "{} counted, {} made", used, really);
        prop_assert!(days.iter().all(|day| *day <= today) && today >= seen.date_naive(), "{:?} after {:?}", today, days);
        Ok(())
    }
}

/// An agent that makes one call and never comes to an end.
struct Call {
    toolbox: Arc<dyn Toolbox>,
    step: u8,
}

#[async_trait]
impl flyball_core_agent::Agent for Call {
    async fn invoke(
        &self,
        invocation: flyball_core_agent::Invocation,
    ) -> Result<flyball_core_agent::Outcome, flyball_core_agent::Error> {
        let call = ToolCall {
            run: invocation.run,
            step: StepId::call(0, u32::from(self.step)),
            name: "pay".into(),
            args: Map::from_iter([("n".to_owned(), json!(self.step))]),
            spec: None,
            notes: Map::new(),
        };
        let _ = self.toolbox.call(&call).await;
        Err(flyball_core_agent::Error::Cancelled)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_day_and_no_run_gets_more_than_its_limit(acts in prop::collection::vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new();
            for act in acts {
                match act {
                    Act::Call { run, step } => world.call(run, step).await,
                    Act::CrashInCall { run, step } => {
                        *world.outside.dies_before_the_call.lock().expect("fate") = true;
                        world.call(run, step).await;
                        *world.outside.dies_before_the_call.lock().expect("fate") = false;
                        world.crash();
                    }
                    Act::Crash => world.crash(),
                    Act::Clock { hours } => *world.clock.0.lock().expect("now") += TimeDelta::hours(hours),
                }
                let now = world.clock.now();
                world.check(now)?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

#[test]
fn a_checkpoint_stands_for_the_records_before_it() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let mut notes = serde_json::Map::new();
    notes.insert("budget".into(), serde_json::json!({"cost": 2.5, "irreversible": false, "day": "1970-01-01"}));
    let call = Entry::ToolCall {
        run: RunId("r".into()),
        step: StepId::call(0, 0),
        attempt: 1,
        tool: "t".into(),
        args: serde_json::Map::new(),
        effect: flyball_core_agent::Effect::Read,
        notes,
    };
    let record = |seq, entry| Record { seq, process: "p".into(), n: seq, epoch: 1, at: DateTime::UNIX_EPOCH, entry };
    let budget = |records: &[Record]| {
        let journal = Arc::new(flyball_journal::MemoryJournal::new("p"));
        let config = BudgetConfig { enabled: true, max_cost_per_day: Some(10.0), ..BudgetConfig::default() };
        Budget::new(config, Arc::clone(&clock), journal, Arc::new(NoNotify), records)
    };
    let before = budget(&[record(1, call)]);
    let layers = serde_json::Map::from_iter([("budget".to_owned(), before.snapshot().expect("a snapshot"))]);
    let checkpoint = Entry::Checkpoint { fold: Box::default(), layers };
    let after = budget(&[record(2, checkpoint)]);
    assert_eq!(before.status(), after.status());
    assert_eq!(after.status().expect("a status")["used"]["cost_day"], serde_json::json!(2.5));
}
