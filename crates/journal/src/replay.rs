//! The layer that answers what already happened.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use flyball_core_agent::{CallError, Layer, Model, Reply, Run, ToolCall, ToolReply, ToolSpec, Toolbox, Turn};

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use crate::journal::patiently;
use crate::{Appended, Entry, Journal, Tape};

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
            let (step, result) = (call.step.clone(), reply.clone());
            recorded(&self.journal, &call.run, &tape, entry, move |tape, _| tape.set_result(&step, &result)).await?;
        }
        Ok(reply)
    }
}

/// Returns when `entry` is durable and was put on the tape by `note`. On a full disk it waits for room, until the run
/// is cancelled.
///
/// Where nobody waits any more, because the run was cut off, what is on its way goes on, and is put on the tape: so
/// that this says what the journal says.
pub(crate) async fn recorded(
    journal: &Arc<dyn Journal>,
    run: &Run,
    tape: &Tape,
    entry: Entry,
    note: impl Fn(&Tape, Appended) + Clone + Send + 'static,
) -> Result<(), CallError> {
    let attempt = || {
        tape.writes();
        let (journal, tape, entry, note) = (Arc::clone(journal), tape.clone(), entry.clone(), note.clone());
        let appending = async move {
            let appended = journal.append(vec![entry]).await.map(|appended| note(&tape, appended));
            tape.wrote();
            appended
        };
        Unstoppable(Some(Box::pin(appending)))
    };
    patiently(attempt, run.cancel()).await.map_err(not_recorded)
}

/// Work that comes to its end in a task of its own where it is dropped before.
struct Unstoppable<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Future for Unstoppable<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else { return Poll::Pending };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Unstoppable<T> {
    fn drop(&mut self) {
        // Without a runtime nothing goes on here, and nobody looks at the tape again.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

/// A step that cannot be recorded must not be built upon.
pub(crate) fn not_recorded(error: crate::Error) -> CallError {
    CallError::Abort(format!("the step could not be recorded: {error}"))
}
