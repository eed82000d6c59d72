//! A process through its public face: events in, runs, crashes, recovery.

#[path = "process/checkpoint.rs"]
mod checkpoint;
#[path = "process/delivery.rs"]
mod delivery;
#[path = "process/full_disk.rs"]
mod full_disk;
#[path = "process/pausing.rs"]
mod pausing;
mod support;

use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::Directive;
use flyball_journal::{Again, Entry, LifecycleState, Storage};
use flyball_runtime::{Control, ControlError, ProcessSpec, Restart, RestartPolicy};
use flyball_triggers::Refusal;
use serde_json::json;
use support::{Act, Bench};

#[tokio::test]
async fn an_event_is_durable_before_the_yes_and_handled_after_it() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    let receipt = runtime.inject("p", bench.event("e1")).await.expect("taken");
    assert!(!receipt.duplicate);
    assert!(
        bench
            .entries(&runtime)
            .iter()
            .any(|entry| matches!(entry, Entry::TriggerEvent { event, .. } if event.event_id == receipt.event_id))
    );
    bench.until(&runtime, |status| status.invocation_count == 1).await;
    assert_eq!(runtime.process_status("p").await.expect("status").state, LifecycleState::Awaiting);
}

#[tokio::test]
async fn an_event_that_is_nested_too_deep_is_refused_before_it_is_written() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    let nested = |levels| (1..levels).fold(json!([]), |inner, _| json!([inner]));
    let mut event = bench.event("deep");
    event.payload = nested(65);
    let refused = runtime.inject("p", event.clone()).await.expect_err("refused");
    assert_eq!(refused, ControlError::Refused(Refusal::TooDeep));
    event.payload = nested(64);
    runtime.inject("p", event).await.expect("taken");
    bench.until(&runtime, |status| status.invocation_count == 1).await;
}

#[tokio::test]
async fn the_same_event_twice_is_one_run() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    let (first, second) = tokio::join!(runtime.inject("p", bench.event("same")), runtime.inject("p", bench.event("same")));
    let (first, second) = (first.expect("taken"), second.expect("taken"));
    assert_eq!((first.event_id, first.duplicate), (second.event_id, !second.duplicate));
    let third = runtime.inject("p", bench.event("same")).await.expect("taken");
    assert!(third.duplicate);
    runtime.inject("p", bench.event("other")).await.expect("taken");
    bench.until(&runtime, |status| status.invocation_count == 2 && status.active_runs == 0).await;
}

#[tokio::test]
async fn a_run_cut_off_goes_on_under_its_own_id_after_a_restart() {
    let bench = Bench::new();
    let first = bench.runtime(ProcessSpec::new("p"), Act::Hang);
    first.start("p").await.expect("it starts");
    first.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&first, |status| status.active_runs == 1).await;
    bench.flush(&first).await;
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it starts");
    crashed.until(&second, |status| status.invocation_count == 1).await;
    let starts = crashed.entries(&second).into_iter().filter_map(|entry| match entry {
        Entry::InvocationStart { run, attempt, again, .. } => Some((run, attempt, again)),
        _ => None,
    });
    let starts: Vec<_> = starts.collect();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[0].0, starts[1].0, "it is the same run");
    assert_eq!((starts[0].1, starts[1].1), (1, 2));
    assert_eq!((starts[0].2, starts[1].2), (None, Some(Again::CutOff)));
}

#[tokio::test]
async fn runs_that_fail_in_a_row_fail_the_process_and_the_policy_starts_it_again() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.max_consecutive_failures = 2;
    spec.restart = Restart { policy: RestartPolicy::OnFailure, max_restarts: 1, backoff: Duration::from_millis(1) };
    let runtime = bench.runtime(spec, Act::Fail);
    runtime.start("p").await.expect("it starts");
    for name in ["e1", "e2"] {
        runtime.inject("p", bench.event(name)).await.expect("taken");
    }
    bench.until(&runtime, |status| status.restart_count == 1 && status.state == LifecycleState::Awaiting).await;
    // Started anew, it may fail as often again.
    for name in ["e3", "e4"] {
        runtime.inject("p", bench.event(name)).await.expect("taken");
    }
    bench.until(&runtime, |status| status.state == LifecycleState::Failed).await;
    let refused = runtime.inject("p", bench.event("e5")).await.expect_err("a failed process takes nothing");
    assert!(matches!(refused, ControlError::Refused(_)), "{refused}");
}

