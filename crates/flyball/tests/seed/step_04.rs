//! Step 4: everything is in the journal, and a process that was cut off goes on where it was.

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};

use flyball::core_agent::RunId;
use flyball::journal::{Entry, LifecycleState, ProcessFold};
use flyball::runtime::AgentProcess;
use flyball::triggers::{BusEvent, Handled, NotTaken, Pattern};
use serde_json::{Value, json};

use crate::support::{CONTENT, Reading, World, fire, in_state, kinds, run_times, runs, until};

const CRITICAL: &str = r"
name: critical
instructions: Critical monitoring agent.
journal: {level: full, backend: file}
context: {initial_state: {progress: none}}
triggers: [{type: cron, cron_expression: '*/5 * * * *'}]
";

const WORKS: &str = r"
rules:
  - when: {step: t0}
    call: [{tool: set_state, args: {key: progress, value: half}}]
  - when: {step: t1}
    call: [{tool: emit_event, args: {event_type: work.done}}]
  - when: {step: t2}
    say: the work is done
";

/// No rule ever answers, so every run fails.
const FAILS: &str = "rules: [{when: {step: never}, say: x}]";

/// Someone listens and never says that it took the event, so whoever emits it hangs.
async fn nobody_answers(world: &World) -> flyball::triggers::Subscription {
    let hang = |_: BusEvent| pending::<Result<Handled, NotTaken>>();
    listen(world, hang).await
}

async fn listen<F, A>(world: &World, handler: F) -> flyball::triggers::Subscription
where
    F: Fn(BusEvent) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Handled, NotTaken>> + Send + 'static,
{
    let pattern = Pattern::parse("work.done").expect("a pattern");
    world.runtime.event_bus().subscribe(&pattern, Arc::new(handler)).await.expect("it is subscribed")
}

/// Waits until so many calls have left.
async fn calls_left(world: &World, count: usize) {
    while world.read("critical").await.calls().len() < count {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// How often runs were begun, and which.
fn begun(reading: &Reading) -> Vec<(&RunId, u32)> {
    let starts = reading.records.iter().filter_map(|record| match &record.entry {
        Entry::InvocationStart { run, attempt, .. } => Some((run, *attempt)),
        _ => None,
    });
    starts.collect()
}

#[tokio::test]
async fn every_transition_event_step_and_end_is_in_the_journal_in_its_order() {
    let world = World::new();
    world.script(WORKS);
    let process = world.start(CRITICAL).await;
    world.minutes(2);
    runs(&process, 1).await;
    process.stop().await.expect("it stops");
    let expected = [
        "state_transition",
        "state_transition",
        // From when on an instant can be missed.
        "trigger_moved",
        "trigger_event",
        "invocation_start",
        "state_transition",
        "model_reply",
        "tool_call",
        "tool_result",
        "model_reply",
        "tool_call",
        "tool_result",
        "model_reply",
        "invocation_result",
        "state_transition",
        "state_transition",
        "state_transition",
    ];
    assert_eq!(kinds(&world.read("critical").await.records), expected);
}

#[tokio::test]
async fn a_run_that_a_crash_cut_off_is_finished_and_no_step_of_it_is_taken_twice() {
    let world = World::new();
    world.script(WORKS);
    let _hangs = nobody_answers(&world).await;
    let process = world.start(CRITICAL).await;
    fire(&process, json!({})).await;
    calls_left(&world, 2).await;

    let later = world.after_a_crash();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    let _listens = listen(&later, move |event: BusEvent| {
        hearing.lock().expect("no holder panics").push(event.event_id);
        async { Ok(Handled::Taken) }
    })
    .await;
    let process = later.start(CRITICAL).await;
    runs(&process, 1).await;

    let reading = later.read("critical").await;
    let (run, _) = begun(&reading)[0];
    assert_eq!(begun(&reading), [(run, 1), (run, 2)]);
    assert_eq!(reading.turns(), ["t0", "t1", "t2"], "a recorded reply is not asked for again");
    let tools: Vec<&str> = reading.calls().iter().map(|(tool, _)| *tool).collect();
    assert_eq!(tools, ["set_state", "emit_event", "emit_event"], "only the call in doubt is made again");
    assert_eq!(*heard.lock().expect("no holder panics"), [format!("{run}/t1.c0")], "under the key that it had");
    assert_eq!(reading.last_reply(), "the work is done");
    assert_eq!(later.context("critical").state().get("progress"), Some(json!("half")));
    let recovered = |record: &flyball::journal::Record| match &record.entry {
        Entry::Recovered { interrupted, pending_events, .. } => Some((interrupted.clone(), *pending_events)),
        _ => None,
    };
    assert_eq!(reading.records.iter().find_map(recovered), Some((vec![run.clone()], 0)));
}

#[tokio::test]
async fn an_event_that_was_taken_before_the_crash_is_handled_after_it() {
    let world = World::new();
    world.script(WORKS);
    let _hangs = nobody_answers(&world).await;
    let process = world.start(CRITICAL).await;
    fire(&process, json!({"n": 1})).await;
    fire(&process, json!({"n": 2})).await;
    calls_left(&world, 2).await;
    let later = world.after_a_crash();
    let process = later.start(CRITICAL).await;
    runs(&process, 2).await;
    assert_eq!(process.status().pending_events, 0);
}

#[tokio::test]
async fn an_irreversible_call_in_doubt_holds_its_run_and_is_not_made_again() {
    let world = World::new();
    world.script(WORKS);
    let manifest = format!("{CRITICAL}\ntools: {{emit_event: {{effect: irreversible}}}}");
    let _hangs = nobody_answers(&world).await;
    let process = world.start(&manifest).await;
    fire(&process, json!({})).await;
    calls_left(&world, 2).await;
    let later = world.after_a_crash();
    let process = later.start(&manifest).await;
    let status = until(&process, "the run is held", |status| !status.held_runs.is_empty()).await;
    assert!(status.state.is_alive());
    assert!(status.held_runs.values().next().is_some_and(|why| why.to_string().contains("in doubt")), "{status:?}");
    assert_eq!(later.read("critical").await.calls().len(), 2);
}

/// A copy of a directory as it is in this moment.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("it is there") {
        let entry = entry.expect("it can be listed");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("it can be copied");
    }
}

