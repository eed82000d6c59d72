//! The table: every change of twelve zones' clocks in a year, and a schedule in the middle of it.

use std::fmt::Write;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use flyball_triggers::Cron;

/// Zones whose rules differ: by an hour or half of one, at night, at midnight, in summer, in winter,
/// around Ramadan, and never.
pub const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];

/// How a zone's clock is changed.
pub struct Change {
    /// The first instant with the new offset.
    pub at: DateTime<Utc>,
    /// What the wall would show without it.
    pub from: NaiveDateTime,
    /// What the wall shows.
    pub to: NaiveDateTime,
}

/// The table of `year`, in Markdown.
pub fn of(year: i32) -> String {
    let mut table = String::from("| zone | the wall | kind | schedule | fires | and then |\n|---|---|---|---|---|---|\n");
    for zone in ZONES {
        let changes = changes(zone, year);
        if changes.is_empty() {
            let _ = writeln!(table, "| {zone} | is not changed | - | `30 2 * * *` | every day at 02:30 | |");
        }
        for change in changes {
            table.push_str(&line(zone, &change));
        }
    }
    table
}

fn line(zone: &str, change: &Change) -> String {
    let skipped = change.to > change.from;
    let kind = if skipped { "gap" } else { "overlap" };
    // In the middle of what is skipped, or of what comes twice.
    let wall = change.from.min(change.to) + (change.to - change.from).abs() / 2;
    let schedule = format!("{} * * *", wall.format("%-M %-H"));
    let cron = Cron::parse(&schedule, Some(zone)).expect("it is an expression");
    let first = cron.next_after(change.at - TimeDelta::hours(12)).expect("it fires");
    let second = cron.next_after(first.to_utc()).expect("it fires again");
    let (from, to) = (change.from.format("%m-%d %H:%M"), change.to.format("%H:%M"));
    format!(
        "| {zone} | {from} is {to} | {kind} | `{schedule}` | {} | {} |\n",
        first.format("%m-%d %H:%M %:z"),
        second.format("%m-%d %H:%M %:z")
    )
}

/// The changes of a zone's clock in a year, found minute by minute.
pub fn changes(zone: &str, year: i32) -> Vec<Change> {
    let zone: Tz = zone.parse().expect("it is a zone");
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let start = Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().expect("a year begins");
    let end = Utc.with_ymd_and_hms(year + 1, 1, 1, 0, 0, 0).single().expect("a year ends");
    let (mut at, mut before, mut changes) = (start, offset(start), Vec::new());
    while at < end {
        let now = offset(at);
        if now != before {
            changes.push(Change { at, from: at.naive_utc() + before, to: at.naive_utc() + now });
            before = now;
        }
        at += TimeDelta::minutes(1);
    }
    changes
}
