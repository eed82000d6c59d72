//! How long to wait before asking again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// The wait after the first failure, doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Our own waits end here; a run has better things to do.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The wait after attempt number `attempt` (from 1) failed: what the server asked for, up to `cap`,
/// else a doubling wait of which up to half is left to chance, so that many clients do not come back at once.
pub(super) fn wait(attempt: u32, asked: Option<Duration>, cap: Duration) -> Duration {
    if let Some(asked) = asked {
        return asked.min(cap);
    }
    let doubled = FIRST_WAIT.saturating_mul(1 << (attempt - 1).min(10)).min(LONGEST_WAIT);
    doubled.mul_f64(0.5 + chance() / 2.0)
}

/// What the server asked for: `retry-after-ms`, or Retry-After in seconds or as a date.
pub(super) fn asked(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// Between 0 and 1, from the random bits of a fresh UUID.
fn chance() -> f64 {
    let bytes = uuid::Uuid::now_v7().into_bytes();
    f64::from(u16::from_le_bytes([bytes[14], bytes[15]])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_server_may_ask_for_a_wait_in_three_ways() {
        let now = DateTime::parse_from_rfc3339("2026-11-23T10:00:00Z").unwrap().to_utc();
        assert_eq!(asked(&headers("retry-after", "7"), now), Some(Duration::from_secs(7)));
        assert_eq!(asked(&headers("retry-after", "Mon, 23 Nov 2026 10:01:00 GMT"), now), Some(Duration::from_secs(60)));
        assert_eq!(asked(&headers("retry-after", "Mon, 23 Nov 2026 09:00:00 GMT"), now), Some(Duration::ZERO));
        assert_eq!(asked(&headers("retry-after-ms", "250"), now), Some(Duration::from_millis(250)));
        for nonsense in ["soon", "-1", "NaN", "1e300", ""] {
            assert_eq!(asked(&headers("retry-after", nonsense), now), None, "{nonsense}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_its_cap() {
        let cap = Duration::from_secs(60);
        assert_eq!(wait(1, Some(Duration::from_secs(3600)), cap), cap);
        for attempt in 1..100 {
            assert!(wait(attempt, None, cap) <= LONGEST_WAIT);
            assert!(wait(attempt, None, cap) >= FIRST_WAIT / 2);
        }
    }
}
