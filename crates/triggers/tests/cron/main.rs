//! The trigger that fires by the calendar.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flyball_core_agent::ManualClock;
use flyball_triggers::{
    CronConfig, CronTrigger, Cursor, Error, Missed, Moved, News, Offer, Overlap, Receipt, Refusal, Sink, Trigger,
};
use tokio::sync::mpsc;

use common::next_offer;

mod calendar;
#[path = "../common/mod.rs"]
mod common;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

struct Running {
    clock: ManualClock,
    offers: mpsc::Receiver<News>,
    _task: tokio::task::JoinHandle<Error>,
}

async fn running(expression: &str, zone: Option<&str>, start: &str) -> Running {
    let config = CronConfig { cron_timezone: zone.map(str::to_owned), ..CronConfig::new(expression) };
    running_from(config, &Cursor::new(), start).await
}

async fn running_from(config: CronConfig, cursor: &Cursor, start: &str) -> Running {
    let clock = ManualClock::new(at(start));
    let mut trigger = CronTrigger::new(config, Arc::new(clock.clone())).unwrap();
    trigger.open(cursor).await.unwrap();
    let (sink, offers) = Sink::channel(8);
    Running { clock, offers, _task: tokio::spawn(Box::new(trigger).run(sink)) }
}

impl Running {
    async fn next(&mut self) -> Offer {
        tokio::time::timeout(Duration::from_secs(20), next_offer(&mut self.offers)).await.expect("it fires").expect("it runs")
    }

    async fn take(&mut self) -> flyball_core_agent::TriggerEvent {
        let Offer { event, answer, .. } = self.next().await;
        answer.send(Ok(Receipt { event_id: event.event_id.clone(), duplicate: false })).unwrap();
        event
    }
}

#[tokio::test]
async fn the_payload_tells_the_instant_in_its_zone() {
    let mut cron = running("*/5 * * * *", Some("Europe/Berlin"), "2026-07-01T10:02:00Z").await;
    cron.clock.advance(Duration::from_secs(181));
    let event = cron.take().await;
    let expected = serde_json::json!({
        "scheduled_time": "2026-07-01T12:05:00+02:00", "cron_expression": "*/5 * * * *", "timezone": "Europe/Berlin",
    });
    assert_eq!(event.payload, expected);
    assert_eq!(event.trigger_type, "cron");
    assert_eq!(event.dedup_key.as_deref(), Some("2026-07-01T10:05:00Z"));
    assert_eq!(event.timestamp, at("2026-07-01T10:05:01Z"));
    assert!(event.trigger_id.starts_with("cron-") && event.trigger_id.len() == 15, "{}", event.trigger_id);
}

#[tokio::test]
async fn each_instant_fires_and_of_several_that_passed_the_latest() {
    let mut cron = running("* * * * *", None, "2026-01-01T00:00:30Z").await;
    cron.clock.advance(Duration::from_secs(30));
    assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2026-01-01T00:01:00Z"));
    cron.clock.advance(Duration::from_secs(60));
    assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2026-01-01T00:02:00Z"));
    cron.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2035-12-30T00:02:00Z"));
    cron.clock.advance(Duration::from_secs(60));
    assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2035-12-30T00:03:00Z"));
}

