//! What the recording layers do with a step: before it, after it, and when it comes back after a crash.

#![cfg(test)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flyball_core_agent::{
    CallError, Effect, Failure, Layer, Model, Reply, Run, RunId, StepId, ToolCall, ToolReply, ToolSpec, Toolbox, Turn,
};
use flyball_journal::{Entry, Intent, Journal, MemoryJournal, ProcessFold, Record, Replay, Tape};
use serde_json::Map;
use tokio_util::sync::CancellationToken;

/// Answers with what it is told, and counts how often it was asked.
struct Tool {
    calls: AtomicU32,
    journal: Arc<MemoryJournal>,
    known_at_call: Mutex<Vec<&'static str>>,
    answers: Mutex<Vec<Result<ToolReply, CallError>>>,
}

impl Tool {
    fn count(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Toolbox for Tool {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(Vec::new())
    }

    async fn call(&self, call: &ToolCall) -> Result<ToolReply, CallError> {
        if call.name == "reconcile" {
            let happened = self.count() > 0;
            return Ok(ToolReply::ok(format!("{{\"happened\":{happened},\"result\":\"it did\"}}")));
        }
        self.calls.fetch_add(1, Ordering::SeqCst);
        let known = self.journal.records();
        *self.known_at_call.lock().expect("unpoisoned") = known.iter().map(|record| record.entry.kind()).collect();
        self.answers.lock().expect("unpoisoned").remove(0)
    }
}

#[async_trait]
impl Model for Tool {
    async fn reply(&self, _turn: &Turn) -> Result<Reply, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Reply::say("hello"))
    }
}

struct Bench {
    journal: Arc<MemoryJournal>,
    tool: Arc<Tool>,
    run: RunId,
}

impl Bench {
    fn new(answers: Vec<Result<ToolReply, CallError>>) -> Self {
        let journal = Arc::new(MemoryJournal::new("p"));
        let run = RunId("r".into());
        journal.push(Entry::InvocationStart { run: run.clone(), event_id: "e".into(), attempt: 1, again: None }).expect("pushed");
        let tool = Tool {
            calls: AtomicU32::new(0),
            journal: Arc::clone(&journal),
            known_at_call: Mutex::default(),
            answers: Mutex::new(answers),
        };
        Self { journal, tool: Arc::new(tool), run }
    }

    fn toolbox(&self) -> Arc<dyn Toolbox> {
        let journal: Arc<dyn Journal> = Arc::clone(&self.journal) as _;
        let inner = Intent::new(Arc::clone(&journal)).toolbox(Arc::clone(&self.tool) as _);
        Replay::new(journal).toolbox(inner)
    }

    /// The run as a new life finds it: its tape is folded from the records.
    fn run(&self) -> Run {
        let run = Run::new(self.run.clone(), "p", CancellationToken::new());
        let fold = ProcessFold::of(&self.journal.records());
        let tape = fold.open_runs.get(&self.run).map(|open| open.tape.clone()).unwrap_or_default();
        run.set_extension::<Tape>(Arc::new(tape));
        run
    }

    fn call(&self, effect: Option<Effect>, reconcile: Option<&str>) -> ToolCall {
        let spec = ToolSpec {
            name: "act".into(),
            description: String::new(),
            parameters: serde_json::json!({}),
            effect,
            reconcile: reconcile.map(str::to_owned),
        };
        let step = StepId::call(0, 0);
        ToolCall { run: self.run(), step, name: "act".into(), args: Map::new(), spec: Some(Arc::new(spec)), notes: Map::new() }
    }

    /// Drops every record from the first result on, as a crash between intent and result would.
    fn forget_result(&self) -> Self {
        let kept: Vec<Record> =
            self.journal.records().into_iter().take_while(|record| !matches!(record.entry, Entry::ToolResult { .. })).collect();
        let journal = MemoryJournal::new("p");
        for record in kept {
            journal.push(record.entry).expect("pushed");
        }
        Self { journal: Arc::new(journal), tool: Arc::clone(&self.tool), run: self.run.clone() }
    }
}

fn unknown() -> Result<ToolReply, CallError> {
    Err(Failure::unknown("the line went dead").into())
}

#[tokio::test]
async fn an_intent_is_recorded_before_the_tool_is_asked_and_the_result_after() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("done"))]);
    bench.toolbox().call(&bench.call(Some(Effect::Irreversible), None)).await.expect("answered");
    assert_eq!(*bench.tool.known_at_call.lock().expect("unpoisoned"), ["invocation_start", "tool_call"]);
    assert_eq!(bench.journal.records().last().expect("a record").entry.kind(), "tool_result");
}

#[tokio::test]
async fn a_recorded_result_is_given_again_without_asking() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("done"))]);
    for _ in 0..2 {
        let reply = bench.toolbox().call(&bench.call(None, None)).await.expect("answered");
        assert_eq!(reply.text, "done");
    }
    assert_eq!(bench.tool.count(), 1);
}

