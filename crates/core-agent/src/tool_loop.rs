//! The stock agent: ask the model, make the calls it wants, tell it what came, until it wants none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value};

use crate::{
    Agent, CallError, Directive, Error, Invocation, MAX_CALLS_PER_REPLY, Message, Model, Outcome, Reply, Run, Sent, StepId,
    ToolCall, ToolReply, ToolSpec, Toolbox, Turn, WantedCall,
};

/// The stock [`Agent`]. It keeps nothing between runs and decides nothing by chance, so that run
/// again with recorded answers it takes the same path.
pub struct ToolLoop {
    instructions: Arc<Message>,
    max_turns: u32,
    model: Arc<dyn Model>,
    toolbox: Arc<dyn Toolbox>,
}

/// Calls of one turn that are under way at the same time. More wait; a model that wants a thousand
/// calls must not open a thousand connections.
const MAX_CALLS_AT_ONCE: usize = 8;

/// The turn limit where nothing is said.
pub const DEFAULT_MAX_TURNS: u32 = 25;

impl ToolLoop {
    /// A loop that asks `model` at most `max_turns` times in a run.
    pub fn new(instructions: &str, max_turns: u32, model: Arc<dyn Model>, toolbox: Arc<dyn Toolbox>) -> Self {
        Self { instructions: Arc::new(Message::system(instructions)), max_turns, model, toolbox }
    }
}

#[async_trait]
impl Agent for ToolLoop {
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error> {
        let run = invocation.run.clone();
        let mut messages = self.opening(&invocation);
        let mut outcome = Outcome::default();
        while outcome.turns < self.max_turns {
            if run.cancel().is_cancelled() {
                return Err(Error::Cancelled);
            }
            let turn = outcome.turns;
            let tools = match self.toolbox.list().await {
                Ok(tools) => tools,
                Err(error) => return ended(outcome, error),
            };
            let asked = Turn { run: run.clone(), step: StepId::turn(turn), messages: messages.clone(), tools };
            let reply = match self.model.reply(&asked).await {
                Ok(reply) => reply.capped(),
                // A model gives up when the run is cancelled; that is no failure of the run.
                Err(CallError::Failed(_)) if run.cancel().is_cancelled() => return Err(Error::Cancelled),
                Err(error) => return ended(outcome, error),
            };
            outcome.turns += 1;
            outcome.usage += reply.usage;
            outcome.reply.clone_from(&reply.text);
            if reply.calls.is_empty() {
                return Ok(outcome);
            }
            messages.push(Arc::new(Message::Assistant { text: reply.text.clone(), calls: reply.calls.clone() }));
            match self.make_calls(&run, turn, &reply, &asked.tools).await {
                Ok(results) => messages.extend(results.into_iter().map(Arc::new)),
                Err(error) => return ended(outcome, error),
            }
        }
        let why = format!("the run took {} turns without coming to an end (max_turns)", self.max_turns);
        Err(Error::Failed(why))
    }
}

impl ToolLoop {
    fn opening(&self, invocation: &Invocation) -> Vec<Arc<Message>> {
        let mut messages = vec![Arc::clone(&self.instructions)];
        messages.extend(invocation.notes.iter().map(|note| Arc::new(Message::from(note))));
        messages.extend(invocation.history.iter().cloned());
        messages.push(Arc::new(Message::user(invocation.event.prompt(&invocation.run.fence()))));
        messages
    }

    /// Makes the calls of one reply side by side, starting them in the reply's order and giving
    /// their results back in it. A halt, a park or an order to stop starts no new call and awaits those
    /// already sent.
    async fn make_calls(&self, run: &Run, turn: u32, reply: &Reply, tools: &[Arc<ToolSpec>]) -> Result<Vec<Message>, CallError> {
        let ended = AtomicBool::new(false);
        // Collected first: a closure over borrowed calls inside the stream is not general enough for `Send`.
        let mut calls = Vec::with_capacity(reply.calls.len());
        for (index, wanted) in reply.calls.iter().enumerate() {
            calls.push(self.unless_ended(&ended, run, StepPlace { turn, index }, wanted, tools));
        }
        let results = stream::iter(calls).buffered(MAX_CALLS_AT_ONCE).collect().await;
        let mut messages = gather(run, &reply.calls, results)?;
        if let Some(Message::Tool { text, .. }) = messages.last_mut()
            && reply.calls_beyond > 0
        {
            text.push_str(&not_made(reply.calls_beyond));
        }
        Ok(messages)
    }

