//! The budget's memory, and the one place where it changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, NaiveDate, Utc};
use flyball_core_agent::{CallError, Clock, Directive, Effect, Run, RunId, StepId, ToolCall};
use flyball_journal::{Error, Journal, Record};
use serde_json::{Map, Value, json};

use super::config::{BudgetConfig, OnExceeded};
use super::ledger::{Day, Fact, LAYER, Ledger, Reservation, RunTotals, budget_day, count, end_of};
use super::limits::{self, ALL, Limit};
use crate::journalling::{Notes, not_recorded};
use crate::owed::Owed;
use crate::{EscalationTarget, Notice, Notify};

/// What every wrapper of one budget shares.
pub(super) struct Core {
    pub(super) config: BudgetConfig,
    clock: Arc<dyn Clock>,
    notes: Notes,
    notify: Arc<dyn Notify>,
    day: Mutex<Day>,
    /// The totals of runs that were cut off and may be run again.
    cut_off: Mutex<BTreeMap<RunId, RunTotals>>,
    pub(super) owed: Owed,
}

/// The newest runs that were cut off whose totals are kept; older ones are hardly run again.
const MAX_CUT_OFF: usize = 1_024;

/// What a budget keeps in a run.
#[derive(Default)]
pub(super) struct RunBudget(Mutex<RunTotals>);

impl RunBudget {
    fn lock(&self) -> MutexGuard<'_, RunTotals> {
        self.0.lock().expect("no holder of a run's totals panics")
    }
}

/// A limit that is nearly spent, and how much of it is.
pub(super) type Warning = (Limit, f64, f64);

/// What became of a wish to spend.
pub(super) enum Answer<T> {
    /// It is granted and counted; these warnings are due.
    Granted(T, Vec<Warning>),
    /// This limit stands in the way; nothing was counted.
    Refused(Limit),
}

impl Core {
    pub(super) fn new(
        config: BudgetConfig,
        clock: Arc<dyn Clock>,
        journal: Arc<dyn Journal>,
        notify: Arc<dyn Notify>,
        recovered: &[Record],
    ) -> Self {
        let mut ledger = Ledger::new(config.daily_reset_hour_utc);
        recovered.iter().for_each(|record| ledger.apply(record));
        let (day, cut_off) = (Mutex::new(ledger.day), Mutex::new(ledger.open));
        Self { config, clock, notes: Notes::new(LAYER, journal), notify, day, cut_off, owed: Owed::default() }
    }

    /// Gives a run its totals: those from before it was cut off, or none. They are kept for the
    /// next attempt when the seat is dropped before it is [finished](Seat::finish).
    pub(super) fn seat(self: &Arc<Self>, run: &Run) -> Seat {
        let totals = lock(&self.cut_off).remove(run.id()).unwrap_or_default();
        run.set_extension(Arc::new(RunBudget(Mutex::new(totals))));
        Seat { core: Arc::clone(self), run: run.clone(), finished: false }
    }

    /// Counts a run, once however often it is resumed.
    pub(super) fn admit(&self, run: &Run) -> Result<Answer<()>, Error> {
        let extension = run.extension::<RunBudget>();
        let (mut totals, mut day) = (extension.lock(), self.today());
        if totals.counted {
            return Ok(Answer::Granted((), Vec::new()));
        }
        if limits::is_spent(Limit::RunsPerDay, &self.config, &totals, &day) {
            self.exceed(run, Limit::RunsPerDay, "run", &mut totals, &mut day)?;
            return Ok(Answer::Refused(Limit::RunsPerDay));
        }
        let fact = Fact::Run { day: day.date };
        self.notes.push(Some(run.id()), &fact)?;
        count(&mut day, &mut totals, &fact);
        Ok(Answer::Granted((), self.warn(run, &mut totals, &mut day)?))
    }

    /// Reserves what `call` takes. Nothing is awaited, so that the calls of one turn are counted in their order.
    pub(super) fn reserve(&self, call: &ToolCall) -> Result<Answer<Reservation>, CallError> {
        let extension = call.run.extension::<RunBudget>();
        let (mut totals, mut day) = (extension.lock(), self.today());
        if let Some(reserved) = totals.calls.get(&call.step) {
            return Ok(Answer::Granted(*reserved, Vec::new()));
        }
        let reserved = self.price(call, day.date);
        if let Some(limit) = limits::broken_by_call(&self.config, &totals, &day, &reserved) {
            self.exceed(&call.run, limit, &call.name, &mut totals, &mut day).map_err(not_recorded)?;
            return Ok(Answer::Refused(limit));
        }
        count(&mut day, &mut totals, &Fact::Call { step: call.step.clone(), reserved });
        let warnings = self.warn(&call.run, &mut totals, &mut day).map_err(not_recorded)?;
        Ok(Answer::Granted(reserved, warnings))
    }

    /// Counts one turn of the agent's model and gives what was left before it.
    pub(super) fn turn(&self, run: &Run, step: &StepId) -> Result<Answer<Map<String, Value>>, CallError> {
        let extension = run.extension::<RunBudget>();
        let (mut totals, mut day) = (extension.lock(), self.today());
        let left = limits::remaining(&self.config, &totals, &day, &ALL);
        if !totals.turns.contains(step) {
            if limits::is_spent(Limit::LlmTurnsPerRun, &self.config, &totals, &day) {
                self.exceed(run, Limit::LlmTurnsPerRun, "turn", &mut totals, &mut day).map_err(not_recorded)?;
                return Ok(Answer::Refused(Limit::LlmTurnsPerRun));
            }
            count(&mut day, &mut totals, &Fact::Turn { step: step.clone() });
        }
        let warnings = self.warn(run, &mut totals, &mut day).map_err(not_recorded)?;
        Ok(Answer::Granted(left, warnings))
    }

