//! Pauses: on record before anyone is told, and there until someone ends them.

use std::sync::Arc;
use std::time::Duration;

use flyball_core_agent::{Clock, Directive};
use flyball_journal::LifecycleState;
use flyball_runtime::{AgentRuntime, Control, ProcessSpec, Restart, RestartPolicy};

use crate::support::{Act, Bench};

#[tokio::test]
async fn a_pause_is_on_record_before_it_is_answered_though_a_run_is_on() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Hang);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.active_runs == 1).await;
    runtime.pause("p", "lunch").await.expect("paused");
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it goes on");
    let status = second.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str()), (LifecycleState::Suspended, "lunch"));
    assert_eq!(status.invocation_count, 0, "what was cut off waits too");
}

#[tokio::test]
async fn the_end_of_a_pause_is_on_record_before_it_is_answered() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Hang);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.active_runs == 1).await;
    runtime.pause("p", "lunch").await.expect("paused");
    runtime.resume("p").await.expect("resumed");
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it goes on");
    crashed.until(&second, |status| status.invocation_count == 1).await;
    // The same while nothing is on.
    second.pause("p", "tea").await.expect("paused");
    second.resume("p").await.expect("resumed");
    let crashed = crashed.crash();
    let third = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    third.start("p").await.expect("it goes on");
    assert_eq!(third.process_status("p").await.expect("status").state, LifecycleState::Awaiting);
}

#[tokio::test]
async fn a_pause_takes_the_place_of_an_earlier_one_on_record_too() {
    let bench = Bench::new();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Direct(Directive::pause("over budget")));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.reason == "over budget").await;
    runtime.pause("p", "lunch").await.expect("paused");
    let crashed = bench.crash();
    let second = crashed.runtime(ProcessSpec::new("p"), Act::Say("done"));
    second.start("p").await.expect("it goes on");
    assert_eq!(second.process_status("p").await.expect("status").reason, "lunch");
}

#[tokio::test]
async fn a_pause_outlives_the_end_of_a_lifetime_and_not_a_stop() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.heartbeat_interval = Duration::from_millis(5);
    spec.max_lifetime = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec, Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    runtime.pause("p", "lunch").await.expect("paused");
    bench.clock.advance(Duration::from_secs(61));
    let suspended = |status: &flyball_runtime::ProcessStatus| status.state == LifecycleState::Suspended;
    bench.until(&runtime, |status| suspended(status) && starts(&bench, &runtime) == 2).await;
    assert_eq!(runtime.process_status("p").await.expect("status").reason, "lunch");
    runtime.stop("p").await.expect("stopped");
    runtime.start("p").await.expect("someone asked for it");
    assert_eq!(runtime.process_status("p").await.expect("status").state, LifecycleState::Awaiting);
}

#[tokio::test]
async fn a_pause_outlives_a_restart_after_a_failure() {
    let bench = Bench::new();
    let runtime = paused_and_about_to_fail(&bench, RestartPolicy::OnFailure, Duration::from_millis(1)).await;
    bench.until(&runtime, |status| status.restart_count == 1 && status.state == LifecycleState::Suspended).await;
    assert_eq!(runtime.process_status("p").await.expect("status").reason, "lunch");
}

#[tokio::test]
async fn a_pause_outlives_a_crash_while_a_restart_is_waited_for() {
    let bench = Bench::new();
    let runtime = paused_and_about_to_fail(&bench, RestartPolicy::OnFailure, Duration::from_secs(60)).await;
    bench.until(&runtime, |status| status.state == LifecycleState::Failed).await;
    bench.flush(&runtime).await;
    let bench = bench.crash();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    assert!(runtime.start_all().await.is_empty());
    let status = runtime.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str()), (LifecycleState::Suspended, "lunch"));
}

#[tokio::test]
async fn a_pause_that_ends_by_itself_takes_the_place_of_none_that_does_not() {
    let bench = Bench::new();
    let until = Some(bench.clock.now() + chrono::TimeDelta::hours(1));
    let runtime =
        bench.runtime(ProcessSpec::new("p"), Act::DirectLate(Directive::Pause { why: "the day's budget".into(), until }));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.active_runs == 1).await;
    runtime.pause("p", "lunch").await.expect("paused");
    bench.until(&runtime, |status| status.invocation_count == 1 && status.active_runs == 0).await;
    bench.clock.advance(Duration::from_secs(7_200));
    runtime.inject("p", bench.event("e2")).await.expect("taken");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let paused = |status: &flyball_runtime::ProcessStatus| (status.state, status.reason.clone(), status.invocation_count);
    let lunch = (LifecycleState::Suspended, "lunch".to_owned(), 1);
    assert_eq!(paused(&runtime.process_status("p").await.expect("status")), lunch);
    // And so it is on record.
    bench.flush(&runtime).await;
    let bench = bench.crash();
    let runtime = bench.runtime(ProcessSpec::new("p"), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    assert_eq!(paused(&runtime.process_status("p").await.expect("status")), lunch);
}

#[tokio::test]
async fn a_pause_that_follows_upon_an_idle_one_outlives_a_crash() {
    let bench = Bench::new();
    let until = Some(bench.clock.now() + chrono::TimeDelta::hours(1));
    let mut spec = ProcessSpec::new("p");
    spec.heartbeat_interval = Duration::from_millis(5);
    spec.idle_timeout = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec.clone(), Act::Direct(Directive::Pause { why: "the day's budget".into(), until }));
    runtime.start("p").await.expect("it starts");
    bench.clock.advance(Duration::from_secs(61));
    bench.until(&runtime, |status| status.state == LifecycleState::Suspended).await;
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    let spent = |status: &flyball_runtime::ProcessStatus| {
        (status.state, status.reason.as_str()) == (LifecycleState::Suspended, "the day's budget")
    };
    bench.until(&runtime, spent).await;
    bench.flush(&runtime).await;
    let bench = bench.crash();
    let runtime = bench.runtime(spec, Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    assert!(spent(&runtime.process_status("p").await.expect("status")));
}

#[tokio::test]
async fn to_stop_a_process_that_has_failed_ends_its_pause() {
    let bench = Bench::new();
    let runtime = paused_and_about_to_fail(&bench, RestartPolicy::Never, Duration::ZERO).await;
    bench.until(&runtime, |status| status.given_up).await;
    runtime.stop("p").await.expect("stopped");
    let status = runtime.process_status("p").await.expect("status");
    assert_eq!((status.state, status.reason.as_str()), (LifecycleState::Stopped, "asked to stop"));
    runtime.start("p").await.expect("someone asked for it");
    assert_eq!(runtime.process_status("p").await.expect("status").state, LifecycleState::Awaiting);
}

/// Paused while a run is on, with which it will fail, and then be started again.
async fn paused_and_about_to_fail(bench: &Bench, policy: RestartPolicy, backoff: Duration) -> Arc<AgentRuntime> {
    let mut spec = ProcessSpec::new("p");
    (spec.concurrency, spec.max_consecutive_failures) = (2, 1);
    spec.restart = Restart { policy, max_restarts: 1, backoff };
    spec.max_invocation_time = Some(Duration::from_millis(300));
    let runtime = bench.runtime(spec, Act::Hang);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.active_runs == 1).await;
    runtime.pause("p", "lunch").await.expect("paused");
    runtime
}

/// How often it was started.
fn starts(bench: &Bench, runtime: &AgentRuntime) -> usize {
    let starting = |entry: &&flyball_journal::Entry| {
        matches!(entry, flyball_journal::Entry::StateTransition { to_state: LifecycleState::Starting, .. })
    };
    bench.entries(runtime).iter().filter(starting).count()
}