#[tokio::test]
async fn an_irreversible_call_in_doubt_parks_and_is_not_made_again() {
    for effect in [None, Some(Effect::Irreversible)] {
        let bench = Bench::new(vec![Ok(ToolReply::ok("done")), Ok(ToolReply::ok("twice!"))]);
        bench.toolbox().call(&bench.call(effect, None)).await.expect("answered");
        let after = bench.forget_result();
        let parked = after.toolbox().call(&after.call(effect, None)).await.expect_err("it is in doubt");
        assert!(matches!(&parked, CallError::Park(why) if why.contains("in doubt")), "{parked}");
        assert_eq!(after.tool.count(), 1);
    }
}

#[tokio::test]
async fn what_a_tool_is_called_now_does_not_undo_what_it_was_when_its_call_left() {
    for now in [Effect::Read, Effect::Idempotent] {
        let bench = Bench::new(vec![Ok(ToolReply::ok("done")), Ok(ToolReply::ok("twice!"))]);
        bench.toolbox().call(&bench.call(None, None)).await.expect("answered");
        let after = bench.forget_result();
        let parked = after.toolbox().call(&after.call(Some(now), None)).await.expect_err("it is in doubt");
        assert!(matches!(&parked, CallError::Park(why) if why.contains("in doubt")), "{now}: {parked}");
        assert_eq!(after.tool.count(), 1, "{now}");
    }
}

#[tokio::test]
async fn an_irreversible_call_that_times_out_parks_at_once() {
    let bench = Bench::new(vec![unknown(), Ok(ToolReply::ok("twice!"))]);
    let parked = bench.toolbox().call(&bench.call(None, None)).await.expect_err("it is in doubt");
    assert!(matches!(parked, CallError::Park(_)));
    assert_eq!(bench.tool.count(), 1);
}

#[tokio::test]
async fn calls_that_may_be_made_again_are_made_again_with_the_next_attempt() {
    for effect in [Effect::Read, Effect::Idempotent] {
        let bench = Bench::new(vec![Ok(ToolReply::ok("once")), Ok(ToolReply::ok("again"))]);
        bench.toolbox().call(&bench.call(Some(effect), None)).await.expect("answered");
        let after = bench.forget_result();
        let call = after.call(Some(effect), None);
        let reply = after.toolbox().call(&call).await.expect("answered");
        assert_eq!(reply.text, "again");
        let attempts: Vec<u32> = after
            .journal
            .records()
            .iter()
            .filter_map(|record| match record.entry {
                Entry::ToolCall { attempt, .. } => Some(attempt),
                _ => None,
            })
            .collect();
        assert_eq!(attempts, [1, 2], "{effect}");
        assert_eq!(call.idempotency_key(), bench.call(None, None).idempotency_key());
    }
}

#[tokio::test]
async fn a_reconcile_tool_settles_the_doubt_either_way() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("done"))]);
    bench.toolbox().call(&bench.call(None, Some("reconcile"))).await.expect("answered");
    let after = bench.forget_result();
    let reply = after.toolbox().call(&after.call(None, Some("reconcile"))).await.expect("settled");
    assert_eq!((reply.text.as_str(), after.tool.count()), ("it did", 1));
    let settled = after.journal.records().pop().expect("a record").entry;
    assert!(matches!(settled, Entry::ToolResult { settled_by: Some(by), .. } if by == "reconcile"));

    // The intent is there, and the tool never heard of it.
    let bench = Bench::new(vec![Ok(ToolReply::ok("now"))]);
    let intent = Entry::ToolCall {
        run: bench.run.clone(),
        step: StepId::call(0, 0),
        attempt: 1,
        tool: "act".into(),
        args: Map::new(),
        effect: Effect::Irreversible,
        notes: Map::new(),
    };
    bench.journal.push(intent).expect("pushed");
    let reply = bench.toolbox().call(&bench.call(None, Some("reconcile"))).await.expect("answered");
    assert_eq!((reply.text.as_str(), bench.tool.count()), ("now", 1));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_never_answers_is_given_up_and_the_model_is_told() {
    let bench = Bench::new(vec![unknown(), unknown(), unknown(), Ok(ToolReply::ok("too late"))]);
    let reply = bench.toolbox().call(&bench.call(Some(Effect::Read), None)).await.expect("answered");
    assert!(reply.is_error && reply.text.contains("3 times"), "{}", reply.text);
    assert_eq!(bench.tool.count(), 3);
}

#[tokio::test]
async fn a_models_reply_is_asked_for_once() {
    let bench = Bench::new(Vec::new());
    let model = Replay::new(Arc::clone(&bench.journal) as _).model(Arc::clone(&bench.tool) as _);
    for _ in 0..2 {
        let turn = Turn { run: bench.run(), step: StepId::turn(0), messages: Vec::new(), tools: Vec::new() };
        assert_eq!(model.reply(&turn).await.expect("answered").text, "hello");
    }
    assert_eq!(bench.tool.count(), 1);
}

