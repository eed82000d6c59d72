//! The recorded steps of one run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use flyball_core_agent::{Effect, Reply, StepId, ToolReply, short_hash};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;

/// What is known of a run's steps. The layers that record a step put it here too, so that a run
/// which is run again in the same life is answered as one that is run again after a crash.
///
/// Clones share the tape. It travels in the [`Run`](flyball_core_agent::Run)'s extensions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<StepId, Step>", into = "BTreeMap<StepId, Step>")]
pub struct Tape {
    steps: Arc<Mutex<Steps>>,
    /// Rings when nothing is on its way to the journal any more.
    settled: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Steps {
    known: HashMap<StepId, Step>,
    lost: Lost,
    /// Records that are on their way to the journal.
    writing: usize,
}

/// How far the run's steps may be missing, because the end of the journal was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Lost {
    /// None is.
    #[default]
    Nothing,
    /// Those of the first turn that is not known, whichever that is.
    FirstUnknown,
    /// Those of this turn: results of an earlier one were durable before its calls could leave, and
    /// a later one needs its results.
    Turn(u32),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Step {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<u32>,
    /// Names the call that left: tool and arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    /// The call must not be made twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    irreversible: bool,
    /// Such a call, for as long as nobody knows what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<LeftCall>,
    /// Someone said that the call did not happen, or may be made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cleared: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<ToolReply>,
}

/// A call that must not be made twice, as it left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftCall {
    /// The record of the intent.
    pub seq: u64,
    /// When that was written.
    pub at: DateTime<Utc>,
    /// The tool.
    pub tool: String,
    /// With what it was called.
    pub args: Map<String, Value>,
}

impl PartialEq for Tape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.steps, &other.steps) || BTreeMap::from(self.clone()) == BTreeMap::from(other.clone())
    }
}

impl From<Tape> for BTreeMap<StepId, Step> {
    fn from(tape: Tape) -> Self {
        tape.lock().known.clone().into_iter().collect()
    }
}

impl From<BTreeMap<StepId, Step>> for Tape {
    fn from(steps: BTreeMap<StepId, Step>) -> Self {
        let steps = Steps { known: steps.into_iter().collect(), ..Steps::default() };
        Self { steps: Arc::new(Mutex::new(steps)), settled: Arc::default() }
    }
}

impl Tape {
    /// What the model said in this step.
    pub fn reply(&self, step: &StepId) -> Option<Reply> {
        self.lock().known.get(step)?.reply.clone()
    }

    /// How often this call left, as far as is known. Without a result it is in doubt.
    pub fn intent(&self, step: &StepId) -> Option<u32> {
        self.lock().known.get(step)?.intent
    }

    /// The call left, was not answered, and nobody said that it may be made again.
    pub fn in_doubt(&self, step: &StepId) -> bool {
        self.lock().known.get(step).is_some_and(|step| step.intent.is_some() && step.result.is_none() && !step.cleared)
    }

    /// This call left as one that must not be made twice.
    pub(crate) fn is_irreversible(&self, step: &StepId) -> bool {
        self.lock().known.get(step).is_some_and(|step| step.irreversible)
    }

    /// A call that must not be made twice and of which nobody knows whether it happened.
    pub fn first_doubt(&self) -> Option<StepId> {
        let steps = self.lock();
        let doubtful = |step: &Step| step.irreversible && step.intent.is_some() && step.result.is_none() && !step.cleared;
        steps.known.iter().filter(|(_, step)| doubtful(step)).map(|(id, _)| id.clone()).min()
    }

    /// What this call was answered with.
    pub fn result(&self, step: &StepId) -> Option<ToolReply> {
        self.lock().known.get(step)?.result.clone()
    }

    /// How many steps are known.
    pub fn len(&self) -> usize {
        self.lock().known.len()
    }

    /// No step is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A tape of its own that says the same.
    pub(crate) fn copy(&self) -> Self {
        let steps = self.lock();
        let steps = Steps { known: steps.known.clone(), lost: steps.lost, writing: 0 };
        Self { steps: Arc::new(Mutex::new(steps)), settled: Arc::default() }
    }