#[tokio::test]
async fn a_refused_instant_is_offered_again_and_a_closed_process_ends_the_trigger() {
    let mut cron = running("* * * * *", None, "2026-01-01T00:00:30Z").await;
    cron.clock.advance(Duration::from_secs(30));
    let Offer { event: refused, answer, .. } = cron.next().await;
    answer.send(Err(Refusal::Full { waiting: 9 })).unwrap();
    assert_eq!(cron.take().await, refused);
    cron.offers.close();
    cron.clock.advance(Duration::from_secs(60));
    let error = tokio::time::timeout(Duration::from_secs(20), cron._task).await.unwrap().unwrap();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn the_id_is_that_of_the_configuration() {
    let id = |expression: &str| {
        let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
        CronTrigger::new(CronConfig::new(expression), clock).unwrap().id().to_owned()
    };
    assert_eq!(id("* * * * *"), id("* * * * *"));
    assert_ne!(id("* * * * *"), id("*/2 * * * *"));
}

/// Everything that a trigger says until it has nothing more to say at this time; events are taken.
async fn said(cron: &mut Running) -> (Vec<String>, Vec<Moved>) {
    let (mut fired, mut moved) = (Vec::new(), Vec::new());
    // The clock stands still, so silence can only be seen by waiting for it.
    while let Ok(Some(news)) = tokio::time::timeout(Duration::from_millis(200), cron.offers.recv()).await {
        match news {
            News::Offer(Offer { event, cursor, answer, .. }) => {
                assert_eq!(cursor["last"].as_str(), event.dedup_key.as_deref(), "it stands where it fired");
                fired.push(event.dedup_key.clone().unwrap());
                answer.send(Ok(Receipt { event_id: event.event_id, duplicate: false })).unwrap();
            }
            News::Moved(news) => moved.push(news),
        }
    }
    (fired, moved)
}

fn stood_at(last: &str) -> Cursor {
    Cursor::from_iter([("last".to_owned(), serde_json::json!(last))])
}

#[tokio::test]
async fn opened_for_the_first_time_it_says_from_when_on_instants_can_be_missed() {
    let mut cron = running("0 * * * *", None, "2026-01-01T06:30:00Z").await;
    let (fired, moved) = said(&mut cron).await;
    assert!(fired.is_empty());
    assert_eq!(moved.len(), 1);
    assert_eq!((&moved[0].cursor, moved[0].skipped), (&stood_at("2026-01-01T06:30:00Z"), 0));
}

#[tokio::test]
async fn what_passed_while_nobody_watched_is_missed_and_seen_to_as_is_said() {
    let cases = [
        (Missed::Skip, vec![], 4),
        (Missed::Latest, vec!["2026-01-01T06:00:00Z"], 3),
        (Missed::All, vec!["2026-01-01T05:00:00Z", "2026-01-01T06:00:00Z"], 2),
    ];
    for (missed, expected, skipped) in cases {
        let config = CronConfig { missed, missed_cap: 2, ..CronConfig::new("0 * * * *") };
        let mut cron = running_from(config, &stood_at("2026-01-01T02:00:00Z"), "2026-01-01T06:30:00Z").await;
        let (fired, moved) = said(&mut cron).await;
        assert_eq!(fired, expected, "{missed:?}");
        assert_eq!(moved.iter().map(|moved| moved.skipped).sum::<u64>(), skipped, "{missed:?}");
        cron.clock.advance(Duration::from_secs(1800));
        assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2026-01-01T07:00:00Z"), "and it goes on from there");
    }
}

#[tokio::test]
async fn an_instant_that_fired_does_not_fire_again_after_a_restart_or_when_the_clock_is_set_back() {
    for (start, until_the_next) in [("2026-01-01T06:00:30Z", 3_600), ("2026-01-01T05:00:00Z", 7_200)] {
        let mut cron = running_from(CronConfig::new("0 * * * *"), &stood_at("2026-01-01T06:00:00Z"), start).await;
        assert_eq!(said(&mut cron).await, (vec![], vec![]), "{start}");
        cron.clock.advance(Duration::from_secs(until_the_next));
        assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2026-01-01T07:00:00Z"), "{start}");
    }
}

#[tokio::test]
async fn it_says_for_what_instant_its_timer_is_set() {
    let clock = ManualClock::new(at("2026-01-01T05:00:00Z"));
    let config = CronConfig { jitter: 600.0, ..CronConfig::new("0 * * * *") };
    let mut trigger = CronTrigger::new(config, Arc::new(clock.clone())).unwrap();
    // The clock was set back since: the instants up to seven have fired.
    trigger.open(&stood_at("2026-01-01T07:00:00Z")).await.unwrap();
    let mut armed = trigger.armed().unwrap();
    let next = armed.borrow_and_update().unwrap();
    assert!(next > at("2026-01-01T08:00:00Z") && next < at("2026-01-01T08:10:00Z"), "{next}");
    let (sink, offers) = Sink::channel(8);
    let mut cron = Running { clock: clock.clone(), offers, _task: tokio::spawn(Box::new(trigger).run(sink)) };
    clock.advance((next - at("2026-01-01T05:00:00Z")).to_std().unwrap());
    assert_eq!(cron.take().await.timestamp, next);
    let later = async { armed.wait_for(|armed| *armed > Some(next)).await.map(|armed| *armed) };
    let after = tokio::time::timeout(Duration::from_secs(20), later).await.expect("it is set anew").unwrap().unwrap();
    assert!(after > at("2026-01-01T09:00:00Z"), "{after}");
    cron._task.abort();
    assert!(cron._task.await.unwrap_err().is_cancelled() && armed.has_changed().is_err(), "its timer is gone with it");
}

#[tokio::test]
async fn what_is_caught_up_with_waits_for_its_turn_though_instants_are_let_pass_else() {
    let config = CronConfig { missed: Missed::All, ..CronConfig::new("0 * * * *") };
    let mut cron = running_from(config, &stood_at("2026-01-01T04:00:00Z"), "2026-01-01T06:30:00Z").await;
    for _ in 0..2 {
        let offer = cron.next().await;
        assert_eq!(offer.overlap, Overlap::Queue);
        offer.answer.send(Ok(Receipt { event_id: "e".into(), duplicate: false })).unwrap();
    }
    cron.clock.advance(Duration::from_secs(1800));
    let offer = cron.next().await;
    assert_eq!(offer.overlap, Overlap::Skip);
    offer.answer.send(Err(Refusal::Overlaps)).unwrap();
    cron.clock.advance(Duration::from_secs(3600));
    assert_eq!(cron.take().await.dedup_key.as_deref(), Some("2026-01-01T08:00:00Z"), "it goes on to the next");
}

#[tokio::test]
async fn of_all_that_were_missed_none_is_let_pass_for_another_one() {
    for (missed, overlap) in [(Missed::All, Overlap::Queue), (Missed::Latest, Overlap::Skip)] {
        // Three are due, of which none is a minute late.
        let config = CronConfig { missed, ..CronConfig::new("* * * * * */15") };
        let mut cron = running_from(config, &stood_at("2026-01-01T04:00:00Z"), "2026-01-01T04:00:46Z").await;
        for _ in 0..3 {
            let offer = cron.next().await;
            assert_eq!(offer.overlap, overlap, "{missed:?}");
            offer.answer.send(Ok(Receipt { event_id: "e".into(), duplicate: false })).unwrap();
        }
    }
}

#[tokio::test]
async fn policies_do_not_rename_a_trigger() {
    let id = |config| CronTrigger::new(config, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH))).unwrap().id().to_owned();
    let plain = CronConfig::new("0 * * * *");
    let other = CronConfig {
        missed: Missed::All,
        overlap: Overlap::Queue,
        jitter: 30.0,
        missed_cap: 7,
        missed_max_age: 9.0,
        ..plain.clone()
    };
    assert_eq!(id(plain), id(other));
    let wrong = CronConfig { jitter: -1.0, ..CronConfig::new("0 * * * *") };
    let error = CronTrigger::new(wrong, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH))).err().unwrap();
    assert!(error.to_string().contains("jitter"), "{error}");
}
