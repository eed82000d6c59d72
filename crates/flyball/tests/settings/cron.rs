//! What a manifest says of a schedule: its zone, its delay, and what becomes of instants that were missed or come
//! too early.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flyball::core_agent::Clock;
use flyball::runtime::{AgentProcess, Control, TriggerStatus};

use super::standstill::{EMITS, Standstill};
use crate::support::{CONTENT, World, at, eventually, runs, until};

/// A process that is woken every full hour, with more settings of its trigger, each after a comma.
fn hourly(more: &str) -> String {
    format!("name: hourly\nconfig: {{concurrency: 3}}\ntriggers: [{{type: cron, cron_expression: '0 * * * *'{more}}}]")
}

/// When the trigger fires next.
async fn next(process: &AgentProcess) -> DateTime<Utc> {
    let armed = until(process, "its timer", |status| status.triggers[0].next.is_some()).await;
    armed.triggers[0].next.expect("it is armed")
}

/// The instants that woke the agent, as hours of the day.
async fn hours(world: &World) -> Vec<u32> {
    let reading = world.read("hourly").await;
    let instant = |event: &&flyball::core_agent::TriggerEvent| at(event.payload["scheduled_time"].as_str().expect("a time"));
    reading.events().iter().map(|event| chrono::Timelike::hour(&instant(event))).collect()
}

/// What woke the agent after it was down from 08:58 to 13:28, and what its trigger shows then.
async fn after_half_a_day(more: &str, woken: u64, skipped: u64) -> (Vec<u32>, TriggerStatus) {
    let world = World::new();
    world.script(CONTENT);
    world.start(&hourly(more)).await;
    // From here on instants can be missed.
    while !crate::support::kinds(&world.read("hourly").await.records).contains(&"trigger_moved") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let later = world.after_a_crash();
    later.minutes(4 * 60 + 30);
    let process = later.start(&hourly(more)).await;
    let what = format!("{woken} of 5 with '{more}'");
    let seen_to = |status: &TriggerStatus| (status.fired, status.skipped) == (woken, skipped);
    let status = until(&process, &what, |status| seen_to(&status.triggers[0]) && status.open_events == 0).await;
    (hours(&later).await, status.triggers[0].clone())
}

#[tokio::test]
async fn of_the_instants_that_were_missed_those_fire_that_the_manifest_wants() {
    for (more, wanted) in [
        (", missed: skip", vec![]),
        (", missed: latest", vec![13]),
        (", missed: all", vec![9, 10, 11, 12, 13]),
        (", missed: all, missed_cap: 2", vec![12, 13]),
        (", missed: all, missed_max_age: 10800", vec![11, 12, 13]),
        (", missed: latest, missed_max_age: 600", vec![]),
        ("", vec![13]),
    ] {
        let skipped = 5 - wanted.len() as u64;
        let (woken, shown) = after_half_a_day(more, wanted.len() as u64, skipped).await;
        assert_eq!(woken, wanted, "{more}");
        let why = shown.last_skipped.unwrap_or_default();
        assert_eq!(why.contains("missed, up to 2026-03-02T"), skipped > 0, "{more}: {why}");
    }
}

/// Three instants come while nothing is handled. Gives how many were let pass, and how many runs are on at once
/// as soon as they may begin.
async fn three_at_once(more: &str, taken: u64, on_at_once: usize) {
    let world = World::new();
    world.script(EMITS);
    let standstill = Standstill::of(&world).await;
    let process = world.start(&hourly(more)).await;
    world.runtime.pause("hourly", "to see them come").await.expect("it pauses");
    for hour in 1..=3 {
        assert_eq!(next(&process).await, at("2026-03-02T08:00:00Z") + TimeDelta::hours(hour), "{more}");
        world.wait_for(at("2026-03-02T08:00:00Z") + TimeDelta::hours(hour));
        let came = |status: &flyball::runtime::ProcessStatus| status.triggers[0].fired + status.triggers[0].skipped;
        until(&process, "an instant", |status| came(status) == hour as u64).await;
    }
    let status = process.status();
    assert_eq!((status.triggers[0].fired, status.pending_events as u64), (taken, taken), "{more}");
    world.runtime.resume("hourly").await.expect("it goes on");
    eventually(&format!("{on_at_once} runs at once"), || standstill.waiting() >= on_at_once).await;
    // Were more to be on at once, they would be here by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(standstill.waiting(), on_at_once, "{more}");
    standstill.end();
    runs(&process, taken).await;
}

#[tokio::test]
async fn instants_that_come_while_one_is_handled_are_let_pass_queued_or_handled_beside_it_as_the_manifest_says() {
    three_at_once("", 1, 1).await;
    three_at_once(", overlap: skip", 1, 1).await;
    three_at_once(", overlap: queue", 3, 1).await;
    three_at_once(", overlap: parallel", 3, 3).await;
}

#[tokio::test]
async fn a_schedule_is_in_its_zone() {
    let world = World::new();
    world.script(CONTENT);
    let manifest = "name: hourly\ntriggers: [{type: cron, cron_expression: '30 9 * * *', cron_timezone: America/New_York}]";
    let process = world.start(manifest).await;
    assert_eq!(next(&process).await, at("2026-03-02T14:30:00Z"));
    world.wait_for(at("2026-03-02T14:30:00Z"));
    runs(&process, 1).await;
    let reading = world.read("hourly").await;
    assert_eq!(reading.events()[0].payload["timezone"], "America/New_York");
    assert_eq!(reading.events()[0].payload["scheduled_time"], "2026-03-02T09:30:00-05:00");
}

#[tokio::test]
async fn jitter_delays_each_process_by_another_time() {
    let world = World::new();
    world.script(CONTENT);
    let mut delays = Vec::new();
    for name in ["one", "two"] {
        let process = world.start(&hourly(", jitter: 1800").replace("hourly", name)).await;
        let (instant, fires) = (at("2026-03-02T09:00:00Z"), next(&process).await);
        assert!(fires > instant && fires < instant + TimeDelta::seconds(1_800), "{name} fires at {fires}");
        delays.push((process, fires));
    }
    assert_ne!(delays[0].1, delays[1].1);
    delays.sort_by_key(|(_, fires)| *fires);
    let [(first, fires), (second, _)] = &delays[..] else { panic!("there are two") };
    world.wait_for(*fires);
    runs(first, 1).await;
    assert_eq!(second.status().triggers[0].fired, 0, "its time is later, and it is {}", world.clock.now());
}
