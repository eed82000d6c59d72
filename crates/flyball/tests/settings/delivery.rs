//! What a manifest says of events whose runs fail or take too long, and of events that wait.

use flyball::core_agent::{Clock, TriggerEvent};
use flyball::journal::Entry;
use flyball::runtime::Control;
use serde_json::json;

use super::standstill::{EMITS, Standstill};
use crate::support::{CONTENT, World, fire, free_port, in_state, runs, until};

/// A process with these settings of `trigger_delivery`, which only good events do not fail.
fn picky(delivery: &str) -> String {
    format!("name: picky\nconfig: {{max_consecutive_failures: 100, trigger_delivery: {{{delivery}}}}}")
}

const ONLY_GOOD: &str = "rules: [{when: {event: good}, say: well}]";

#[tokio::test]
async fn an_event_that_waits_longer_than_max_age_expires() {
    let world = World::new();
    world.script(CONTENT);
    let process = world.start(&picky("max_age: 90")).await;
    world.runtime.pause("picky", "lunch").await.expect("it pauses");
    for payload in ["old", "young"] {
        let event = TriggerEvent::new("test", "test", world.clock.now(), json!(payload));
        process.inject(event).await.expect("it is taken");
        world.minutes(1);
    }
    until(&process, "one is too old", |status| status.events.expired == 1).await;
    world.runtime.resume("picky").await.expect("it goes on");
    let status = until(&process, "the other is handled", |status| status.open_events == 0).await;
    assert_eq!((status.events.expired, status.events.completed), (1, 1));
    let reading = world.read("picky").await;
    let why = reading.records.iter().find_map(|record| match &record.entry {
        Entry::Expired { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("it waited for 120 s, and 90 are allowed (max_age)"));
}

#[tokio::test]
async fn the_wait_before_a_retry_doubles_up_to_retry_backoff_max() {
    let world = World::new();
    world.script(ONLY_GOOD);
    let process = world.start(&picky("max_retries: 3, retry_backoff: 10, retry_backoff_max: 25")).await;
    fire(&process, json!("bad")).await;
    for (failures, wait) in [(1, 10), (2, 20), (3, 25)] {
        let failed = async || world.read("picky").await.errors().len() == failures;
        while !failed().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let reading = world.read("picky").await;
        let retry_at = reading.records.iter().rev().find_map(|record| match &record.entry {
            Entry::Error { retry_at, .. } => Some(*retry_at),
            _ => None,
        });
        let in_wait = world.clock.now() + chrono::TimeDelta::seconds(wait);
        assert_eq!(retry_at, Some(Some(in_wait)), "after {failures} failures");
        world.wait_for(in_wait);
    }
    until(&process, "it is given up", |status| status.events.dead_lettered == 1).await;
}

/// The events of which runs ended well, after one failed that is to be tried again.
async fn handled_meanwhile(strict_order: bool) -> Vec<String> {
    let world = World::new();
    world.script(ONLY_GOOD);
    let process = world.start(&picky(&format!("max_retries: 1, retry_backoff: 10, strict_order: {strict_order}"))).await;
    fire(&process, json!("bad")).await;
    fire(&process, json!("good, of the same trigger")).await;
    let other = TriggerEvent::new("other", "test", chrono::Utc::now(), json!("good, of another"));
    process.inject(other).await.expect("it is taken");
    // One run is on at a time, so when this last one has been handled, the one before has, or waits.
    until(&process, "the other trigger's", |status| {
        status.active_runs == 0 && status.events.completed == if strict_order { 1 } else { 2 }
    })
    .await;
    let reading = world.read("picky").await;
    let done: Vec<&str> = reading
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::InvocationResult { event_id, .. } => Some(event_id.as_str()),
            _ => None,
        })
        .collect();
    let payload = |id: &str| reading.events().iter().find(|event| event.event_id == id).expect("it was taken").payload.clone();
    let done = done.into_iter().map(|id| payload(id).as_str().expect("a text").to_owned()).collect();
    world.clock.advance(std::time::Duration::from_secs(10));
    until(&process, "all have an end", |status| status.open_events == 0).await;
    assert_eq!((process.status().events.completed, process.status().events.dead_lettered), (2, 1));
    done
}

#[tokio::test]
async fn in_strict_order_an_event_waits_for_one_before_it_that_is_tried_again() {
    assert_eq!(handled_meanwhile(false).await, ["good, of the same trigger", "good, of another"]);
    assert_eq!(handled_meanwhile(true).await, ["good, of another"]);
}

#[tokio::test]
async fn more_events_than_may_wait_are_refused_before_they_are_taken() {
    let (world, port) = (World::new(), free_port());
    world.script(CONTENT);
    let trigger = format!("triggers: [{{type: webhook, webhook_port: {port}}}]");
    let process = world.start(&format!("{}\n{trigger}", picky("max_pending: 2"))).await;
    world.runtime.pause("picky", "lunch").await.expect("it pauses");
    flyball::core_agent::install_tls_provider();
    let client = reqwest::Client::new();
    let post = async || {
        let answer = client.post(format!("http://127.0.0.1:{port}/webhook")).body("{}").send().await.expect("it answers");
        (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
    };
    assert_eq!([post().await, post().await, post().await], [(202, false), (202, false), (429, true)]);
    world.runtime.resume("picky").await.expect("it goes on");
    runs(&process, 2).await;
    assert_eq!(post().await.0, 202, "there is room again");
}

#[tokio::test]
async fn a_run_that_takes_longer_than_max_invocation_time_has_failed() {
    let world = World::new();
    world.script(EMITS);
    let _nobody_answers = Standstill::of(&world).await;
    let process = world.start("name: slow\nconfig: {max_invocation_time: 0.25, max_consecutive_failures: 1}").await;
    fire(&process, json!({})).await;
    in_state(&process, flyball::journal::LifecycleState::Failed).await;
    assert_eq!(world.read("slow").await.errors(), ["the run took longer than 0.25 s (max_invocation_time)"]);
}
