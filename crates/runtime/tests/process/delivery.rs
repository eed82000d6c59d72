//! What becomes of an event whose run fails, or that has to wait; and that none is lost count of.

use std::time::Duration;

use crate::support::{Act, Bench};
use flyball_core_agent::Clock;
use flyball_journal::{Again, Entry, EventCounts, LifecycleState};
use flyball_runtime::{AgentRuntime, Control, ControlError, Delivery, ProcessSpec, ProcessStatus};
use flyball_triggers::Refusal;

fn spec(delivery: Delivery) -> ProcessSpec {
    let mut spec = ProcessSpec::new("p");
    spec.max_consecutive_failures = 100;
    spec.delivery = delivery;
    spec
}

fn retries(max_retries: u32) -> Delivery {
    Delivery { max_retries, retry_backoff: Duration::from_secs(10), ..Delivery::default() }
}

/// Every event that was accepted has an end or is open.
fn balance(status: &ProcessStatus) -> EventCounts {
    let counts = status.events;
    assert_eq!(counts.accepted, counts.ended() + status.open_events as u64, "{status:#?}");
    counts
}

async fn status(runtime: &AgentRuntime) -> ProcessStatus {
    runtime.process_status("p").await.expect("there is p")
}

#[tokio::test]
async fn a_failed_run_is_tried_again_after_its_wait_and_counts_as_one() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(retries(2)), Act::FailFirst(2));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("a")).await.expect("taken");
    let failed = |count| {
        let bench = &bench;
        let runtime = &runtime;
        async move {
            let so_often =
                |entries: &[Entry]| entries.iter().filter(|entry| matches!(entry, Entry::Error { .. })).count() == count;
            bench.until_async(|| async { so_often(&bench.entries(runtime)) }).await;
        }
    };
    failed(1).await;
    bench.clock.advance(Duration::from_secs(9));
    bench.until(&runtime, |status| status.active_runs == 0).await;
    failed(1).await;
    bench.clock.advance(Duration::from_secs(1));
    failed(2).await;
    bench.clock.advance(Duration::from_secs(20));
    bench.until(&runtime, |status| status.invocation_count == 1).await;
    let status = status(&runtime).await;
    assert_eq!((status.consecutive_failures, balance(&status).completed), (0, 1));
    let attempts = bench.entries(&runtime).into_iter().filter_map(|entry| match entry {
        Entry::InvocationStart { run, attempt, .. } => Some((run, attempt)),
        _ => None,
    });
    let attempts: Vec<_> = attempts.collect();
    assert_eq!(attempts.iter().map(|(_, attempt)| *attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(attempts.iter().all(|(run, _)| *run == attempts[0].0), "under one id: {attempts:?}");
}

#[tokio::test]
async fn a_run_that_panics_is_tried_again_and_is_a_dead_letter_in_the_end_and_the_process_lives_on() {
    let bench = Bench::new();
    let mut spec = ProcessSpec::new("p");
    spec.delivery.max_retries = 1;
    spec.delivery.retry_backoff = Duration::ZERO;
    let runtime = bench.runtime(spec, Act::Panic);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("e1")).await.expect("taken");
    bench.until(&runtime, |status| status.events.dead_lettered == 1).await;
    let status = runtime.process_status("p").await.expect("status");
    assert_eq!((status.state, status.consecutive_failures), (LifecycleState::Awaiting, 1), "{}", status.reason);
    let errors: Vec<String> = bench.entries(&runtime).into_iter().filter_map(failure).collect();
    assert_eq!(errors, ["the run panicked: nobody thought of this"; 2]);
    let again = bench.entries(&runtime).into_iter().filter_map(|entry| match entry {
        Entry::InvocationStart { again, .. } => Some(again),
        _ => None,
    });
    assert_eq!(again.collect::<Vec<_>>(), [None, Some(Again::Failed { times: 1, of: 2 })]);
}

fn failure(entry: Entry) -> Option<String> {
    match entry {
        Entry::Error { error, .. } => Some(error),
        _ => None,
    }
}

#[tokio::test]
async fn a_retry_outlives_a_crash() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(retries(1)), Act::Fail);
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("a")).await.expect("taken");
    bench.until_async(|| async { bench.entries(&runtime).iter().any(|entry| matches!(entry, Entry::Error { .. })) }).await;
    let after = bench.crash();
    let runtime = after.runtime(spec(retries(1)), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    assert_eq!(status(&runtime).await.invocation_count, 0, "its time has not come");
    after.clock.advance(Duration::from_secs(11));
    after.until(&runtime, |status| status.events.completed == 1).await;
}

