//! The world outside, as far as calls reach it: a toolbox and a model that remember.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use flyball::core_agent::scripted::ScriptedModel;
use flyball::core_agent::{CallError, Effect, Model, Reply, ToolCall, ToolReply, ToolSpec, Toolbox, Turn};
use flyball::journal::{Entry, MemoryStorage};
use serde_json::json;
use tokio::sync::watch;

use super::open;

/// What reached the outside. It outlives every runtime, as the world does.
#[derive(Default)]
pub struct Outside {
    calls: Mutex<Vec<Called>>,
    asked: Mutex<BTreeMap<(String, String), u32>>,
    /// What the agent's process must have on its disk before a call leaves.
    watched: Mutex<Option<MemoryStorage>>,
    /// Calls that left though their intent was not durable.
    early: Mutex<Vec<String>>,
    hang_in: Mutex<Option<&'static str>>,
    hangs: watch::Sender<bool>,
}

/// A call that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    pub tool: String,
    pub key: String,
}

/// How the agents behave: look, put, act, act with a reconcile tool, say; or only a part of it.
const SCRIPT: &str = r#"
rules:
  - {when: {step: t0, event: '"do": "act"'}, call: [{tool: act}]}
  - {when: {step: t0, event: '"do": "check"'}, call: [{tool: act_checked}]}
  - {when: {step: t0, event: '"do": "all"'}, call: [{tool: look}, {tool: put}]}
  - {when: {step: t1, event: '"do": "all"'}, call: [{tool: act}]}
  - {when: {step: t2, event: '"do": "all"'}, call: [{tool: act_checked}]}
  - {say: done}
"#;

impl Outside {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// An outside that knows what this one knows, and goes its own way from here on.
    pub fn fork(&self) -> Arc<Self> {
        let (calls, asked) = (self.calls().clone(), lock(&self.asked).clone());
        Arc::new(Self { calls: Mutex::new(calls), asked: Mutex::new(asked), ..Self::default() })
    }

    /// From now on each call that is not a read is held against what is durable on `disk`.
    pub fn watch(&self, disk: &MemoryStorage) {
        *lock(&self.watched) = Some(disk.clone());
    }

    /// The next call of `tool` arrives, and is never answered.
    pub fn hang_in(&self, tool: &'static str) {
        *lock(&self.hang_in) = Some(tool);
    }

    /// Returns when a call has arrived that is not answered.
    pub async fn hung(&self) {
        // The sender lives in self.
        let _ = self.hangs.subscribe().wait_for(|hangs| *hangs).await;
    }

    pub fn calls(&self) -> MutexGuard<'_, Vec<Called>> {
        lock(&self.calls)
    }

    /// How often each key of an irreversible tool arrived.
    pub fn acts(&self) -> BTreeMap<String, u32> {
        let mut acts = BTreeMap::new();
        for call in self.calls().iter().filter(|call| call.tool.starts_with("act")) {
            *acts.entry(call.key.clone()).or_default() += 1;
        }
        acts
    }

    /// How often the model was asked for a step of a run.
    pub fn asked(&self, run: &str, step: &str) -> u32 {
        lock(&self.asked).get(&(run.to_owned(), step.to_owned())).copied().unwrap_or(0)
    }

    /// Calls that left before their intent was durable.
    pub fn early(&self) -> Vec<String> {
        lock(&self.early).clone()
    }

    fn arrive(&self, call: &ToolCall) {
        let key = call.idempotency_key();
        if call.effect() != Effect::Read
            && let Some(disk) = lock(&self.watched).clone()
            && !has_intent(&disk, call)
        {
            lock(&self.early).push(format!("{} {key}", call.name));
        }
        self.calls().push(Called { tool: call.name.clone(), key });
    }
}

/// A power cut in this moment would leave the call's intent.
fn has_intent(disk: &MemoryStorage, call: &ToolCall) -> bool {
    let after = disk.power_cut(|_| false);
    let Ok((_, recovery)) = open(&after, 1 << 16) else { return false };
    let records = recovery.processes.get(call.run.process());
    records
        .into_iter()
        .flatten()
        .any(|record| matches!(&record.entry, Entry::ToolCall { run, step, .. } if run == call.run.id() && *step == call.step))
}

/// The tools.
pub struct Tools(pub Arc<Outside>);

#[async_trait]
impl Toolbox for Tools {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let spec = |name: &str, effect: Option<Effect>, reconcile: Option<&str>| {
            Arc::new(ToolSpec {
                name: name.to_owned(),
                description: String::new(),
                parameters: json!({"type": "object"}),
                effect,
                reconcile: reconcile.map(str::to_owned),
            })
        };
        Ok(vec![
            spec("look", Some(Effect::Read), None),
            spec("put", Some(Effect::Idempotent), None),
            spec("act", None, None),
            spec("act_checked", Some(Effect::Irreversible), Some("reconcile")),
            spec("reconcile", Some(Effect::Read), None),
        ])
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        if call.name == "reconcile" {
            let key = call.args["key"].as_str().unwrap_or_default().to_owned();
            let happened = self.0.calls().iter().any(|known| known.key == key);
            return Ok(ToolReply::ok(json!({"happened": happened, "result": "it had"}).to_string()));
        }
        self.0.arrive(call);
        if *lock(&self.0.hang_in) == Some(call.name.as_str()) {
            self.0.hangs.send_replace(true);
            std::future::pending::<()>().await;
        }
        Ok(ToolReply::ok(format!("{} is done", call.name)))
    }
}

/// The model.
pub struct Asked {
    outside: Arc<Outside>,
    script: ScriptedModel,
}

impl Asked {
    pub fn new(outside: Arc<Outside>) -> Self {
        Self { outside, script: ScriptedModel::from_yaml(SCRIPT, "the suite's script").expect("the script is good") }
    }
}

#[async_trait]
impl Model for Asked {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        *lock(&self.outside.asked).entry((turn.run.id().0.clone(), turn.step.0.clone())).or_default() += 1;
        self.script.reply(turn).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
