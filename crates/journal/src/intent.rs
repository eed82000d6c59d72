//! The layer that writes down what is about to be done, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flyball_core_agent::{CallError, Effect, Layer, Sent, ToolCall, ToolReply, ToolSpec, Toolbox};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::replay::{not_recorded, recorded};
use crate::tape::LeftCall;
use crate::{Appended, Entry, Journal, Tape};

/// Makes a call's intent durable before the call leaves, and its result before anyone builds on it.
///
/// A call whose intent is known and whose result is not is *in doubt*. What happens to it is decided
/// by its effect: a `read` is made again; an `idempotent` call is made again with the same key; an
/// `irreversible` one is asked of its `reconcile` tool where it has one, and else parks the run until
/// someone says what happened.
pub struct Intent {
    journal: Arc<dyn Journal>,
}

/// A call that may be made again is made this often at most, then the model is told.
const MAX_ATTEMPTS: u32 = 3;

/// Why a call may have been made that no record tells of.
const LOST: &str = "the end of the journal was lost, and it may have left before";

/// The wait before the second attempt; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

impl Intent {
    /// A layer that records in `journal`.
    pub fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { journal })
    }
}

impl Layer for Intent {
    fn name(&self) -> &'static str {
        "intent"
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(IntentToolbox { journal: Arc::clone(&self.journal), inner })
    }
}

struct IntentToolbox {
    journal: Arc<dyn Journal>,
    inner: Arc<dyn Toolbox>,
}

/// What became of a call that was in doubt.
enum Settled {
    Happened(ToolReply),
    DidNotHappen,
    Unknown(String),
}

#[derive(Deserialize)]
struct Reconciled {
    happened: bool,
    #[serde(default)]
    result: Value,
}

#[async_trait]
impl Toolbox for IntentToolbox {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let tape = call.run.extension::<Tape>();
        let before = tape.intent(&call.step).unwrap_or(0);
        // What its tool is called now does not undo what it was called when the call left.
        if tape.in_doubt(&call.step)
            && (call.effect() == Effect::Irreversible || tape.is_irreversible(&call.step))
            && let Some(reply) = self.settle(call, &tape, "its result is not known").await?
        {
            return Ok(reply);
        }
        let mut attempt = before;
        loop {
            // Once its intent is written, a call is made; so whether it still may be is asked before.
            if call.run.cancel().is_cancelled() {
                return Err(CallError::Cancelled);
            }
            attempt += 1;
            let may_be_lost = before == 0 && tape.may_be_lost(&call.step);
            self.intend(call, &tape, attempt).await?;
            if may_be_lost
                && call.effect() == Effect::Irreversible
                && let Some(reply) = self.settle(call, &tape, LOST).await?
            {
                return Ok(reply);
            }
            let failure = match self.inner.call(call).await {
                Ok(reply) => return self.record(call, &tape, reply, None).await,
                Err(CallError::Failed(failure)) => failure,
                Err(ended) => return Err(ended),
            };
            if failure.sent == Sent::No {
                return self.record(call, &tape, ToolReply::error(failure.message), None).await;
            }
            if call.effect() == Effect::Irreversible
                && let Some(reply) = self.settle(call, &tape, &failure.message).await?
            {
                return Ok(reply);
            }
            if attempt >= before + MAX_ATTEMPTS {
                let text = format!("{} (tried {MAX_ATTEMPTS} times)", failure.message);
                return self.record(call, &tape, ToolReply::error(text), None).await;
            }
            tokio::time::sleep(FIRST_BACKOFF * 2_u32.pow(attempt - before - 1)).await;
        }
    }
}

impl IntentToolbox {
    async fn intend(&self, call: &ToolCall, tape: &Tape, attempt: u32) -> Result<(), CallError> {
        let entry = Entry::ToolCall {
            run: call.run.id().clone(),
            step: call.step.clone(),
            attempt,
            tool: call.name.clone(),
            args: call.args.clone(),
            effect: call.effect(),
            notes: call.notes.clone(),
        };
        let (step, effect, tool, args) = (call.step.clone(), call.effect(), call.name.clone(), call.args.clone());
        let note = move |tape: &Tape, Appended { seq, at }| {
            let left = LeftCall { seq, at, tool: tool.clone(), args: args.clone() };
            tape.set_intent(&step, attempt, effect, left);
        };
        // Looking does no harm if the machine forgets that it looked.
        match call.effect() {
            Effect::Read => {
                let at = self.journal.push(entry).map_err(not_recorded)?;
                note(tape, Appended { seq: 0, at });
                Ok(())
            }
            Effect::Idempotent | Effect::Irreversible => recorded(&self.journal, &call.run, tape, entry, note).await,
        }
    }

    async fn record(&self, call: &ToolCall, tape: &Tape, reply: ToolReply, by: Option<&str>) -> Result<ToolReply, CallError> {
        let entry = Entry::ToolResult {
            run: call.run.id().clone(),
            step: call.step.clone(),
            reply: reply.clone(),
            refused: false,
            settled_by: by.map(str::to_owned),
        };
        let (step, result) = (call.step.clone(), reply.clone());
        recorded(&self.journal, &call.run, tape, entry, move |tape, _| tape.set_result(&step, &result)).await?;
        Ok(reply)
    }

    /// The result of a call in doubt, `None` if it certainly did not happen, or a parked run.
    async fn settle(&self, call: &ToolCall, tape: &Tape, doubt: &str) -> Result<Option<ToolReply>, CallError> {
        match self.reconcile(call).await {
            Settled::Happened(reply) => self.record(call, tape, reply, Some("reconcile")).await.map(Some),
            Settled::DidNotHappen => Ok(None),
            Settled::Unknown(why) => {
                Err(CallError::Park(format!("call {} of {} is in doubt: {doubt}; {why}", call.step, call.name)))
            }
        }
    }

    async fn reconcile(&self, call: &ToolCall) -> Settled {
        let Some(name) = call.spec.as_ref().and_then(|spec| spec.reconcile.clone()) else {
            return Settled::Unknown("it is irreversible and names no reconcile tool".into());
        };
        let mut question = call.clone();
        question.args = Map::from_iter([("key".to_owned(), json!(call.idempotency_key()))]);
        question.name.clone_from(&name);
        let reply = match self.inner.call(&question).await {
            Ok(reply) if !reply.is_error => reply,
            Ok(reply) => return Settled::Unknown(format!("{name} says: {}", reply.text)),
            Err(error) => return Settled::Unknown(format!("{name} did not answer: {error}")),
        };
        match serde_json::from_str::<Reconciled>(&reply.text) {
            Ok(Reconciled { happened: false, .. }) => Settled::DidNotHappen,
            Ok(Reconciled { happened: true, result }) => Settled::Happened(ToolReply::ok(as_text(result))),
            Err(error) => Settled::Unknown(format!(
                r#"{name} is to answer {{"happened": true or false, "result": …}}, and its answer cannot be read so: {error}"#
            )),
        }
    }
}

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
