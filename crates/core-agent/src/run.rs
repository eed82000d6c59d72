//! One run of an agent: its identity, its limits, and what layers keep for its length.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{Change, TriggerEvent};

/// Names one run. A run that is resumed after a crash keeps its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    /// A new id; later ones sort after earlier ones.
    pub fn fresh() -> Self {
        Self(crate::fresh_id())
    }

    /// The id of the run in which `process` handles `event`, for the `again`-th time after an operator
    /// asked for it. The same whenever it is asked for, so that a run whose start was lost is begun
    /// under the same id, and its calls under the same idempotency keys. Ids of later events sort later.
    pub fn of(process: &str, event: &TriggerEvent, again: u32) -> Self {
        let digest = Sha256::new()
            .chain_update(process)
            .chain_update([0])
            .chain_update(&event.event_id)
            .chain_update([0])
            .chain_update(again.to_be_bytes())
            .finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(event.timestamp.timestamp_millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one step of a run: a model's turn (`t0`), a call wanted by it (`t0.c1`), or a layer's own
/// question to a model (`judge`). The same loop run again makes the same ids, so that a step can be
/// answered from what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl StepId {
    /// The model's turn number `turn`.
    pub fn turn(turn: u32) -> Self {
        Self(format!("t{turn}"))
    }

    /// The call at `index` in the reply of turn `turn`.
    pub fn call(turn: u32, index: u32) -> Self {
        Self(format!("t{turn}.c{index}"))
    }

    /// The turn that this step is or belongs to; `None` for a layer's own question.
    pub fn turn_number(&self) -> Option<u32> {
        let turn = self.0.strip_prefix('t')?;
        turn.split('.').next()?.parse().ok()
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The handle that every [`Invocation`](crate::Invocation), [`Turn`](crate::Turn) and
/// [`ToolCall`](crate::ToolCall) of a run carries. Clones share everything.
#[derive(Clone)]
pub struct Run {
    inner: Arc<Inner>,
}

struct Inner {
    id: RunId,
    process: String,
    hops: u32,
    cancel: CancellationToken,
    changes: Mutex<Vec<Change>>,
    extensions: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Run {
    /// A run of `process`. Cancelling `cancel` asks the run to stop at its next step.
    pub fn new(id: RunId, process: &str, cancel: CancellationToken) -> Self {
        Self::caused(id, process, 0, cancel)
    }

    /// A run whose event had `hops` agents behind it.
    pub fn caused(id: RunId, process: &str, hops: u32, cancel: CancellationToken) -> Self {
        let inner =
            Inner { id, process: process.to_owned(), hops, cancel, changes: Mutex::default(), extensions: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Which run this is.
    pub fn id(&self) -> &RunId {
        &self.inner.id
    }

    /// The process that runs.
    pub fn process(&self) -> &str {
        &self.inner.process
    }

    /// How many agents in a row led to this run.
    pub fn hops(&self) -> u32 {
        self.inner.hops
    }

    /// Cancelled when the run shall end at its next step.
    pub fn cancel(&self) -> &CancellationToken {
        &self.inner.cancel
    }

    /// The same key for the same step of the same run, however often it is tried and whatever the
    /// model called it. Tools use it to do a thing once.
    pub fn idempotency_key(&self, step: &StepId) -> String {
        format!("{}/{}", self.inner.id, step)
    }

    /// A tag for fencing untrusted text in this run's prompts: the same when the run is resumed,
    /// not to be guessed by whoever sent the event.
    pub fn fence(&self) -> String {
        crate::short_hash(self.inner.id.0.as_bytes())
    }

    /// The changes that this run's calls made so far, in order.
    pub fn changes(&self) -> Vec<Change> {
        self.lock_changes().clone()
    }

    /// Adds a call's changes. The loop does this for live and for replayed replies alike.
    pub fn record(&self, changes: &[Change]) {
        self.lock_changes().extend_from_slice(changes);
    }

    /// What a layer keeps for the length of this run, made by `T::default()` at first use.
    pub fn extension<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut all = self.inner.extensions.lock().expect("no holder of the extensions panics");
        let any = all.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(any).downcast().expect("the map's key is the value's type")
    }

    /// Puts `value` there, in place of what was.
    pub fn set_extension<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let mut all = self.inner.extensions.lock().expect("no holder of the extensions panics");
        all.insert(TypeId::of::<T>(), value);
    }

    fn lock_changes(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.inner.changes.lock().expect("no holder of the changes panics")
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.inner.id).field("process", &self.inner.process).finish_non_exhaustive()
    }
}
