//! The calendar, and the trigger that fires by it.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, Timelike, Utc};
use flyball_core_agent::ManualClock;
use flyball_triggers::{
    Cron, CronConfig, CronTrigger, Cursor, Error, Missed, Moved, News, Offer, Overlap, Receipt, Refusal, Sink, Trigger,
};
use tokio::sync::mpsc;

use common::next_offer;

mod common;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// The first `count` instants after `from`, as the zone writes them.
fn instants(expression: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(expression, Some(zone)).unwrap();
    let mut last = at(from);
    let mut all = Vec::new();
    for _ in 0..count {
        let next = cron.next_after(last).unwrap();
        all.push(next.to_rfc3339());
        last = next.to_utc();
    }
    all
}

#[test]
fn fields_mean_what_they_mean_in_cron() {
    let cases = [
        ("*/5 * * * *", "2026-01-01T00:05:00+00:00"),
        ("30 14 * * *", "2026-01-01T14:30:00+00:00"),
        ("0 0 1 MAR *", "2026-03-01T00:00:00+00:00"),
        ("0 9 * * mon-fri", "2026-01-01T09:00:00+00:00"),
        ("0 9 * * SAT-SUN", "2026-01-03T09:00:00+00:00"),
        ("0 0 * * 7", "2026-01-04T00:00:00+00:00"),
        ("0 0 L * ?", "2026-01-31T00:00:00+00:00"),
        ("0 0 * * FRI#2", "2026-01-09T00:00:00+00:00"),
        ("0 0 * * 5L", "2026-01-30T00:00:00+00:00"),
        ("0 0 * * L5", "2026-01-30T00:00:00+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        ("10/20,5 0 * * *", "2026-01-01T00:05:00+00:00"),
        // Either day is enough: the 13th, or a Friday.
        ("0 0 13 * 5", "2026-01-02T00:00:00+00:00"),
        // Seconds come last.
        ("* * * * * */10", "2026-01-01T00:00:10+00:00"),
        ("0 12 * * * 30", "2026-01-01T12:00:30+00:00"),
    ];
    for (expression, first) in cases {
        assert_eq!(instants(expression, "UTC", "2026-01-01T00:00:00Z", 1), [first], "{expression}");
    }
}

#[test]
fn a_mistake_is_named_with_its_field() {
    let cases = [
        ("61 * * * *", "minute 61 is not between 0 and 59"),
        ("* 24 * * *", "hour 24 is not between 0 and 23"),
        ("* * 0 * *", "day of month 0 is not between 1 and 31"),
        ("* * * FOO *", "month: 'FOO' is not a value"),
        ("MON * * * *", "minute: 'MON' is not a value"),
        ("1,,2 * * * *", "minute: a value is missing"),
        ("*/0 * * * *", "minute: a step of 0"),
        ("30-10 * * * *", "minute: the range 30-10 runs backwards"),
        ("* * * * L", "day of week: which last day?"),
        ("* * * * MON#6", "day of week: '#6'"),
        ("0 0 12 * * ?", "second: '?' is not a value"),
        ("* * * *", "it has 4 fields; write 5, or 6 with the seconds last"),
        ("0 0 0 1 1 * 2027", "it has 7 fields"),
        ("", "it has 0 fields"),
        ("@daily", "write \"0 0 * * *\""),
        ("@reboot", "aliases are not understood"),
        ("0 0 31 2 *", "it never fires"),
        ("0 0 30,31 FEB *", "it never fires"),
        ("ÿ * * * *", "minute: "),
    ];
    for (expression, why) in cases {
        let error = Cron::parse(expression, None).unwrap_err();
        assert!(matches!(error, Error::Config(_)));
        assert!(error.to_string().contains(why), "{expression}: {error}");
    }
    let error = Cron::parse("* * * * *", Some("Mars/Olympus")).unwrap_err().to_string();
    assert!(error.contains("cron_timezone \"Mars/Olympus\""), "{error}");
}

#[test]
fn a_skipped_hour_fires_once_after_it_and_a_repeated_hour_once() {
    // zone, expression, a moment before the change, the two instants around it
    let cases = [
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]),
        ("Europe/Berlin", "0,15,30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
        ("Europe/Berlin", "0,30 2 * * *", "2026-10-25T00:15:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:00:00+01:00"]),
        // From within the second pass: what fired in the first does not fire again.
        ("Europe/Berlin", "0,30 2 * * *", "2026-10-25T01:15:00Z", ["2026-10-26T02:00:00+01:00", "2026-10-26T02:30:00+01:00"]),
        ("America/New_York", "30 2 * * *", "2026-03-07T12:00:00Z", ["2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]),
        // The clock moves by half an hour.
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00Z", ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00Z", ["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"]),
        // The day begins at one.
        ("Africa/Cairo", "30 0 * * *", "2026-04-23T12:00:00Z", ["2026-04-24T01:00:00+03:00", "2026-04-25T00:30:00+03:00"]),
        ("America/Havana", "30 0 * * *", "2026-10-31T12:00:00Z", ["2026-11-01T00:30:00-04:00", "2026-11-02T00:30:00-05:00"]),
        // A day that was not.
        ("Pacific/Apia", "0 12 * * *", "2011-12-29T23:00:00Z", ["2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]),
        ("Asia/Kolkata", "30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T02:30:00+05:30", "2026-03-30T02:30:00+05:30"]),
    ];
    for (zone, expression, from, expected) in cases {
        assert_eq!(instants(expression, zone, from, 2), expected, "{zone} {expression}");
    }
}

#[test]
fn a_schedule_for_every_hour_goes_on_evenly_when_the_clock_is_changed() {
    for (zone, from) in [
        ("Europe/Berlin", "2026-03-28T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z"),
        ("America/Havana", "2026-11-01T02:00:00Z"),
        ("Africa/Cairo", "2026-10-29T18:00:00Z"),
    ] {
        let cron = Cron::parse("*/30 * * * *", Some(zone)).unwrap();
        let mut last = at(from);
        for _ in 0..20 {
            let next = cron.next_after(last).unwrap().to_utc();
            assert_eq!(next - last, chrono::TimeDelta::minutes(30), "{zone} after {last}");
            last = next;
        }
    }
}

#[test]
fn a_schedule_for_every_hour_fires_whenever_the_wall_shows_it() {
    let cases = [
        ("0,20 * * * *", [0, 20], "Australia/Lord_Howe", "2026-04-04T12:00:00Z"),
        ("0,20 * * * *", [0, 20], "Australia/Lord_Howe", "2026-10-03T12:00:00Z"),
        ("15,45 * * * *", [15, 45], "Europe/Berlin", "2026-10-24T22:00:00Z"),
        ("15,45 * * * *", [15, 45], "Africa/Cairo", "2026-10-29T18:00:00Z"),
        // The last hour of the 29th comes twice, and the schedule is over after it.
        ("15,45 * 29 10 *", [15, 45], "Africa/Cairo", "2026-10-29T18:00:00Z"),
    ];
    for (expression, minutes, zone, from) in cases {
        let cron = Cron::parse(expression, Some(zone)).unwrap();
        let tz: chrono_tz::Tz = zone.parse().unwrap();
        let shows = |instant: DateTime<Utc>| {
            let wall = instant.with_timezone(&tz);
            minutes.contains(&wall.minute()) && (!expression.contains("29") || wall.day() == 29)
        };
        let mut walked = (1..24 * 60).map(|minute| at(from) + chrono::TimeDelta::minutes(minute)).filter(|at| shows(*at));
        let mut last = at(from);
        for expected in walked.by_ref() {
            last = cron.next_after(last).unwrap().to_utc();
            assert_eq!(last, expected, "{zone} {expression}");
        }
    }
}

#[test]
fn over_two_years_every_day_has_its_one_instant_in_twelve_zones() {
    for zone in [
        "UTC",
        "Europe/Berlin",
        "Europe/London",
        "America/New_York",
        "America/Sao_Paulo",
        "America/St_Johns",
        "Asia/Kolkata",
        "Asia/Beirut",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "Pacific/Auckland",
    ] {
        let cron = Cron::parse("30 2 * * *", Some(zone)).unwrap();
        let mut last = at("2026-01-01T12:00:00Z");
        let mut day = cron.next_after(last).unwrap().date_naive();
        for _ in 0..730 {
            let next = cron.next_after(last).unwrap();
            assert_eq!(next.date_naive(), day, "{zone}");
            day = day.succ_opt().unwrap();
            last = next.to_utc();
        }
    }
}

#[test]
fn the_latest_instant_is_the_last_one_of_a_plain_walk() {
    for expression in ["*/7 * * * *", "* * * * * */13", "15 3 * * *"] {
        let cron = Cron::parse(expression, Some("Europe/Berlin")).unwrap();
        let (after, until) = (at("2026-10-24T00:00:00.5Z"), at("2026-10-26T03:04:05.25Z"));
        let mut walked = None;
        let mut last = after;
        while let Some(next) = cron.next_after(last).filter(|next| *next <= until) {
            last = next.to_utc();
            walked = Some(next);
        }
        assert_eq!(cron.latest(after, until), walked, "{expression}");
    }
    assert_eq!(Cron::parse("0 0 1 1 *", None).unwrap().latest(at("2026-01-01T00:00:00Z"), at("2026-12-31T00:00:00Z")), None);
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