    pub(crate) fn set_reply(&self, step: &StepId, reply: &Reply) {
        self.lock().known.entry(step.clone()).or_default().reply = Some(reply.clone());
    }

    /// The call that left as this step, if one did, was another one.
    pub fn contradicts(&self, step: &StepId, tool: &str, args: &Map<String, Value>) -> bool {
        let known = self.lock().known.get(step).and_then(|step| step.call.clone());
        known.is_some_and(|known| known != call_name(tool, args))
    }

    /// The end of the journal was lost while the run was on: a call of its first unknown turn may have left.
    pub fn lose_end(&self) {
        self.lock().lost = Lost::FirstUnknown;
    }

    /// A step that is not known is about to be made. Whether it may have been made before, and its
    /// record lost.
    pub(crate) fn may_be_lost(&self, step: &StepId) -> bool {
        let mut steps = self.lock();
        let Some(turn) = step.turn_number() else { return false };
        if steps.lost == Lost::FirstUnknown {
            steps.lost = Lost::Turn(turn);
        }
        matches!(steps.lost, Lost::Turn(lost) if turn <= lost)
    }

    /// `left` is what the intent's record says.
    pub(crate) fn set_intent(&self, step: &StepId, attempt: u32, effect: Effect, left: LeftCall) {
        let mut steps = self.lock();
        let step = steps.known.entry(step.clone()).or_default();
        step.intent = Some(attempt);
        step.call = Some(call_name(&left.tool, &left.args));
        step.irreversible = effect == Effect::Irreversible;
        step.left = step.irreversible.then_some(left);
        step.cleared = false;
    }

    /// The calls that must not be made twice and of which nobody knows what came, with how often each left.
    pub(crate) fn left(&self) -> Vec<(StepId, u32, LeftCall)> {
        let steps = self.lock();
        let left = |(id, step): (&StepId, &Step)| Some((id.clone(), step.intent?, step.left.clone()?));
        steps.known.iter().filter_map(left).collect()
    }

    /// It says what the journal says of the run. Else a record is on its way there.
    pub fn is_settled(&self) -> bool {
        self.lock().writing == 0
    }

    /// Returns when it [is settled](Self::is_settled). Cancel-safe.
    pub async fn settled(&self) {
        loop {
            let rings = self.settled.notified();
            if self.is_settled() {
                return;
            }
            rings.await;
        }
    }

    /// A record of the run is on its way to the journal.
    pub(crate) fn writes(&self) {
        self.lock().writing += 1;
    }

    /// It is there, and the tape says what it says; or it is not.
    pub(crate) fn wrote(&self) {
        let mut steps = self.lock();
        steps.writing -= 1;
        if steps.writing == 0 {
            self.settled.notify_waiters();
        }
    }

    pub(crate) fn clear_doubt(&self, step: &StepId) {
        let mut steps = self.lock();
        let step = steps.known.entry(step.clone()).or_default();
        (step.cleared, step.left) = (true, None);
    }

    pub(crate) fn set_result(&self, step: &StepId, reply: &ToolReply) {
        let mut steps = self.lock();
        let step = steps.known.entry(step.clone()).or_default();
        (step.result, step.left) = (Some(reply.clone()), None);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Steps> {
        self.steps.lock().expect("no holder of the steps panics")
    }
}

/// The same for the same call, whatever the order of its arguments.
fn call_name(tool: &str, args: &Map<String, Value>) -> String {
    let mut text = tool.to_owned();
    write_sorted(args, &mut text);
    short_hash(text.as_bytes())
}

fn write_sorted(args: &Map<String, Value>, text: &mut String) {
    let mut sorted: Vec<_> = args.iter().collect();
    sorted.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in sorted {
        text.push('\n');
        text.push_str(key);
        text.push('=');
        match value {
            Value::Object(inner) => write_sorted(inner, text),
            other => text.push_str(&other.to_string()),
        }
        text.push(';');
    }
}
