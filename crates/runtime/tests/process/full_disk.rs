//! A disk without room: nothing new is taken on, nothing is lost, and orders are obeyed.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Act, Bench, SEGMENT};
use flyball_journal::{Fault, LifecycleState};
use flyball_runtime::{AgentRuntime, Control, ControlError, Delivery, ProcessSpec};
use flyball_triggers::Refusal;

/// What waits for room looks for it every second.
const SOON: Duration = Duration::from_secs(20);

fn spec() -> ProcessSpec {
    let mut spec = ProcessSpec::new("p");
    spec.delivery = Delivery { max_retries: 0, ..Delivery::default() };
    spec
}

#[tokio::test]
async fn on_a_full_disk_events_are_refused_and_all_goes_on_when_there_is_room() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    runtime.inject("p", bench.event("before")).await.expect("taken");
    bench.until(&runtime, |status| status.events.completed == 1).await;
    // What is there may stay, and nothing comes to it: the next segment cannot be made.
    bench.storage.set_faults(&[Fault::Capacity(2 * SEGMENT)]);
    let refused = fill_up(&bench, &runtime).await;
    assert_eq!(refused, ControlError::Refused(Refusal::NoRoom));
    assert!(runtime.process_status("p").await.expect("there is p").disk_full);
    bench.storage.set_faults(&[]);
    // Its own look at the disk is a second away, by its clock.
    bench.clock.advance(Duration::from_secs(2));
    bench.until(&runtime, |status| !status.disk_full && status.open_events == 0).await;
    runtime.inject("p", bench.event("after")).await.expect("there is room again");
    bench.until(&runtime, |status| status.open_events == 0).await;
    let status = runtime.process_status("p").await.expect("there is p");
    assert_eq!(status.events.completed, status.events.accepted, "every accepted event was handled: {status:#?}");
}

/// Offers large events until one is refused.
async fn fill_up(bench: &Bench, runtime: &Arc<AgentRuntime>) -> ControlError {
    for number in 0.. {
        let mut event = bench.event(&format!("fill {number}"));
        event.payload = serde_json::json!("x".repeat(100_000));
        if let Err(refused) = runtime.inject("p", event).await {
            return refused;
        }
        assert!(number < 1_000, "the disk never fills");
    }
    unreachable!()
}

#[tokio::test]
async fn an_order_to_stop_is_obeyed_though_there_is_no_room_to_record_it() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    bench.storage.set_faults(&[Fault::Full]);
    tokio::time::timeout(SOON, runtime.stop("p")).await.expect("soon").expect("it stops");
    assert_eq!(runtime.process_status("p").await.expect("there is p").state, LifecycleState::Stopped);
    bench.storage.set_faults(&[]);
    runtime.start("p").await.expect("it starts again");
    runtime.inject("p", bench.event("after")).await.expect("there is room again");
    bench.until(&runtime, |status| status.events.completed == 1).await;
}

#[tokio::test]
async fn a_process_that_is_started_again_waits_for_room() {
    let bench = Bench::new();
    let runtime = bench.runtime(spec(), Act::Say("done"));
    runtime.start("p").await.expect("it starts");
    // What the stop wrote waits for room too, and its start reads what stands before it.
    bench.storage.set_faults(&[Fault::Full]);
    runtime.stop("p").await.expect("it stops");
    let mut start = Box::pin(runtime.start("p"));
    let early = tokio::time::timeout(Duration::from_millis(300), &mut start).await;
    assert!(early.is_err(), "it must not be given up: {early:?}");
    bench.storage.set_faults(&[]);
    tokio::time::timeout(SOON, start).await.expect("soon").expect("it starts");
    runtime.inject("p", bench.event("after")).await.expect("there is room again");
    bench.until(&runtime, |status| status.events.completed == 1).await;
}
