//! What expressions mean, in which zone.

use chrono::{DateTime, Datelike, Timelike, Utc};
use flyball_triggers::{Cron, Error};

use crate::at;

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
