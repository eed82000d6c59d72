//! Instants as people read them: in their own zone, with its offset, and the date where it is not today.

use chrono::{DateTime, Local, TimeZone, Utc};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// An instant, for who reads it now.
pub fn instant(at: DateTime<Utc>) -> String {
    seen(&at.with_timezone(&Local), &Local::now())
}

/// An instant that is written as RFC 3339, the same way; what is no instant stays as it is.
pub fn rewritten(at: &str) -> String {
    at.parse().map_or_else(|_| at.to_owned(), instant)
}

fn seen<Z: TimeZone>(at: &DateTime<Z>, now: &DateTime<Z>) -> String
where
    Z::Offset: std::fmt::Display,
{
    let form = if at.date_naive() == now.date_naive() { "%H:%M:%S %:z" } else { DATED };
    at.format(form).to_string()
}

const DATED: &str = "%Y-%m-%d %H:%M:%S %:z";

/// Stands before each line of our own log. It may be read long after, so the date is always there.
pub struct LogTime;

impl FormatTime for LogTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Local::now().format(DATED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    #[test]
    fn the_date_is_there_where_it_is_not_today() {
        let zone = FixedOffset::east_opt(3600).expect("an offset");
        let at = zone.with_ymd_and_hms(2026, 1, 5, 10, 5, 7).single().expect("an instant");
        assert_eq!(seen(&at, &at), "10:05:07 +01:00");
        assert_eq!(seen(&at, &(at + chrono::TimeDelta::days(1))), "2026-01-05 10:05:07 +01:00");
        assert_eq!(rewritten("yesterday"), "yesterday");
    }
}