#[tokio::test]
async fn what_fails_for_good_is_a_dead_letter_until_someone_sees_to_it() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(retries(0)), Act::FailFirst(3));
    runtime.start("p").await.expect("it starts");
    let mut ids = Vec::new();
    for key in ["a", "b", "c"] {
        ids.push(runtime.inject("p", bench.event(key)).await.expect("taken").event_id);
    }
    bench.until(&runtime, |status| status.events.dead_lettered == 3).await;
    assert_eq!(status(&runtime).await.consecutive_failures, 3);
    runtime.see_to_dead_letter("p", &ids[0], true, "mended").await.expect("it is handled once more");
    bench.until(&runtime, |status| status.events.completed == 1).await;
    runtime.see_to_dead_letter("p", &ids[1], false, "never mind").await.expect("it is given up");
    let status = status(&runtime).await;
    let counts = balance(&status);
    assert_eq!((counts.completed, counts.cancelled, counts.dead_lettered), (1, 1, 1));
    let again = runtime.see_to_dead_letter("p", &ids[0], true, "").await.expect_err("it is none any more");
    assert!(matches!(&again, ControlError::State(why) if why.contains("dlq list")), "{again}");
    // It was taken once, and is not taken again.
    assert!(runtime.inject("p", bench.event("a")).await.expect("known").duplicate);
    let after = bench.crash();
    let runtime = after.runtime(spec(retries(0)), Act::Say("done"));
    assert_eq!(runtime.process_status("p").await.expect("there is p").events, counts, "a crash changes no count");
}

#[tokio::test]
async fn a_dead_letter_can_be_seen_to_while_its_process_is_stopped() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(retries(0)), Act::FailFirst(1));
    runtime.start("p").await.expect("it starts");
    let id = runtime.inject("p", bench.event("a")).await.expect("taken").event_id;
    bench.until(&runtime, |status| status.events.dead_lettered == 1).await;
    runtime.stop("p").await.expect("it stops");
    runtime.see_to_dead_letter("p", &id, true, "").await.expect("it is recorded");
    runtime.start("p").await.expect("it starts");
    bench.until(&runtime, |status| status.events.completed == 1).await;
}

#[tokio::test]
async fn each_time_a_dead_letter_is_tried_again_it_has_a_run_of_its_own_however_old_it_is() {
    let bench = Bench::new();
    let max_age = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec(Delivery { max_age, ..retries(0) }), Act::Fail);
    runtime.start("p").await.expect("it starts");
    let id = runtime.inject("p", bench.event("a")).await.expect("taken").event_id;
    for times in 1..=3 {
        bench.until(&runtime, |status| status.events.dead_lettered == 1 && status.invocation_count == times).await;
        bench.clock.advance(Duration::from_secs(3_600));
        runtime.see_to_dead_letter("p", &id, true, "once more").await.expect("it is handled once more");
    }
    bench.until(&runtime, |status| status.events.dead_lettered == 1 && status.invocation_count == 4).await;
    let begun = bench.entries(&runtime).into_iter().filter_map(|entry| match entry {
        Entry::InvocationStart { run, .. } => Some(run),
        _ => None,
    });
    assert_eq!(begun.collect::<std::collections::BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn an_event_that_waited_too_long_expires_though_the_process_is_paused() {
    let bench = Bench::new();
    let max_age = Some(Duration::from_secs(60));
    let runtime = bench.runtime(spec(Delivery { max_age, ..Delivery::default() }), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    runtime.pause("p", "lunch").await.expect("it pauses");
    runtime.inject("p", bench.event("a")).await.expect("taken");
    bench.clock.advance(Duration::from_secs(50));
    runtime.inject("p", bench.event("b")).await.expect("taken");
    bench.clock.advance(Duration::from_secs(20));
    bench.until(&runtime, |status| status.events.expired == 1).await;
    runtime.resume("p").await.expect("it goes on");
    bench.until(&runtime, |status| status.events.completed == 1).await;
    balance(&status(&runtime).await);
}

#[tokio::test]
async fn more_bytes_than_may_wait_are_refused_and_taken_when_there_is_room() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(retries(0)), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    runtime.pause("p", "lunch").await.expect("it pauses");
    let large = |number: u32| {
        let mut event = bench.event(&number.to_string());
        event.payload = serde_json::json!("x".repeat(8 << 20));
        event
    };
    let mut taken = 0;
    let refused = loop {
        match runtime.inject("p", large(taken)).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, ControlError::Refused(Refusal::Full { .. })), "{refused}");
    assert!((2..20).contains(&taken), "{taken} events of 8 MiB waited");
    runtime.resume("p").await.expect("it goes on");
    bench.until(&runtime, |status| status.open_events == 0).await;
    runtime.inject("p", large(taken)).await.expect("there is room again");
}

#[tokio::test]
async fn so_many_events_may_wait_as_the_operator_says() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(Delivery { max_pending: 3, ..retries(0) }), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    runtime.pause("p", "lunch").await.expect("it pauses");
    for number in 0..3 {
        runtime.inject("p", bench.event(&number.to_string())).await.expect("there is room");
    }
    let refused = runtime.inject("p", bench.event("3")).await.expect_err("no more may wait");
    assert!(matches!(refused, ControlError::Refused(Refusal::Full { waiting: 3 })), "{refused}");
    runtime.resume("p").await.expect("it goes on");
    bench.until(&runtime, |status| status.open_events == 0).await;
    runtime.inject("p", bench.event("3")).await.expect("there is room again");
}

#[tokio::test]
async fn the_wait_before_a_retry_doubles_up_to_a_limit_and_ends() {
    let delivery = Delivery { max_retries: 4, retry_backoff_max: Duration::from_secs(30), ..retries(4) };
    let now = Bench::new().clock.now();
    let waits: Vec<Option<i64>> =
        (1..=5).map(|failures| delivery.retry_at(failures, now).map(|at| (at - now).num_seconds())).collect();
    assert_eq!(waits, [Some(10), Some(20), Some(30), Some(30), None]);
    assert_eq!(retries(0).retry_at(1, now), None);
}
