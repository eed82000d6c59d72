//! Small doubles of the outside world.
#![allow(dead_code, reason = "every test file uses another part")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use flyball_core_agent::{
    CallError, Clock, Effect, Invocation, ManualClock, Model, Reply, Run, RunId, Stack, ToolCall, ToolReply, ToolSpec, Toolbox,
    TriggerEvent, Turn, WantedCall,
};
use flyball_governance::{EscalationTarget, Notice, Notify};
use flyball_journal::{Entry, MemoryJournal, Record};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 5, 4, 12, 0, 0).single().expect("a time")
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(noon()))
}

pub fn journal() -> Arc<MemoryJournal> {
    Arc::new(MemoryJournal::new("p"))
}

pub fn run(id: &str) -> Run {
    Run::new(RunId(id.into()), "p", CancellationToken::new())
}

pub fn invocation(run: &Run) -> Invocation {
    let event = TriggerEvent::new("t", "cron", noon(), json!({"tick": 1}));
    Invocation { run: run.clone(), event, notes: vec![], history: vec![] }
}

pub fn wants(calls: &[(&str, Value)]) -> Reply {
    let wanted = |(index, (name, args)): (usize, &(&str, Value))| WantedCall {
        id: format!("w{index}"),
        name: (*name).into(),
        args: args.clone(),
    };
    Reply { calls: calls.iter().enumerate().map(wanted).collect(), ..Reply::default() }
}

/// A model that says what it was given to say, in order, then `done`; and keeps what it was asked.
#[derive(Default)]
pub struct Says {
    replies: Mutex<VecDeque<Result<Reply, CallError>>>,
    pub asked: Mutex<Vec<Turn>>,
}

impl Says {
    pub fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Self::or_fails(replies.into_iter().map(Ok))
    }

    pub fn or_fails(replies: impl IntoIterator<Item = Result<Reply, CallError>>) -> Arc<Self> {
        Arc::new(Self { replies: Mutex::new(replies.into_iter().collect()), asked: Mutex::default() })
    }

    pub fn count(&self) -> usize {
        self.asked.lock().expect("asked").len()
    }

    pub fn prompt(&self, index: usize) -> String {
        let asked = self.asked.lock().expect("asked");
        asked[index].messages.iter().map(|message| message.text()).collect::<Vec<_>>().join("\n")
    }
}

#[async_trait]
impl Model for Says {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        self.asked.lock().expect("asked").push(turn.clone());
        self.replies.lock().expect("replies").pop_front().unwrap_or_else(|| Ok(Reply::say("all of it is done")))
    }
}

type Answer = Box<dyn Fn(&ToolCall) -> ToolReply + Send + Sync>;

/// Tools that answer by a function and keep what they were called with.
pub struct Tools {
    names: Vec<(String, Option<Effect>)>,
    answer: Answer,
    pub called: Mutex<Vec<ToolCall>>,
}

impl Tools {
    pub fn new(names: &[&str], answer: impl Fn(&ToolCall) -> ToolReply + Send + Sync + 'static) -> Arc<Self> {
        let names = names.iter().map(|name| ((*name).to_owned(), Some(Effect::Idempotent))).collect();
        Arc::new(Self { names, answer: Box::new(answer), called: Mutex::default() })
    }

    pub fn count(&self) -> usize {
        self.called.lock().expect("called").len()
    }
}

#[async_trait]
impl Toolbox for Tools {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let spec = |(name, effect): &(String, Option<Effect>)| ToolSpec {
            name: name.clone(),
            description: String::new(),
            parameters: json!({}),
            effect: *effect,
            reconcile: None,
        };
        Ok(self.names.iter().map(|named| Arc::new(spec(named))).collect())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        self.called.lock().expect("called").push(call.clone());
        Ok((self.answer)(call))
    }
}

/// Keeps every notice.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<Notice>>);

impl Told {
    pub fn kinds(&self) -> Vec<String> {
        self.0.lock().expect("notices").iter().map(|notice| notice.kind.clone()).collect()
    }
}

#[async_trait]
impl Notify for Told {
    async fn notify(&self, _target: &EscalationTarget, notice: Notice) {
        self.0.lock().expect("notices").push(notice);
    }
}

/// A clock that a test sets to whatever it likes, backwards too.
pub struct AnyClock(pub Mutex<DateTime<Utc>>);

#[async_trait]
impl Clock for AnyClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("now")
    }

    async fn sleep_until(&self, _instant: DateTime<Utc>) {
        std::future::pending().await
    }
}

pub fn notes(records: &[Record], wanted: &str) -> Vec<Value> {
    let body = |record: &Record| match &record.entry {
        Entry::Note { layer, body, .. } if layer == wanted => Some(body.clone()),
        _ => None,
    };
    records.iter().filter_map(body).collect()
}

/// The stock loop inside `stack`, over these two.
pub async fn go(stack: &Stack, run: &Run, model: &Arc<Says>, tools: &Arc<Tools>) -> flyball_core_agent::Outcome {
    let agent = stack.agent("You work.", 25, Arc::clone(model) as Arc<dyn Model>, Arc::clone(tools) as Arc<dyn Toolbox>);
    agent.invoke(invocation(run)).await.expect("the run ends")
}
