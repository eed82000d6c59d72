//! The budget around a model, a toolbox and an agent.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{
    Agent, CallError, Clock, Directive, Error, Invocation, Layer, Message, Model, Outcome, Reply, StepId, ToolCall, ToolReply,
    ToolSpec, Toolbox, Turn,
};
use flyball_journal::{Journal, Record};
use serde_json::{Map, Value, json};

use super::config::BudgetConfig;
use super::core::{Answer, Core};
use super::ledger::LAYER;
use super::limits::Limit;
use crate::Notify;

/// The budget of one process, as a layer.
///
/// Runs that are on at the same time share the day and nothing else.
pub struct Budget {
    core: Arc<Core>,
}

impl Budget {
    /// A budget that goes on from what `recovered`, the process's records so far, say was spent.
    /// `config` has passed its [check](BudgetConfig::check).
    pub fn new(
        config: BudgetConfig,
        clock: Arc<dyn Clock>,
        journal: Arc<dyn Journal>,
        notify: Arc<dyn Notify>,
        recovered: &[Record],
    ) -> Arc<Self> {
        Arc::new(Self { core: Arc::new(Core::new(config, clock, journal, notify, recovered)) })
    }
}

impl Layer for Budget {
    fn name(&self) -> &'static str {
        LAYER
    }

    fn model(&self, inner: Arc<dyn Model>) -> Arc<dyn Model> {
        Arc::new(Counted { core: Arc::clone(&self.core), inner })
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(Counted { core: Arc::clone(&self.core), inner })
    }

    fn agent(&self, inner: Arc<dyn Agent>) -> Arc<dyn Agent> {
        Arc::new(Counted { core: Arc::clone(&self.core), inner })
    }

    fn status(&self) -> Option<Value> {
        Some(self.core.status())
    }

    fn snapshot(&self) -> Option<Value> {
        Some(self.core.snapshot())
    }

    fn after_failure(&self) -> Directive {
        self.core.owed.take()
    }
}

struct Counted<T: ?Sized> {
    core: Arc<Core>,
    inner: Arc<T>,
}

#[async_trait]
impl Model for Counted<dyn Model> {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        if !is_loop_turn(&turn.step) {
            self.core.side_turn(&turn.run, &turn.step);
            return self.inner.reply(turn).await;
        }
        match self.core.turn(&turn.run, &turn.step)? {
            Answer::Refused(_) => Err(CallError::Halt(self.core.verdict(&turn.run))),
            Answer::Granted(left, warnings) => {
                self.core.tell_warnings(&turn.run, warnings).await;
                if !self.core.config.inject_remaining || left.values().all(Value::is_null) {
                    return self.inner.reply(turn).await;
                }
                let mut told = turn.clone();
                told.messages.push(Arc::new(remaining_message(left)));
                self.inner.reply(&told).await
            }
        }
    }
}

#[async_trait]
impl Toolbox for Counted<dyn Toolbox> {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        match self.core.reserve(call)? {
            Answer::Refused(limit) => Ok(refusal(call, limit, &self.core.config)),
            Answer::Granted(reserved, warnings) => {
                self.core.tell_warnings(&call.run, warnings).await;
                let mut marked = call.clone();
                marked.notes.insert(LAYER.into(), json!(reserved));
                self.inner.call(&marked).await
            }
        }
    }
}

#[async_trait]
impl Agent for Counted<dyn Agent> {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        let run = invocation.run.clone();
        let seat = self.core.seat(&run);
        let result = match self.core.admit(&run).map_err(|error| Error::Failed(error.to_string()))? {
            Answer::Refused(limit) => {
                let reply = format!("not run: the day's budget is spent ({})", limit.field());
                Ok(Outcome { reply, ..Outcome::default() })
            }
            Answer::Granted((), warnings) => {
                self.core.tell_warnings(&run, warnings).await;
                self.inner.invoke(invocation).await
            }
        };
        match result {
            Ok(mut outcome) => {
                outcome.directive.raise(self.core.verdict(&run));
                outcome.directive.raise(self.core.owed.take());
                self.core.escalate(&run).await;
                seat.finish();
                Ok(outcome)
            }
            Err(error) => {
                if matches!(error, Error::Failed(_)) {
                    self.core.owed.add(self.core.verdict(&run));
                    self.core.escalate(&run).await;
                }
                Err(error)
            }
        }
    }
}

/// The agent's own turns, as opposed to questions that layers ask on their own.
fn is_loop_turn(step: &StepId) -> bool {
    step.0.strip_prefix('t').is_some_and(|number| number.parse::<u32>().is_ok())
}

fn remaining_message(left: Map<String, Value>) -> Message {
    Message::system(format!(
        "[Budget Remaining]\n{}\n(null is no limit; llm_turns_run includes this turn. Spend it on what matters most.)",
        Value::Object(left)
    ))
}

fn refusal(call: &ToolCall, limit: Limit, config: &BudgetConfig) -> ToolReply {
    let max = limit.max(config).map(super::limits::tidy).unwrap_or_default();
    let advice = if limit == Limit::IrreversiblePerRun {
        "Use no other irreversible tool in this run; finish with what you have and say what is left to do."
    } else {
        "Finish with what you have and say what is left to do."
    };
    ToolReply::error(format!(
        "'{}' was not called: the budget's limit {} ({max}) would be exceeded. {advice}",
        call.name,
        limit.field()
    ))
}