#[tokio::test]
async fn the_file_journal_is_lines_of_json_from_which_another_process_recovers() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let journal = dir.path().join("journal");
    let world = World::on_disk(&journal);
    world.script(WORKS);
    let process = world.start(CRITICAL).await;
    run_times(&process, 2).await;
    let live = world.read("critical").await;
    let copy = dir.path().join("copy");
    copied(&journal, &copy);

    let records = flyball::journal::read(&copy).expect("it can be read by whoever likes to");
    assert_eq!(records, live.records);
    let files = std::fs::read_dir(&copy).expect("it is there").map(|file| file.expect("it can be listed").path());
    for segment in files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")) {
        let text = std::fs::read_to_string(segment).expect("it is text");
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(serde_json::from_str::<Value>(line).is_ok_and(|value| value.is_object()), "{line}");
        }
    }
    let fold = ProcessFold::of(&records);
    assert_eq!((fold.state, fold.invocation_count), (LifecycleState::Awaiting, 2));
    assert_eq!(fold.entries, records.len() as u64);
    assert_eq!(json!(fold.context_state()), json!({"progress": "half"}));

    let later = World::on_disk(&copy);
    later.script(CONTENT);
    let process = later.start(CRITICAL).await;
    assert_eq!(process.status().invocation_count, 2);
    assert_eq!(later.context("critical").state().get("progress"), Some(json!("half")));
}

#[tokio::test]
async fn so_many_failed_runs_in_a_row_fail_the_process() {
    let world = World::new();
    world.script(FAILS);
    let process = world.start(&format!("{CRITICAL}\nconfig: {{max_consecutive_failures: 3}}")).await;
    let status = run_times(&process, 2).await;
    assert_eq!((status.state, status.consecutive_failures), (LifecycleState::Awaiting, 2));
    fire(&process, json!({})).await;
    let status = in_state(&process, LifecycleState::Failed).await;
    assert_eq!(status.consecutive_failures, 3);
    assert_eq!(status.reason, "3 runs in a row failed");
    assert_eq!(world.read("critical").await.errors().len(), 3);
}

#[tokio::test]
async fn a_crash_does_not_forget_the_failures_and_a_start_by_hand_does() {
    let world = World::new();
    world.script(FAILS);
    let process = world.start(CRITICAL).await;
    run_times(&process, 2).await;
    let later = world.after_a_crash();
    let process = later.start(CRITICAL).await;
    assert_eq!(process.status().consecutive_failures, 2);
    fire(&process, json!({})).await;
    in_state(&process, LifecycleState::Failed).await;
    process.start().await.expect("it may be started again");
    assert_eq!(process.status().consecutive_failures, 0);
    assert_eq!(run_times(&process, 2).await.state, LifecycleState::Awaiting);
}

#[tokio::test]
async fn a_run_that_succeeds_sets_the_failures_back() {
    let world = World::new();
    world.script("rules: [{when: {event: good}, say: well}]");
    let process = world.start(CRITICAL).await;
    run_times(&process, 2).await;
    fire(&process, json!("good")).await;
    assert_eq!(runs(&process, 3).await.consecutive_failures, 0);
    assert_eq!(run_times(&process, 2).await.state, LifecycleState::Awaiting);
}

const RESTARTS: &str = r"
config: {max_consecutive_failures: 3, restart_policy: on_failure, max_restarts: 5, restart_backoff: 0.01}
";

/// Fires at the process in its life number `life` until that life is over. Gives how many runs that took.
async fn fail_a_life(process: &AgentProcess, life: u32) -> u64 {
    let alive = |status: &flyball::runtime::ProcessStatus| status.restart_count == life && status.state.is_alive();
    let first = until(process, &format!("restart {life}"), alive).await.invocation_count;
    while alive(&process.status()) {
        let before = process.status().invocation_count;
        fire(process, json!({})).await;
        until(process, "the run failed", |status| status.invocation_count > before && status.active_runs == 0).await;
    }
    process.status().invocation_count - first
}

#[tokio::test]
async fn a_failed_process_is_started_again_up_to_its_limit() {
    let world = World::new();
    world.script(FAILS);
    let process = world.start(&format!("{CRITICAL}{RESTARTS}")).await;
    for life in 0..=5 {
        assert_eq!(fail_a_life(&process, life).await, 3, "each life may fail as often");
    }
    let status = in_state(&process, LifecycleState::Failed).await;
    assert_eq!(status.restart_count, 5);
    let starts = world.read("critical").await.states().into_iter().filter(|state| *state == LifecycleState::Starting).count();
    assert_eq!(starts, 6, "one by hand and five by itself");
}

#[tokio::test]
async fn without_a_restart_policy_a_failed_process_stays_failed() {
    let world = World::new();
    world.script(FAILS);
    let process = world.start(CRITICAL).await;
    assert_eq!(fail_a_life(&process, 0).await, 3);
    world.minutes(60);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(process.status().state, LifecycleState::Failed);
    assert_eq!(world.read("critical").await.states().last(), Some(&LifecycleState::Failed));
}
