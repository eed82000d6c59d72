//! A runtime on a clock that stands still and a journal in memory, which can be cut off as by a crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use flyball::assemble::{Assembly, Surroundings};
use flyball::context::Context;
use flyball::core_agent::{Clock, ManualClock};
use flyball::journal::{DEFAULT_SEGMENT_BYTES, Log, MemoryStorage, Storage};
use flyball::manifest::{Manifest, parse_manifest, process_env};
use flyball::runtime::{AgentProcess, AgentRuntime, Blueprint, Built, JournalHome, Past, RuntimeParts};

use flyball::triggers::{EventBus, MessageBroker, Trigger, WebhookListeners};
use tempfile::TempDir;

use super::Reading;

/// Where agents run in a test.
pub struct World {
    pub clock: ManualClock,
    pub runtime: Arc<AgentRuntime>,
    /// Where the journal lies; nowhere that could be forked where it is on the disk.
    storage: Option<MemoryStorage>,
    files: Arc<TempDir>,
    contexts: Contexts,
    webhooks: WebhookListeners,
}

type Contexts = Arc<Mutex<BTreeMap<String, Arc<Context>>>>;

/// An instant, as RFC 3339 writes it.
pub fn at(instant: &str) -> DateTime<Utc> {
    instant.parse().expect("an instant")
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

impl World {
    /// A Monday morning, two minutes before a `*/5` instant.
    pub fn new() -> Self {
        Self::starting("2026-03-02T08:58:00Z")
    }

    /// A world that begins at `instant`.
    pub fn starting(instant: &str) -> Self {
        Self::in_memory(MemoryStorage::default(), at(instant), Arc::new(folder()), |_| {})
    }

    /// A world with a bus and a broker that the test brings.
    pub fn with(event_bus: Arc<dyn EventBus>, broker: Arc<dyn MessageBroker>) -> Self {
        Self::in_memory(MemoryStorage::default(), at("2026-03-02T08:58:00Z"), Arc::new(folder()), |parts| {
            parts.event_bus = event_bus;
            parts.broker = broker;
        })
    }

    /// A world whose journal is the directory `journal`.
    pub fn on_disk(journal: &Path) -> Self {
        let home = JournalHome::from(Log::resume(journal).expect("the log opens"));
        Self::over(home, at("2026-03-02T08:58:00Z"), Arc::new(folder()), |_| {})
    }

    /// The world as it is found after this one lost its power in this moment: what was durable is there, nothing else.
    /// This one goes on, and nobody sees it any more.
    pub fn after_a_crash(&self) -> Self {
        let storage = self.storage.as_ref().expect("its journal is in memory").fork();
        Self::in_memory(storage, self.clock.now(), Arc::clone(&self.files), |_| {})
    }

    fn in_memory(
        storage: MemoryStorage,
        now: DateTime<Utc>,
        files: Arc<TempDir>,
        change: impl FnOnce(&mut RuntimeParts),
    ) -> Self {
        let opened = Log::resume_storage(Arc::new(storage.clone()), DEFAULT_SEGMENT_BYTES).expect("the log opens");
        Self { storage: Some(storage), ..Self::over(JournalHome::from(opened), now, files, change) }
    }

    fn over(home: JournalHome, now: DateTime<Utc>, files: Arc<TempDir>, change: impl FnOnce(&mut RuntimeParts)) -> Self {
        let clock = ManualClock::new(now);
        let mut parts = RuntimeParts::new(home);
        parts.clock = Arc::new(clock.clone());
        change(&mut parts);
        let runtime = Arc::new(AgentRuntime::new(parts));
        let (contexts, webhooks) = (Contexts::default(), WebhookListeners::default());
        Self { clock, runtime, storage: None, files, contexts, webhooks }
    }

    /// Where its manifests' relative paths lead.
    pub fn dir(&self) -> &Path {
        self.files.path()
    }

    /// Writes a file there.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir().join(name);
        std::fs::write(&path, text).expect("the file can be written");
        path
    }

    /// What `model: scripted:model.yaml` answers by.
    pub fn script(&self, rules: &str) {
        self.file("model.yaml", rules);
    }

    /// Reads a manifest, whose model is the script unless it says otherwise.
    pub fn parse(&self, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Manifest {
        let text = if text.contains("\nmodel:") { text.to_owned() } else { format!("{text}\nmodel: scripted:model.yaml\n") };
        parse_manifest(&self.dir().join("a.agent"), &text, env).expect("a good manifest")
    }

    /// Adds the process of a manifest.
    pub fn add(&self, text: &str) -> AgentProcess {
        self.add_manifest(&self.parse(text, &process_env))
    }

    /// Adds the process of a manifest that was read or made elsewhere.
    pub fn add_manifest(&self, manifest: &Manifest) -> AgentProcess {
        let surroundings = Surroundings {
            clock: Arc::clone(self.runtime.clock()),
            event_bus: Arc::clone(self.runtime.event_bus()),
            broker: Arc::clone(self.runtime.broker()),
            webhooks: self.webhooks.clone(),
        };
        let assembly = Assembly::new(manifest, surroundings);
        let spec = assembly.spec();
        let shown = Shown { name: manifest.name.clone(), inner: assembly, contexts: Arc::clone(&self.contexts) };
        self.runtime.add_process(spec, Arc::new(shown)).expect("the name is free")
    }

    /// Adds a process and starts it.
    pub async fn start(&self, text: &str) -> AgentProcess {
        let process = self.add(text);
        process.start().await.expect("it starts");
        process
    }

    /// The context of a process's present life.
    pub fn context(&self, process: &str) -> Arc<Context> {
        let contexts = self.contexts.lock().expect("no holder panics");
        Arc::clone(contexts.get(process).expect("it was started"))
    }

    /// Moves the clock by minutes.
    pub fn minutes(&self, minutes: u64) {
        self.clock.advance(Duration::from_secs(60 * minutes));
    }

    /// Moves the clock to `instant`, which is still to come.
    pub fn wait_for(&self, instant: DateTime<Utc>) {
        self.clock.advance((instant - self.clock.now()).to_std().expect("it is to come"));
    }

    /// All records of a process so far.
    pub async fn read(&self, process: &str) -> Reading {
        let log = self.runtime.log();
        // Waiting for an append brings everything before it to the storage.
        log.process(process).append(Vec::new()).await.expect("the log takes it");
        Reading::new(log.records(process).expect("the log can be read"))
    }

    /// Every byte of the journal.
    pub async fn bytes(&self) -> String {
        self.runtime.log().process("nobody").append(Vec::new()).await.expect("the log takes it");
        let storage = self.storage.as_ref().expect("its journal is in memory");
        let names = storage.list().expect("it is in memory");
        let all: Vec<u8> = names.iter().flat_map(|name| storage.read(name).expect("it is in memory")).collect();
        String::from_utf8(all).expect("the journal is text")
    }
}

/// A blueprint that shows the context of what it built.
struct Shown {
    name: String,
    inner: Assembly,
    contexts: Contexts,
}

#[async_trait]
impl Blueprint for Shown {
    fn triggers(&self) -> Result<Vec<Box<dyn Trigger>>, String> {
        self.inner.triggers()
    }

    async fn build(&self, past: &Past) -> Result<Built, String> {
        let built = self.inner.build(past).await?;
        self.contexts.lock().expect("no holder panics").insert(self.name.clone(), Arc::clone(&built.context));
        Ok(built)
    }
}