#[tokio::test]
async fn a_call_in_doubt_parks_though_its_tool_is_not_there_any_more() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("done")), Ok(ToolReply::ok("twice!"))]);
    bench.toolbox().call(&bench.call(Some(Effect::Irreversible), None)).await.expect("answered");
    let after = bench.forget_result();
    let gone = ToolCall { spec: None, ..after.call(None, None) };
    let parked = after.toolbox().call(&gone).await.expect_err("it is in doubt");
    assert!(matches!(parked, CallError::Park(_)), "{parked}");
    assert_eq!(after.tool.count(), 1);
}

#[tokio::test]
async fn a_step_that_is_recorded_as_another_call_is_not_answered_with_its_result() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("done")), Ok(ToolReply::ok("twice!"))]);
    bench.toolbox().call(&bench.call(Some(Effect::Read), None)).await.expect("answered");
    let other_args = Map::from_iter([("id".to_owned(), serde_json::json!(7))]);
    for other in [
        ToolCall { args: other_args, ..bench.call(Some(Effect::Read), None) },
        ToolCall { name: "act_otherwise".into(), ..bench.call(Some(Effect::Read), None) },
    ] {
        let parked = bench.toolbox().call(&other).await.expect_err("it is another call");
        assert!(matches!(&parked, CallError::Park(why) if why.contains("another call")), "{parked}");
    }
    assert_eq!(bench.tool.count(), 1);
}

/// A run of which the end of the journal, with its last steps, was lost.
#[tokio::test]
async fn a_run_that_is_told_to_stop_leaves_no_intent_of_a_call_that_is_not_made() {
    for effect in [Effect::Read, Effect::Idempotent, Effect::Irreversible] {
        let bench = Bench::new(Vec::new());
        let call = bench.call(Some(effect), None);
        call.run.cancel().cancel();
        assert_eq!(bench.toolbox().call(&call).await, Err(CallError::Cancelled));
        assert_eq!((bench.tool.count(), bench.journal.records().len()), (0, 1), "only the run's start is recorded");
    }
}

#[tokio::test]
async fn a_call_that_failed_is_not_made_once_more_by_a_run_that_is_told_to_stop() {
    let bench = Bench::new(vec![unknown()]);
    let call = bench.call(Some(Effect::Idempotent), None);
    let cancel = call.run.cancel().clone();
    let tool = Arc::clone(&bench.tool);
    let stopped = async move {
        while tool.count() == 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let toolbox = bench.toolbox();
    let (result, ()) = tokio::join!(toolbox.call(&call), stopped);
    assert_eq!(result, Err(CallError::Cancelled));
    assert_eq!(bench.tool.count(), 1);
}

fn after_a_lost_end(bench: &Bench, effect: Effect, reconcile: Option<&str>, step: StepId) -> ToolCall {
    let call = ToolCall { step, ..bench.call(Some(effect), reconcile) };
    call.run.extension::<Tape>().lose_end();
    call
}

#[tokio::test]
async fn after_a_lost_end_an_irreversible_call_waits_though_no_record_tells_of_it() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("twice!"))]);
    let call = after_a_lost_end(&bench, Effect::Irreversible, None, StepId::call(0, 0));
    let parked = bench.toolbox().call(&call).await.expect_err("it may have left");
    assert!(matches!(&parked, CallError::Park(why) if why.contains("the end of the journal was lost")), "{parked}");
    assert_eq!(bench.tool.count(), 0);
    let fold = ProcessFold::of(&bench.journal.records());
    assert!(fold.open_runs[&bench.run].tape.in_doubt(&StepId::call(0, 0)), "an operator can settle it");
}

#[tokio::test]
async fn after_a_lost_end_a_reconcile_tool_says_whether_the_call_had_left() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("now"))]);
    let call = after_a_lost_end(&bench, Effect::Irreversible, Some("reconcile"), StepId::call(0, 0));
    assert_eq!(bench.toolbox().call(&call).await.expect("answered").text, "now");
    assert_eq!(bench.tool.count(), 1);
}

#[tokio::test]
async fn after_a_lost_end_calls_that_may_be_made_twice_are_made() {
    for effect in [Effect::Read, Effect::Idempotent] {
        let bench = Bench::new(vec![Ok(ToolReply::ok("done"))]);
        let call = after_a_lost_end(&bench, effect, None, StepId::call(0, 0));
        assert_eq!(bench.toolbox().call(&call).await.expect("answered").text, "done");
    }
}

#[tokio::test]
async fn only_the_first_turn_after_a_lost_end_is_in_doubt() {
    let bench = Bench::new(vec![Ok(ToolReply::ok("read")), Ok(ToolReply::ok("acted"))]);
    let read = after_a_lost_end(&bench, Effect::Read, None, StepId::call(2, 0));
    bench.toolbox().call(&read).await.expect("answered");
    let next = ToolCall { run: read.run.clone(), step: StepId::call(3, 0), ..bench.call(None, None) };
    assert_eq!(bench.toolbox().call(&next).await.expect("it cannot have left").text, "acted");
}