    async fn unless_ended(
        &self,
        ended: &AtomicBool,
        run: &Run,
        place: StepPlace,
        wanted: &WantedCall,
        tools: &[Arc<ToolSpec>],
    ) -> Option<Result<ToolReply, CallError>> {
        if ended.load(Ordering::Acquire) {
            return None;
        }
        if run.cancel().is_cancelled() {
            return Some(Err(CallError::Cancelled));
        }
        let result = self.make_call(run, place, wanted, tools).await;
        if matches!(result, Err(CallError::Halt(_) | CallError::Park(_) | CallError::Abort(_) | CallError::Cancelled)) {
            ended.store(true, Ordering::Release);
        }
        Some(result)
    }

    async fn make_call(
        &self,
        run: &Run,
        place: StepPlace,
        wanted: &WantedCall,
        tools: &[Arc<ToolSpec>],
    ) -> Result<ToolReply, CallError> {
        let Some(args) = arguments(&wanted.args) else {
            return Ok(ToolReply::error("not called: the arguments must be one JSON object"));
        };
        // A tool that is not there any more may have been called before a crash: the layers must see
        // that call again, so it is their answer and not ours that counts.
        let spec = tools.iter().find(|spec| spec.name == wanted.name).cloned();
        let call = ToolCall { run: run.clone(), step: place.step(), name: wanted.name.clone(), args, spec, notes: Map::new() };
        match self.toolbox.call(&call).await {
            Err(CallError::Failed(failure)) if failure.sent == Sent::No => Ok(ToolReply::error(failure.message)),
            Err(CallError::Failed(failure)) => {
                Ok(ToolReply::error(format!("{}; whether the tool acted is not known", failure.message)))
            }
            result => result,
        }
    }
}

/// Where in a run a call stands.
#[derive(Clone, Copy)]
struct StepPlace {
    turn: u32,
    index: usize,
}

impl StepPlace {
    fn step(self) -> StepId {
        StepId::call(self.turn, u32::try_from(self.index).unwrap_or(u32::MAX))
    }
}

/// What a model is told of the calls that nobody looked at. It stands in the last result: a message
/// of another kind between calls and answers is refused by some servers.
fn not_made(beyond: u64) -> String {
    format!("\n\n[{beyond} more calls were not made: a reply may want {MAX_CALLS_PER_REPLY} at most]")
}

fn arguments(args: &Value) -> Option<Map<String, Value>> {
    match args {
        Value::Object(map) => Some(map.clone()),
        Value::Null => Some(Map::new()),
        _ => None,
    }
}

/// The results as messages; the run's changes with them; or the strongest reason to end.
fn gather(
    run: &Run,
    calls: &[WantedCall],
    results: Vec<Option<Result<ToolReply, CallError>>>,
) -> Result<Vec<Message>, CallError> {
    let mut messages = Vec::with_capacity(results.len());
    let mut halt: Option<Directive> = None;
    let mut park: Option<String> = None;
    let mut cancelled = false;
    for (wanted, result) in calls.iter().zip(results) {
        match result {
            Some(Ok(reply)) => {
                run.record(&reply.changes);
                messages.push(Message::Tool { call_id: wanted.id.clone(), name: wanted.name.clone(), text: reply.text });
            }
            Some(Err(CallError::Halt(directive))) => halt.get_or_insert_default().raise(directive),
            Some(Err(CallError::Park(why))) => park = park.or(Some(why)),
            Some(Err(failed @ (CallError::Failed(_) | CallError::Abort(_)))) => return Err(failed),
            Some(Err(CallError::Cancelled)) => cancelled = true,
            None => {}
        }
    }
    match (park, halt) {
        // A run that waits for an answer must not be ended as if it had one.
        (Some(why), _) => Err(CallError::Park(why)),
        (None, Some(directive)) => Err(CallError::Halt(directive)),
        (None, None) if cancelled => Err(CallError::Cancelled),
        (None, None) => Ok(messages),
    }
}

fn ended(mut outcome: Outcome, error: CallError) -> Result<Outcome, Error> {
    match error {
        CallError::Halt(directive) => {
            outcome.directive.raise(directive);
            Ok(outcome)
        }
        CallError::Park(why) => Err(Error::Parked(why)),
        CallError::Failed(failure) => Err(Error::Failed(failure.message)),
        CallError::Abort(why) => Err(Error::Failed(why)),
        CallError::Cancelled => Err(Error::Cancelled),
    }
}
