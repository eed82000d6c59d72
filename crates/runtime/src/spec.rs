//! What a process is made of. Policies, models and manifests stay behind [`Blueprint`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use flyball_context::Context;
use flyball_core_agent::{Agent, Layer};
use flyball_journal::{Journal, Log, MAX_DEDUP_KEYS, ProcessFold, Record, Recovered};
use flyball_triggers::Trigger;

/// How a process is run.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// Its name.
    pub name: String,
    /// Runs that may be on at the same time.
    pub concurrency: usize,
    /// Runs in a row that may fail before the process does.
    pub max_consecutive_failures: u32,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// How long calls that are under way are waited for when it stops.
    pub drain_timeout: Duration,
    /// How long one run may take.
    pub max_invocation_time: Option<Duration>,
    /// What becomes of an event whose run fails, or that has to wait.
    pub delivery: Delivery,
    /// How often it says that it is well, and looks whether it is idle or too old.
    pub heartbeat_interval: Duration,
    /// Without work for this long it is suspended, until the next event.
    pub idle_timeout: Option<Duration>,
    /// After this long it is drained and started anew.
    pub max_lifetime: Option<Duration>,
    /// Keys of events that lie in its memory, to know an event that comes again. Older ones are looked up in
    /// its journal, where that is in a folder.
    pub dedup_keys: usize,
}

/// What becomes of an event whose run fails, or that has to wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivery {
    /// How often a failed run is tried again, from its last recorded step, before its event is a dead letter.
    pub max_retries: u32,
    /// The wait before the first retry. It doubles.
    pub retry_backoff: Duration,
    /// The longest wait.
    pub retry_backoff_max: Duration,
    /// An event that waited longer than this for its first run is not handled any more.
    pub max_age: Option<Duration>,
    /// An event waits until every earlier one of its trigger has ended, even if that is held or tried again.
    pub strict_order: bool,
    /// Events that may wait to be handled. More are refused before they are taken.
    pub max_pending: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_retries: 0,
            retry_backoff: Duration::from_secs(2),
            retry_backoff_max: Duration::from_secs(60),
            max_age: None,
            strict_order: false,
            max_pending: 1_000,
        }
    }
}

impl Delivery {
    /// When a run that has failed `failures` times is tried again; `None` if it is not.
    pub fn retry_at(&self, failures: u32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if failures > self.max_retries {
            return None;
        }
        let wait = self.retry_backoff.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        TimeDelta::from_std(wait.min(self.retry_backoff_max)).ok().and_then(|wait| now.checked_add_signed(wait))
    }
}

/// When a process is started again by itself.
#[derive(Debug, Clone, Copy)]
pub struct Restart {
    /// After what.
    pub policy: RestartPolicy,
    /// How often in a row.
    pub max_restarts: u32,
    /// The wait before the first restart. It doubles, up to a minute.
    pub backoff: Duration,
}

/// After what a process is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    Never,
    /// After it failed.
    OnFailure,
    /// After it failed, as [`OnFailure`](Self::OnFailure): it comes to no other end that nobody ordered. An order to
    /// stop is obeyed all the same.
    Always,
}

impl ProcessSpec {
    /// A process with the usual limits.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            concurrency: 1,
            max_consecutive_failures: 3,
            restart: Restart { policy: RestartPolicy::Never, max_restarts: 3, backoff: Duration::from_secs(1) },
            drain_timeout: Duration::from_secs(5),
            max_invocation_time: None,
            delivery: Delivery::default(),
            heartbeat_interval: Duration::from_secs(10),
            idle_timeout: None,
            max_lifetime: None,
            dedup_keys: MAX_DEDUP_KEYS,
        }
    }

    /// The process's id: the same on every start.
    pub fn process_id(&self) -> String {
        format!("proc-{}", flyball_core_agent::short_hash(self.name.as_bytes()))
    }
}

/// Makes a process's parts, anew on every start.
#[async_trait]
pub trait Blueprint: Send + Sync {
    /// What wakes it; without any, it is only ever woken from outside. Asked for before [`build`](Blueprint::build):
    /// those that [linger](Trigger::lingers) are opened at once, so that what others say while that takes its time,
    /// or fails and is tried again, is not missed; the rest once it is built. The error is for the operator.
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String>;

    /// Everything else, so that a restart resolves secrets and connects servers anew, and a stop drops them. The
    /// future is dropped if the process is told to stop meanwhile. The error is for the operator.
    async fn build(&self, past: &Past) -> Result<Built, String>;
}

/// What a process did before this start.
pub struct Past {
    /// Its records. Most starts need no more of them than `fold`.
    pub records: Records,
    /// What they come to.
    pub fold: ProcessFold,
    /// Where what it does now is recorded.
    pub journal: Arc<dyn Journal>,
    /// Why it is started.
    pub cause: StartCause,
}

/// A process's records from its newest checkpoint on, which are read when somebody wants them.
pub struct Records {
    log: Arc<Log>,
    process: String,
    /// Where they lay when the log was opened; `None` once there may be more.
    found: Option<Arc<Recovered>>,
}

impl Records {
    pub(crate) fn new(log: Arc<Log>, process: &str, found: Option<Recovered>) -> Self {
        Self { log, process: process.to_owned(), found: found.map(Arc::new) }
    }

    /// Reads them, oldest first. The error is for the operator.
    pub async fn read(&self) -> Result<Vec<Record>, String> {
        let (log, process, found) = (Arc::clone(&self.log), self.process.clone(), self.found.clone());
        let read = tokio::task::spawn_blocking(move || match found.map(|found| log.records_of(&found)) {
            Some(Ok(records)) => Ok(records),
            // Old segments may have been dropped since: what is needed of them was written once more.
            Some(Err(_)) | None => log.records(&process),
        });
        read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

/// Why a process is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartCause {
    /// Someone asked for it, and it was not alive before.
    Asked,
    /// It was cut off, and goes on where it was.
    Recovery,
    /// It failed or grew too old, and is started again by itself.
    Restart,
}

/// A process's parts.
pub struct Built {
    /// The agent, inside its layers.
    pub agent: Arc<dyn Agent>,
    /// What it knows.
    pub context: Arc<Context>,
    /// The layers, for their status, deadlines and commands.
    pub layers: Vec<Arc<dyn Layer>>,
    /// Awaited when the process has stopped, however it did, for a bounded time.
    pub on_stop: Option<Cleanup>,
}

/// What is left to do when a process has stopped.
pub type Cleanup = Pin<Box<dyn Future<Output = ()> + Send>>;
