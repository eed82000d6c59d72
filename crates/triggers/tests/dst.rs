//! What schedules do over two years in twelve zones, held against a walk over every minute that asks only what
//! the clock on the wall shows.
#![cfg(test)]

#[path = "../examples/dst/table.rs"]
mod table;

use std::collections::HashSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc, Weekday};
use chrono_tz::Tz;
use flyball_triggers::Cron;

const YEARS: [i32; 2] = [2026, 2027];

/// A schedule, and when it is meant by what the wall shows.
struct Schedule {
    expression: &'static str,
    /// It runs in every hour, and so follows the passing time.
    every_hour: bool,
    is_meant: fn(NaiveDateTime) -> bool,
}

fn schedules() -> Vec<Schedule> {
    let schedule = |expression, every_hour, is_meant| Schedule { expression, every_hour, is_meant };
    vec![
        schedule("30 2 * * *", false, |wall| (wall.hour(), wall.minute()) == (2, 30)),
        schedule("0,15,30 2 * * *", false, |wall| wall.hour() == 2 && [0, 15, 30].contains(&wall.minute())),
        schedule("*/20 1-3 * * *", false, |wall| (1..=3).contains(&wall.hour()) && wall.minute() % 20 == 0),
        schedule("0 3 * * *", false, |wall| (wall.hour(), wall.minute()) == (3, 0)),
        schedule("15 0 * * *", false, |wall| (wall.hour(), wall.minute()) == (0, 15)),
        schedule("45 1 * * SUN", false, |wall| (wall.hour(), wall.minute(), wall.weekday()) == (1, 45, Weekday::Sun)),
        schedule("10 */2 * * *", false, |wall| wall.hour() % 2 == 0 && wall.minute() == 10),
        schedule("30 2 L * *", false, |wall| {
            (wall.hour(), wall.minute()) == (2, 30) && (wall + TimeDelta::days(1)).month() != wall.month()
        }),
        schedule("*/10 * * * *", true, |wall| wall.minute() % 10 == 0),
        schedule("15,45 * * * *", true, |wall| [15, 45].contains(&wall.minute())),
    ]
}

fn span() -> (DateTime<Utc>, DateTime<Utc>) {
    let begin = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a year begins");
    (begin(YEARS[0]), begin(YEARS[1] + 1))
}

/// Every instant at which `schedules` fire: each minute is looked at.
fn walked(zone: Tz, schedules: &[Schedule]) -> Vec<Vec<DateTime<Utc>>> {
    let (start, end) = span();
    let mut fired: Vec<Vec<DateTime<Utc>>> = schedules.iter().map(|_| Vec::new()).collect();
    let mut done: Vec<HashSet<NaiveDateTime>> = schedules.iter().map(|_| HashSet::new()).collect();
    let mut before = start.with_timezone(&zone).naive_local();
    let mut at = start + TimeDelta::minutes(1);
    while at < end {
        let wall = at.with_timezone(&zone).naive_local();
        for ((schedule, fired), done) in schedules.iter().zip(&mut fired).zip(&mut done) {
            let shown = (schedule.is_meant)(wall) && (schedule.every_hour || done.insert(wall));
            let mut skipped = before + TimeDelta::minutes(1);
            let mut was_skipped = false;
            while skipped < wall {
                was_skipped |= !schedule.every_hour && (schedule.is_meant)(skipped);
                skipped += TimeDelta::minutes(1);
            }
            if shown || was_skipped {
                fired.push(at);
            }
        }
        before = wall;
        at += TimeDelta::minutes(1);
    }
    fired
}

fn by_the_calendar(zone: &str, expression: &str) -> Vec<DateTime<Utc>> {
    let (start, end) = span();
    let cron = Cron::parse(expression, Some(zone)).expect("it is an expression");
    let next = |at: &DateTime<Utc>| cron.next_after(*at).map(|next| next.to_utc());
    std::iter::successors(next(&start), next).take_while(|at| *at < end).collect()
}

#[test]
fn over_two_years_in_twelve_zones_schedules_fire_when_a_walk_over_every_minute_says() {
    std::thread::scope(|scope| {
        for zone in table::ZONES {
            scope.spawn(move || {
                let schedules = schedules();
                let walked = walked(zone.parse().expect("it is a zone"), &schedules);
                for (schedule, expected) in schedules.iter().zip(walked) {
                    let found = by_the_calendar(zone, schedule.expression);
                    let differs = found.iter().zip(&expected).find(|(one, other)| one != other);
                    assert_eq!(differs, None, "{zone} {}", schedule.expression);
                    assert_eq!(found.len(), expected.len(), "{zone} {}", schedule.expression);
                    assert!(found.len() >= 24, "{zone} {}: only {}", schedule.expression, found.len());
                }
            });
        }
    });
}

#[test]
fn the_zones_have_gaps_and_overlaps_to_tell_of() {
    let changes: Vec<table::Change> = table::ZONES.iter().flat_map(|zone| table::changes(zone, YEARS[0])).collect();
    let gaps = changes.iter().filter(|change| change.to > change.from).count();
    assert!(gaps >= 10 && changes.len() - gaps >= 10, "{gaps} of {}", changes.len());
}

#[test]
fn the_books_table_is_what_the_example_prints() {
    let page = include_str!("../../../docs/src/triggers.md");
    let (_, rest) = page.split_once("<!-- dst -->\n\n").expect("the page has the table's beginning");
    let (found, _) = rest.split_once("\n<!-- end -->").expect("the page has the table's end");
    assert_eq!(found, table::of(2026), "run `cargo run -p flyball-triggers --example dst` and put its output there");
}
