//! A cron expression in a time zone, and its instants.

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::field::{DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY};
use crate::Error;
use crate::filter::nearest;

/// A cron expression and the zone it is meant in.
///
/// Where a zone's clock is put forward or back: a schedule that names its hours follows the clock on
/// the wall. What falls into a skipped hour fires once, at the first instant after it; what falls
/// into a repeated hour fires the first time only. A schedule for every hour follows the passing
/// time, so that "every ten minutes" is never silent for an hour and never hurries.
#[derive(Debug, Clone)]
pub struct Cron {
    expression: String,
    zone: Tz,
    every_hour: bool,
    /// Knows the calendar only; it is asked about wall-clock times as if they were UTC.
    wall: croner::Cron,
}

/// Zones change their offset less often than this.
const STEP: TimeDelta = TimeDelta::hours(6);

/// The longest gap on record is a day, where a zone crossed the date line.
const LONGEST_GAP_MINUTES: u32 = 48 * 60;

impl Cron {
    /// Reads five fields, or six with the seconds last, in an IANA zone; UTC where none is given.
    ///
    /// Values, names (`MON`, `JAN`), lists, ranges, steps; `L` and `15W` as day of month; `MON#2` and
    /// `5L` as day of week. Where both day fields are given, either is enough. The error is an
    /// [`Error::Config`] that names the field; so is a date that never comes.
    pub fn parse(expression: &str, timezone: Option<&str>) -> Result<Self, Error> {
        let zone = match timezone {
            None => Tz::UTC,
            Some(name) => name.parse().map_err(|_| unknown_zone(name))?,
        };
        let wrong = |why: String| Error::Config(format!("cron_expression \"{}\": {why}", expression.escape_debug()));
        let (plain, every_hour) = seconds_first(expression).map_err(wrong)?;
        let wall: croner::Cron = plain.parse().map_err(|error| wrong(format!("{error}")))?;
        let cron = Self { expression: expression.trim().to_owned(), zone, every_hour, wall };
        // The calendar repeats after 400 years, and the search goes further than that.
        match cron.wall_next(DateTime::UNIX_EPOCH.naive_utc(), true) {
            Some(_) => Ok(cron),
            None => Err(wrong("it never fires: no such date comes".to_owned())),
        }
    }

    /// The expression as it was written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone's IANA name.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first instant after `instant`. `None` only beyond the year 4999.
    pub fn next_after(&self, instant: DateTime<Utc>) -> Option<DateTime<FixedOffset>> {
        let instant = whole_second(instant);
        let next = if self.every_hour { self.next_in_time(instant) } else { self.next_on_the_wall(instant) };
        next.map(|next| next.with_timezone(&self.offset(next)))
    }

    /// The last instant after `after` and not after `until`, in about as many steps as the span's
    /// length has binary digits, however many instants lie in it.
    pub fn latest(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<FixedOffset>> {
        let within = |from| self.next_after(from).filter(|next| *next <= until);
        let mut found = within(after)?;
        let Some(second) = within(found.to_utc()) else { return Some(found) };
        found = second;
        let mut beyond = until;
        while beyond - found.to_utc() > TimeDelta::seconds(1) {
            let middle = found.to_utc() + (beyond - found.to_utc()) / 2;
            match within(middle) {
                Some(later) => found = later,
                None => beyond = middle,
            }
        }
        Some(within(found.to_utc()).unwrap_or(found))
    }

    fn next_on_the_wall(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = instant.with_timezone(&self.zone).naive_local();
        loop {
            wall = self.wall_next(wall, false)?;
            // In the second pass of a repeated hour the wall shows times that have fired already.
            let next = self.first_showing(wall)?;
            if next > instant {
                return Some(next);
            }
        }
    }

    /// The first instant at which the wall shows `wall`, or a later time because `wall` is skipped.
    fn first_showing(&self, mut wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        for _ in 0..LONGEST_GAP_MINUTES {
            match self.zone.from_local_datetime(&wall).earliest() {
                Some(shown) => return Some(shown.to_utc()),
                None => wall = wall.with_second(0)? + TimeDelta::minutes(1),
            }
        }
        None
    }

    fn next_in_time(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, mut inclusive) = (instant, false);
        loop {
            let offset = self.offset(from);
            let wall = self.wall_next(from.naive_utc() + offset, inclusive)?;
            let next = (wall - offset).and_utc();
            match self.offset_change(from, next) {
                None => return Some(next),
                Some(change) => (from, inclusive) = (change, true),
            }
        }
    }

    /// The first instant after `from`, up to `to`, at which the zone's offset is another.
    fn offset_change(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut same = from;
        while same < to {
            let mut other = to.min(same + STEP);
            if self.offset(other) == offset {
                same = other;
                continue;
            }
            while other - same > TimeDelta::seconds(1) {
                let middle = whole_second(same + (other - same) / 2);
                if self.offset(middle) == offset { same = middle } else { other = middle }
            }
            return Some(other);
        }
        None
    }

    fn offset(&self, instant: DateTime<Utc>) -> FixedOffset {
        self.zone.offset_from_utc_datetime(&instant.naive_utc()).fix()
    }

    fn wall_next(&self, wall: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.wall.find_next_occurrence(&wall.and_utc(), inclusive).ok().map(|next| next.naive_utc())
    }
}

/// The expression in plain numbers with the seconds first, and whether it runs in every hour.
fn seconds_first(expression: &str) -> Result<(String, bool), String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let (minute, hour, day, month, weekday, second) = match fields[..] {
        [minute, hour, day, month, weekday] => (minute, hour, day, month, weekday, "0"),
        [minute, hour, day, month, weekday, second] => (minute, hour, day, month, weekday, second),
        [alias] if alias.starts_with('@') => return Err(alias_hint(alias)),
        _ => return Err(format!("it has {} fields; write 5, or 6 with the seconds last", fields.len())),
    };
    let hour = HOUR.read(hour)?;
    let plain = [
        SECOND.read(second)?.text,
        MINUTE.read(minute)?.text,
        hour.text,
        DAY.read(day)?.text,
        MONTH.read(month)?.text,
        WEEKDAY.read(weekday)?.text,
    ];
    Ok((plain.join(" "), hour.all))
}

fn alias_hint(alias: &str) -> String {
    let fields = match alias.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => return "aliases are not understood; write the five fields".to_owned(),
    };
    format!("aliases are not understood; write \"{fields}\"")
}

fn unknown_zone(name: &str) -> Error {
    let meant = zone_like(name).map(|zone| format!("; did you mean '{zone}'?")).unwrap_or_default();
    Error::Config(format!("cron_timezone \"{}\": not an IANA zone, such as Europe/Berlin or UTC{meant}", name.escape_debug()))
}

/// The zone that was probably meant: one with this city, or one that is written nearly so.
fn zone_like(name: &str) -> Option<&'static str> {
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = |zone: &str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
    zones().find(|zone| city(zone)).or_else(|| nearest(name, zones()))
}

fn whole_second(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.with_nanosecond(0).unwrap_or(instant)
}