    /// Counts a layer's own question to a model. It is bounded by its layer and never refused: a spent
    /// budget must not blind the judge of a mission.
    pub(super) fn side_turn(&self, run: &Run, step: &StepId) {
        let extension = run.extension::<RunBudget>();
        let (mut totals, mut day) = (extension.lock(), self.today());
        count(&mut day, &mut totals, &Fact::Turn { step: step.clone() });
    }

    /// What a run that comes to its end asks of the process.
    pub(super) fn verdict(&self, run: &Run) -> Directive {
        let extension = run.extension::<RunBudget>();
        let (totals, day) = (extension.lock(), self.today());
        limits::consequence(&self.config, &totals.exceeded, self.ends(day.date))
    }

    /// Tells someone of the limits that a run hit, where the config says so.
    pub(super) async fn escalate(&self, run: &Run) {
        if self.config.on_exceeded != OnExceeded::Escalate {
            return;
        }
        let limits: Vec<&str> = run.extension::<RunBudget>().lock().exceeded.iter().map(|limit| limit.field()).collect();
        if !limits.is_empty() {
            self.tell(run, "budget.exceeded", json!({ "run": run.id(), "limits": limits })).await;
        }
    }

    pub(super) async fn tell_warnings(&self, run: &Run, warnings: Vec<Warning>) {
        for (limit, used, max) in warnings {
            let body = json!({"run": run.id(), "limit": limit.field(), "used": limits::tidy(used), "max": limits::tidy(max)});
            self.tell(run, "budget.warning", body).await;
        }
    }

    /// What was spent, for a checkpoint between two runs.
    pub(super) fn snapshot(&self) -> Value {
        json!(Ledger::saved(self.today().clone(), self.cut_off.lock().expect("no holder of the totals panics").clone()))
    }

    pub(super) fn status(&self) -> Value {
        let day = self.today();
        let none = RunTotals::default();
        let daily: Vec<Limit> = ALL.into_iter().filter(|limit| limit.is_daily()).collect();
        let used: Map<String, Value> =
            daily.iter().map(|limit| (limit.key().to_owned(), limits::tidy(limit.used(&none, &day)))).collect();
        let limits: Map<String, Value> = ALL
            .into_iter()
            .map(|limit| (limit.key().to_owned(), limit.max(&self.config).map_or(Value::Null, limits::tidy)))
            .collect();
        json!({
            "day": day.date,
            "used": used,
            "limits": limits,
            "remaining": limits::remaining(&self.config, &none, &day, &daily),
            "resets_at": self.ends(day.date),
        })
    }

    fn price(&self, call: &ToolCall, day: NaiveDate) -> Reservation {
        let listed = self.config.tool_costs.get(&call.name).copied().unwrap_or_default();
        let declared = call.spec.as_ref().and_then(|spec| spec.effect) == Some(Effect::Irreversible);
        Reservation { cost: listed.cost_weight, irreversible: listed.irreversible || declared, day }
    }

    fn exceed(&self, run: &Run, limit: Limit, wanted: &str, totals: &mut RunTotals, day: &mut Day) -> Result<(), Error> {
        if totals.exceeded.contains(&limit) {
            return Ok(());
        }
        let fact = Fact::Exceeded { limit, day: day.date, wanted: wanted.to_owned() };
        self.notes.push(Some(run.id()), &fact)?;
        count(day, totals, &fact);
        Ok(())
    }

    fn warn(&self, run: &Run, totals: &mut RunTotals, day: &mut Day) -> Result<Vec<Warning>, Error> {
        let warnings = limits::nearly_spent(&self.config, totals, day);
        for (limit, used, max) in &warnings {
            let fact = Fact::Warning { limit: *limit, day: day.date, used: *used, max: *max };
            self.notes.push(Some(run.id()), &fact)?;
            count(day, totals, &fact);
        }
        Ok(warnings)
    }

    async fn tell(&self, run: &Run, kind: &str, body: Value) {
        let target: EscalationTarget = self.config.escalation.clone().unwrap_or_default();
        let notice = Notice { kind: kind.into(), process: run.process().into(), at: self.clock.now(), body };
        self.notify.notify(&target, notice).await;
    }

    fn today(&self) -> MutexGuard<'_, Day> {
        let mut day = lock(&self.day);
        day.advance(budget_day(self.clock.now(), self.config.daily_reset_hour_utc));
        day
    }

    fn ends(&self, day: NaiveDate) -> DateTime<Utc> {
        end_of(day, self.config.daily_reset_hour_utc)
    }
}

/// A run's place in the budget.
pub(super) struct Seat {
    core: Arc<Core>,
    run: Run,
    finished: bool,
}

impl Seat {
    /// The run ended for good; its totals are forgotten.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let totals = std::mem::take(&mut *self.run.extension::<RunBudget>().lock());
        let mut cut_off = lock(&self.core.cut_off);
        cut_off.insert(self.run.id().clone(), totals);
        while cut_off.len() > MAX_CUT_OFF {
            cut_off.pop_first();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the budget panics")
}