#[tokio::test]
async fn a_directive_pauses_or_stops_the_process() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Direct(Directive::pause("enough")));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.state == LifecycleState::Suspended && status.reason == "enough").await;
    runtime.inject("p", bench.event("e2")).await.expect("a suspended process takes events in");
    assert_eq!(runtime.process_status("p").await.expect("status").invocation_count, 1);
    runtime.resume("p").await.expect("resumed");
    bench.until(&runtime, |status| status.invocation_count == 2).await;
}

#[tokio::test]
async fn writes_of_a_run_come_back_with_its_end_and_not_without() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Write("count", json!(7)));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.invocation_count == 1).await;
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it starts");
    assert_eq!(crashed.state("count"), Some(json!(7)));
}

#[tokio::test]
async fn a_process_without_work_is_suspended_and_the_next_event_wakes_it() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.heartbeat_interval = Duration::from_millis(5);
    spec.idle_timeout = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec, Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    bench.clock.advance(Duration::from_secs(61));
    bench.until(&runtime, |status| status.state == LifecycleState::Suspended).await;
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.invocation_count == 1).await;
}

#[tokio::test]
async fn a_process_that_is_too_old_is_started_anew() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.heartbeat_interval = Duration::from_millis(5);
    spec.max_lifetime = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec, Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    bench.clock.advance(Duration::from_secs(61));
    bench.until(&runtime, |_| bench.builds(&runtime) == 2).await;
    runtime.inject("p", bench.event("e1")).await.expect("it is up again");
}

#[tokio::test]
async fn a_run_that_wants_a_stop_as_its_process_grows_too_old_is_obeyed() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.heartbeat_interval = Duration::from_millis(5);
    spec.max_lifetime = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec, Act::DirectLate(Directive::Stop { why: "the budget is spent".into() }));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.active_runs == 1).await;
    bench.clock.advance(Duration::from_secs(61));
    bench.until(&runtime, |status| status.over).await;
    let status = runtime.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str()), (LifecycleState::Stopped, "the budget is spent"));
    assert_eq!(bench.builds(&runtime), 1);
}

#[tokio::test]
async fn nothing_is_added_to_the_records_of_a_process_that_are_damaged() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    for key in ["e1", "e2"] {
        runtime.inject("p", bench.event(key)).await.expect("taken");
    }
    bench.until(&runtime, |status| status.invocation_count == 2).await;
    bench.flush(&runtime).await;
    let bench = bench.crash();
    let name = bench.storage.list().expect("listed").remove(0);
    let bytes = bench.storage.read(&name).expect("read");
    let at = bytes.windows(4).position(|window| window == b"\"e1\"").expect("the event is there");
    bench.storage.damage(&name, |bytes| bytes[at + 1] ^= 4);
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    assert_eq!(runtime.start_all().await.len(), 1);
    runtime.stop("p").await.expect("nothing is to be stopped");
    let refused = runtime.see_to_dead_letter("p", "e1", true, "").await.expect_err("nobody knows what it says");
    assert!(refused.to_string().contains("journal is damaged"), "{refused}");
    let status = runtime.process_status("p").await.expect("status");
    assert!(status.state == LifecycleState::Failed && status.reason.contains("damaged"), "{status:?}");
    runtime.shutdown().await;
    assert_eq!(bench.storage.list().expect("listed"), [name], "no record came after those");
}

