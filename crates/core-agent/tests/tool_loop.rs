//! The stock loop: order of calls and results, its ends, and what it answers in a tool's place.
#![allow(clippy::unwrap_used, reason = "a test that panics fails, as it should")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::DateTime;
use flyball_core_agent::{
    Agent, CallError, Directive, Error, Failure, Invocation, Message, Model, Outcome, Reply, Run, RunId, ToolCall, ToolLoop,
    ToolReply, ToolSpec, Toolbox, TriggerEvent, Turn, WantedCall,
};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Gives replies in order and remembers what it was shown.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Result<Reply, CallError>>>,
    shown: Mutex<Vec<Vec<Arc<Message>>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let replies = replies.into_iter().map(Ok).collect();
        Arc::new(Self { replies: Mutex::new(replies), shown: Mutex::default() })
    }

    fn answers_shown_last(&self) -> Vec<(String, String)> {
        let shown = self.shown.lock().unwrap();
        let answer = |message: &Arc<Message>| match &**message {
            Message::Tool { name, text, .. } => Some((name.clone(), text.clone())),
            _ => None,
        };
        shown.last().unwrap().iter().filter_map(answer).collect()
    }
}

#[async_trait]
impl Model for Script {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        self.shown.lock().unwrap().push(turn.messages.clone());
        self.replies.lock().unwrap().pop_front().unwrap_or_else(|| Ok(Reply::say("done")))
    }
}

/// Tools named after what they do.
#[derive(Default)]
struct Tools {
    started: Mutex<Vec<String>>,
    second_started: Notify,
}

#[async_trait]
impl Toolbox for Tools {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        let names = ["first", "second", "halt", "park", "unsent", "unknown"];
        Ok(names.map(|name| Arc::new(spec(name))).into())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        self.started.lock().unwrap().push(format!("{} {}", call.step, call.name));
        match call.name.as_str() {
            // Ends only after the call behind it began.
            "first" => self.second_started.notified().await,
            "second" => self.second_started.notify_one(),
            "halt" => return Err(CallError::Halt(Directive::pause("budget"))),
            "park" => return Err(CallError::Park("approval 7".into())),
            "cancel" => call.run.cancel().cancel(),
            "unsent" => return Err(Failure::unsent("nobody there").into()),
            "nope" => return Err(Failure::unsent("no tool is named 'nope'").into()),
            _ => return Err(Failure::unknown("no answer").into()),
        }
        Ok(ToolReply::ok(format!("{} ended", call.name)))
    }
}

fn spec(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), description: String::new(), parameters: json!({}), effect: None, reconcile: None }
}

fn wants(calls: &[(&str, Value)]) -> Reply {
    let call = |(index, (name, args)): (usize, &(&str, Value))| WantedCall {
        id: format!("c{index}"),
        name: (*name).into(),
        args: args.clone(),
    };
    Reply { calls: calls.iter().enumerate().map(call).collect(), ..Reply::default() }
}

async fn run(model: &Arc<Script>, tools: &Arc<Tools>, max_turns: u32) -> Result<Outcome, Error> {
    run_until(model, tools, max_turns, CancellationToken::new()).await
}

async fn run_until(model: &Arc<Script>, tools: &Arc<Tools>, max_turns: u32, cancel: CancellationToken) -> Result<Outcome, Error> {
    let agent = ToolLoop::new("be good", max_turns, Arc::clone(model) as _, Arc::clone(tools) as _);
    let event = TriggerEvent::new("c", "cron", DateTime::UNIX_EPOCH, json!({}));
    let run = Run::new(RunId("r".into()), "p", cancel);
    agent.invoke(Invocation { run, event, notes: Vec::new(), history: Vec::new() }).await
}

#[tokio::test]
async fn calls_of_one_turn_start_in_order_run_together_and_come_back_in_order() {
    let model = Script::new([wants(&[("first", json!({})), ("second", json!({}))])]);
    let tools = Arc::new(Tools::default());
    let outcome = run(&model, &tools, 5).await.unwrap();
    assert_eq!((outcome.reply.as_str(), outcome.turns), ("done", 2));
    assert_eq!(*tools.started.lock().unwrap(), ["t0.c0 first", "t0.c1 second"]);
    let answers = model.answers_shown_last();
    assert_eq!(answers, [("first".into(), "first ended".into()), ("second".into(), "second ended".into())]);
}

#[tokio::test]
async fn a_halt_is_a_normal_end_and_starts_no_further_call() {
    let model = Script::new([wants(&[("halt", json!({})), ("second", json!({}))])]);
    let tools = Arc::new(Tools::default());
    let outcome = run(&model, &tools, 5).await.unwrap();
    assert_eq!(outcome.directive, Directive::pause("budget"));
    assert_eq!(*tools.started.lock().unwrap(), ["t0.c0 halt"]);
}

#[tokio::test]
async fn a_park_outranks_a_halt_and_awaits_what_was_sent() {
    let model = Script::new([wants(&[("first", json!({})), ("second", json!({})), ("park", json!({})), ("halt", json!({}))])]);
    let tools = Arc::new(Tools::default());
    assert_eq!(run(&model, &tools, 5).await.unwrap_err(), Error::Parked("approval 7".into()));
    let started = tools.started.lock().unwrap();
    assert_eq!(*started, ["t0.c0 first", "t0.c1 second", "t0.c2 park"]);
}

