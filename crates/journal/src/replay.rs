//! The layer that answers what already happened.

use std::sync::Arc;

use async_trait::async_trait;
use flyball_core_agent::{CallError, Layer, Model, Reply, Run, ToolCall, ToolReply, ToolSpec, Toolbox, Turn};

use crate::{Appended, Entry, Journal, Tape, append_patiently};

/// Answers every recorded step of a run from its [`Tape`], before any policy inside it is asked,
/// and records what is new: model replies, and answers that a policy gave in a tool's place.
pub struct Replay {
    journal: Arc<dyn Journal>,
}

impl Replay {
    /// A layer that records in `journal`.
    pub fn new(journal: Arc<dyn Journal>) -> Arc<Self> {
        Arc::new(Self { journal })
    }
}

impl Layer for Replay {
    fn name(&self) -> &'static str {
        "replay"
    }

    fn model(&self, inner: Arc<dyn Model>) -> Arc<dyn Model> {
        Arc::new(ReplayModel { journal: Arc::clone(&self.journal), inner })
    }

    fn toolbox(&self, inner: Arc<dyn Toolbox>) -> Arc<dyn Toolbox> {
        Arc::new(ReplayToolbox { journal: Arc::clone(&self.journal), inner })
    }
}

struct ReplayModel {
    journal: Arc<dyn Journal>,
    inner: Arc<dyn Model>,
}

#[async_trait]
impl Model for ReplayModel {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let tape = turn.run.extension::<Tape>();
        if let Some(reply) = tape.reply(&turn.step) {
            return Ok(reply);
        }
        // A turn that is not known is one that may have been lost; its calls are looked at for that.
        tape.may_be_lost(&turn.step);
        let reply = self.inner.reply(turn).await?;
        let (run, step) = (turn.run.id().clone(), turn.step.clone());
        // Not waited for: the next call's intent, or the run's end, carries it to the disk.
        self.journal.push(Entry::ModelReply { run, step, reply: reply.clone() }).map_err(not_recorded)?;
        tape.set_reply(&turn.step, &reply);
        Ok(reply)
    }
}

struct ReplayToolbox {
    journal: Arc<dyn Journal>,
    inner: Arc<dyn Toolbox>,
}

#[async_trait]
impl Toolbox for ReplayToolbox {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        self.inner.list().await
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        let tape = call.run.extension::<Tape>();
        if tape.contradicts(&call.step, &call.name, &call.args) {
            // An answer to another call must not pass for one to this, nor may both be made.
            let name = &call.name;
            return Err(CallError::Park(format!(
                "step {} is recorded as another call than {name} with these arguments",
                call.step
            )));
        }
        if let Some(reply) = tape.result(&call.step) {
            return Ok(reply);
        }
        let reply = self.inner.call(call).await?;
        if tape.result(&call.step).is_none() {
            // It never came as far as the tool: a layer between answered in its place.
            let (run, step) = (call.run.id().clone(), call.step.clone());
            let entry = Entry::ToolResult { run, step, reply: reply.clone(), refused: true, settled_by: None };
            recorded(&*self.journal, &call.run, &tape, entry, |tape, _| tape.set_result(&call.step, &reply)).await?;
        }
        Ok(reply)
    }
}

/// Returns when `entry` is durable and was put on the tape by `note`.
pub(crate) async fn recorded(
    journal: &dyn Journal,
    run: &Run,
    tape: &Tape,
    entry: Entry,
    note: impl FnOnce(&Tape, Appended),
) -> Result<(), CallError> {
    tape.writes();
    let appended = append_patiently(journal, vec![entry], run.cancel()).await.map_err(not_recorded)?;
    note(tape, appended);
    tape.wrote();
    Ok(())
}

/// A step that cannot be recorded must not be built upon.
pub(crate) fn not_recorded(error: crate::Error) -> CallError {
    CallError::Abort(format!("the step could not be recorded: {error}"))
}