#[tokio::test]
async fn a_name_nobody_has_is_answered_with_those_there_are() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    let error = runtime.start("q").await.expect_err("there is no q").to_string();
    assert!(error.contains("'q'") && error.contains("there are: p"), "{error}");
    let id = runtime.get_process("p").expect("there is p").process_id();
    runtime.start(&id).await.expect("its id finds it too");
    let _: Arc<dyn Control> = runtime;
}

#[tokio::test]
async fn a_checkpoint_bounds_what_the_next_start_reads_and_forgets_nothing() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Write("count", json!(7)));
    runtime.start("p").await.expect("it starts");
    let checkpoints = || bench.entries(&runtime).iter().filter(|entry| matches!(entry, Entry::Checkpoint { .. })).count();
    let mut events = 0;
    while checkpoints() == 0 {
        for _ in 0..50 {
            runtime.inject("p", bench.event(&format!("e{events}"))).await.expect("taken");
            events += 1;
        }
        bench.until(&runtime, |status| status.invocation_count == events).await;
        bench.flush(&runtime).await;
        assert!(events < 5_000, "no checkpoint came");
    }
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it starts");
    let status = second.process_status("p").await.expect("status");
    assert_eq!(status.invocation_count, events);
    assert_eq!(crashed.state("count"), Some(json!(7)));
    let again = second.inject("p", crashed.event("e0")).await.expect("taken");
    assert!(again.duplicate, "the dedup keys came along");
    assert!(matches!(crashed.entries(&second).first(), Some(Entry::Checkpoint { .. })), "recovery begins at the checkpoint");
}

#[tokio::test]
async fn a_pause_outlives_a_crash_and_ends_when_someone_asks_for_a_start() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Direct(Directive::pause("stuck")));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.state == LifecycleState::Suspended).await;
    runtime.inject("p", bench.event("e2")).await.expect("taken");
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it goes on");
    let status = second.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str()), (LifecycleState::Suspended, "stuck"));
    assert_eq!((status.invocation_count, status.pending_events), (1, 1));
    second.stop("p").await.expect("stopped");
    second.start("p").await.expect("someone asked for it");
    crashed.until(&second, |status| status.invocation_count == 2).await;
}

#[tokio::test]
async fn a_stop_while_a_restart_is_waited_for_is_recorded_and_is_the_end() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.max_consecutive_failures = 1;
    spec.restart = Restart { policy: RestartPolicy::OnFailure, max_restarts: 3, backoff: Duration::from_secs(3_600) };
    let runtime = bench.runtime(spec, Act::Fail);
    let watch = runtime.get_process("p").expect("there is p").watch();
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.state == LifecycleState::Failed).await;
    assert!(!watch.is_over(), "it will be started again");
    runtime.stop("p").await.expect("it stops");
    let status = runtime.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str(), status.over), (LifecycleState::Stopped, "asked to stop", true));
    assert!(watch.is_over());
    let last = bench.entries(&runtime).pop();
    assert!(matches!(last, Some(Entry::StateTransition { to_state: LifecycleState::Stopped, .. })), "{last:?}");
    runtime.start("p").await.expect("someone asked for it");
}

#[tokio::test]
async fn a_process_that_is_not_started_again_says_so() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.max_consecutive_failures = 1;
    let runtime = bench.runtime(spec, Act::Fail);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.state == LifecycleState::Failed && status.given_up).await;
}

#[tokio::test]
async fn a_write_from_outside_has_its_source_in_the_history_and_outlives_a_crash() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    let process = runtime.get_process("p").expect("there is p");
    assert!(process.put("alerts", json!(1), "external").await.is_err(), "it is not alive");
    process.start().await.expect("it starts");
    process.put("alerts", json!(1), "external").await.expect("written");
    assert_eq!(process.state_snapshot().expect("it is alive")["alerts"], json!(1));
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done")).get_process("p").expect("there is p");
    second.start().await.expect("it starts");
    let history = second.state_history("alerts");
    assert_eq!(history.iter().map(|entry| (&entry.value, entry.source.as_str())).collect::<Vec<_>>(), [(&json!(1), "external")]);
}