#[tokio::test]
async fn a_run_that_is_told_to_stop_awaits_what_was_sent_and_begins_no_further_call() {
    let calls = ["first", "second", "cancel", "second", "park"].map(|name| (name, json!({})));
    let tools = Arc::new(Tools::default());
    assert_eq!(run(&Script::new([wants(&calls)]), &tools, 5).await.unwrap_err(), Error::Cancelled);
    assert_eq!(*tools.started.lock().unwrap(), ["t0.c0 first", "t0.c1 second", "t0.c2 cancel"]);
}

#[tokio::test]
async fn a_run_that_comes_to_no_end_fails_at_its_turn_limit() {
    let model = Script::new((0..10).map(|_| wants(&[("second", json!({}))])));
    let error = run(&model, &Arc::default(), 3).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(why) if why.contains("3 turns") && why.contains("max_turns")), "{error}");
    assert_eq!(model.shown.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn the_loop_answers_for_a_tool_that_cannot_be_called() {
    let calls = [
        ("nope", json!({})),
        ("second", json!("{broken")),
        ("second", json!([1])),
        ("unsent", json!({})),
        ("unknown", json!({})),
    ];
    let model = Script::new([wants(&calls)]);
    let tools = Arc::new(Tools::default());
    run(&model, &tools, 5).await.unwrap();
    let answers = model.answers_shown_last();
    assert_eq!(answers[0].1, "no tool is named 'nope'");
    assert!(answers[1].1.contains("must be one JSON object") && answers[2].1.contains("must be one JSON object"), "{answers:?}");
    assert_eq!(answers[3].1, "nobody there");
    assert!(answers[4].1.contains("no answer; whether the tool acted is not known"), "{answers:?}");
    assert_eq!(*tools.started.lock().unwrap(), ["t0.c0 nope", "t0.c3 unsent", "t0.c4 unknown"]);
}

#[tokio::test]
async fn of_one_reply_64_calls_are_made_and_the_model_is_told_of_the_rest_once() {
    let model = Script::new([wants(&vec![("second", json!(null)); 70])]);
    let tools = Arc::new(Tools::default());
    run(&model, &tools, 5).await.unwrap();
    assert_eq!(tools.started.lock().unwrap().len(), 64);
    let answers = model.answers_shown_last();
    assert_eq!(answers.len(), 64);
    assert!(answers[63].1.ends_with("[6 more calls were not made: a reply may want 64 at most]"), "{answers:?}");
    assert!(!answers[62].1.contains("not made"), "{answers:?}");
}

#[tokio::test]
async fn a_model_that_fails_fails_the_run_unless_the_run_was_cancelled() {
    let failing = || {
        let model = Script::new([]);
        model.replies.lock().unwrap().push_back(Err(Failure::unknown("no model").into()));
        model
    };
    assert_eq!(run(&failing(), &Arc::default(), 5).await.unwrap_err(), Error::Failed("no model".into()));
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let before_a_step = failing();
    assert_eq!(run_until(&before_a_step, &Arc::default(), 5, cancelled).await.unwrap_err(), Error::Cancelled);
    assert!(before_a_step.shown.lock().unwrap().is_empty());
}

/// Gives up, as an adapter does, when the run is cancelled.
struct Waiting(CancellationToken);

#[async_trait]
impl Model for Waiting {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        self.0.cancel();
        turn.run.cancel().cancelled().await;
        Err(Failure::unknown("given up").into())
    }
}

#[tokio::test]
async fn a_run_that_is_cancelled_while_the_model_is_asked_is_cancelled_and_did_not_fail() {
    let cancel = CancellationToken::new();
    let agent = ToolLoop::new("", 5, Arc::new(Waiting(cancel.clone())), Arc::new(Tools::default()));
    let event = TriggerEvent::new("c", "cron", DateTime::UNIX_EPOCH, json!({}));
    let run = Run::new(RunId("r".into()), "p", cancel);
    let invocation = Invocation { run, event, notes: Vec::new(), history: Vec::new() };
    assert_eq!(agent.invoke(invocation).await.unwrap_err(), Error::Cancelled);
}

#[tokio::test]
async fn a_joined_toolbox_says_which_tools_there_are() {
    let boxes: Vec<(String, Option<String>, Arc<dyn Toolbox>)> = vec![("box".into(), None, Arc::new(Tools::default()))];
    let model = Script::new([wants(&[("nope", json!({}))])]);
    let agent = ToolLoop::new("be good", 3, Arc::clone(&model) as _, flyball_core_agent::join(boxes));
    let event = TriggerEvent::new("c", "cron", DateTime::UNIX_EPOCH, json!({}));
    let run = Run::new(RunId("r".into()), "p", CancellationToken::new());
    agent.invoke(Invocation { run, event, notes: Vec::new(), history: Vec::new() }).await.unwrap();
    let answers = model.answers_shown_last();
    assert!(answers[0].1.contains("no tool is named 'nope'; there are: first, second"), "{answers:?}");
}
