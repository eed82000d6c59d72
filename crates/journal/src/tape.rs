//! The recorded steps of one run.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use flyball_core_agent::{Effect, Reply, StepId, ToolReply};
use serde::{Deserialize, Serialize};

/// What is known of a run's steps. The layers that record a step put it here too, so that a run
/// which is run again in the same life is answered as one that is run again after a crash.
///
/// Clones share the tape. It travels in the [`Run`](flyball_core_agent::Run)'s extensions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<StepId, Step>", into = "BTreeMap<StepId, Step>")]
pub struct Tape {
    steps: Arc<Mutex<HashMap<StepId, Step>>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Step {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<u32>,
    /// The call must not be made twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    irreversible: bool,
    /// Someone said that the call did not happen, or may be made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cleared: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<ToolReply>,
}

impl PartialEq for Tape {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.steps, &other.steps) || BTreeMap::from(self.clone()) == BTreeMap::from(other.clone())
    }
}

impl From<Tape> for BTreeMap<StepId, Step> {
    fn from(tape: Tape) -> Self {
        tape.lock().clone().into_iter().collect()
    }
}

impl From<BTreeMap<StepId, Step>> for Tape {
    fn from(steps: BTreeMap<StepId, Step>) -> Self {
        Self { steps: Arc::new(Mutex::new(steps.into_iter().collect())) }
    }
}

impl Tape {
    /// What the model said in this step.
    pub fn reply(&self, step: &StepId) -> Option<Reply> {
        self.lock().get(step)?.reply.clone()
    }

    /// How often this call left, as far as is known. Without a result it is in doubt.
    pub fn intent(&self, step: &StepId) -> Option<u32> {
        self.lock().get(step)?.intent
    }

    /// The call left, was not answered, and nobody said that it may be made again.
    pub fn in_doubt(&self, step: &StepId) -> bool {
        self.lock().get(step).is_some_and(|step| step.intent.is_some() && step.result.is_none() && !step.cleared)
    }

    /// A call that must not be made twice and of which nobody knows whether it happened.
    pub fn first_doubt(&self) -> Option<StepId> {
        let steps = self.lock();
        let doubtful = |step: &Step| step.irreversible && step.intent.is_some() && step.result.is_none() && !step.cleared;
        steps.iter().filter(|(_, step)| doubtful(step)).map(|(id, _)| id.clone()).min()
    }

    /// What this call was answered with.
    pub fn result(&self, step: &StepId) -> Option<ToolReply> {
        self.lock().get(step)?.result.clone()
    }

    /// How many steps are known.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// No step is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn set_reply(&self, step: &StepId, reply: &Reply) {
        self.lock().entry(step.clone()).or_default().reply = Some(reply.clone());
    }

    pub(crate) fn set_intent(&self, step: &StepId, attempt: u32, effect: Effect) {
        let mut steps = self.lock();
        let step = steps.entry(step.clone()).or_default();
        step.intent = Some(attempt);
        step.irreversible = effect == Effect::Irreversible;
        step.cleared = false;
    }

    pub(crate) fn clear_doubt(&self, step: &StepId) {
        self.lock().entry(step.clone()).or_default().cleared = true;
    }

    pub(crate) fn set_result(&self, step: &StepId, reply: &ToolReply) {
        self.lock().entry(step.clone()).or_default().result = Some(reply.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StepId, Step>> {
        self.steps.lock().expect("no holder of the steps panics")
    }
}
