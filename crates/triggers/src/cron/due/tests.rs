//! The decisions, with the times given.

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn judge(missed: Missed, max_age: Option<u64>, cron: &str, last: &str, now: &str) -> (u64, Vec<String>) {
    let lateness = Lateness { missed, cap: 3, max_age: max_age.map(Duration::from_secs) };
    let cron = Cron::parse(cron, None).expect("a schedule");
    let due = lateness.judge(&cron, &Jitter::new(Duration::ZERO, ""), at(last), at(now));
    (due.skipped, due.fire.iter().map(|firing| firing.instant.format("%H:%M:%S").to_string()).collect())
}

const HOURLY: &str = "0 * * * *";

#[test]
fn what_is_on_time_fires_under_every_policy() {
    for missed in [Missed::Skip, Missed::Latest, Missed::All] {
        let on_time = judge(missed, Some(1), HOURLY, "2026-01-01T09:00:00Z", "2026-01-01T10:00:00Z");
        assert_eq!(on_time, (0, vec!["10:00:00".to_owned()]), "{missed:?}");
        assert_eq!(judge(missed, None, HOURLY, "2026-01-01T09:00:00Z", "2026-01-01T09:59:59Z"), (0, vec![]), "{missed:?}");
    }
}

#[test]
fn after_a_night_none_one_or_the_last_few_fire() {
    let night = |missed| judge(missed, None, HOURLY, "2026-01-01T22:00:00Z", "2026-01-02T06:30:00Z");
    assert_eq!(night(Missed::Skip), (8, vec![]));
    assert_eq!(night(Missed::Latest), (7, vec!["06:00:00".to_owned()]));
    assert_eq!(night(Missed::All), (5, ["04:00:00", "05:00:00", "06:00:00"].map(str::to_owned).to_vec()));
}

#[test]
fn what_was_missed_too_long_ago_does_not_fire() {
    let old = |missed, age| judge(missed, Some(age), HOURLY, "2026-01-01T22:00:00Z", "2026-01-02T06:30:00Z");
    assert_eq!(old(Missed::Latest, 600), (8, vec![]));
    assert_eq!(old(Missed::All, 6_000), (6, ["05:00:00", "06:00:00"].map(str::to_owned).to_vec()));
}

#[test]
fn a_year_of_missed_seconds_is_judged_at_once_and_said_to_be_many() {
    let every_second = Cron::parse("* * * * * *", None).expect("a schedule");
    let lateness = Lateness { missed: Missed::All, cap: 2, max_age: None };
    let (last, now) = (at("2025-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"));
    let due = lateness.judge(&every_second, &Jitter::new(Duration::ZERO, ""), last, now);
    assert!(due.more && due.skipped > 1_000, "{due:?}");
    assert_eq!(due.fire.iter().map(|firing| firing.instant.to_utc()).collect::<Vec<_>>(), [at("2025-12-31T23:59:59Z"), now]);
    assert!(due.skipped_to < due.fire[0].instant.to_utc());
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_due() {
    assert_eq!(judge(Missed::All, None, HOURLY, "2026-01-01T10:00:00Z", "2026-01-01T09:30:00Z"), (0, vec![]));
}

#[test]
fn jitter_is_the_same_for_one_seed_and_spreads_over_many() {
    let instant = at("2026-01-01T10:00:00Z");
    let delay = |seed: &str| (Jitter::new(Duration::from_secs(60), seed).of(instant) - instant).num_milliseconds();
    assert_eq!(delay("a"), delay("a"));
    let delays: Vec<i64> = (0..5_000).map(|process| delay(&format!("p{process}"))).collect();
    assert!(delays.iter().all(|delay| (0..60_000).contains(delay)));
    let in_each_second = (0..60).map(|second| delays.iter().filter(|delay| **delay / 1_000 == second).count());
    assert!(in_each_second.clone().max() < Some(200), "5,000 at once become at most {:?} a second", in_each_second.max());
}

#[test]
fn with_jitter_an_instant_is_due_when_its_delay_is_over() {
    let cron = Cron::parse(HOURLY, None).expect("a schedule");
    let jitter = Jitter::new(Duration::from_secs(600), "p");
    let lateness = Lateness { missed: Missed::Latest, cap: 1, max_age: None };
    let due_at = jitter.of(at("2026-01-01T10:00:00Z"));
    assert!(due_at > at("2026-01-01T10:00:00Z"));
    let fires = |now| lateness.judge(&cron, &jitter, at("2026-01-01T09:00:00Z"), now).fire.len();
    assert_eq!((fires(due_at - TimeDelta::milliseconds(1)), fires(due_at)), (0, 1));
}

#[test]
fn how_late_an_instant_is_counts_from_the_end_of_its_delay() {
    let cron = Cron::parse(HOURLY, None).expect("a schedule");
    let jitter = Jitter::new(Duration::from_secs(3_000), "p");
    let due_at = jitter.of(at("2026-01-01T10:00:00Z"));
    assert!(due_at > at("2026-01-01T10:05:00Z"), "this seed delays it by {}", due_at - at("2026-01-01T10:00:00Z"));
    for missed in [Missed::Skip, Missed::Latest, Missed::All] {
        let lateness = Lateness { missed, cap: 1, max_age: Some(Duration::from_secs(30)) };
        let due = lateness.judge(&cron, &jitter, at("2026-01-01T09:00:00Z"), due_at + TimeDelta::seconds(1));
        assert_eq!((due.skipped, due.fire.len()), (0, 1), "{missed:?}");
    }
}

#[test]
fn all_that_are_on_time_fire_though_they_are_due_together() {
    for missed in [Missed::Skip, Missed::Latest, Missed::All] {
        let (skipped, fired) = judge(missed, None, "* * * * * *", "2026-01-01T09:59:55Z", "2026-01-01T10:00:00Z");
        assert_eq!((skipped, fired.len()), (0, 5), "{missed:?}: {fired:?}");
    }
    // With jitter a later one may be due as soon as an earlier one.
    let cron = Cron::parse("* * * * *", None).expect("a schedule");
    let jitter = Jitter::new(Duration::from_secs(120), "p");
    let lateness = Lateness { missed: Missed::Skip, cap: 1, max_age: None };
    let (mut last, end) = (at("2026-01-01T10:00:00Z"), at("2026-01-01T12:00:00Z"));
    let (mut now, mut fired, mut skipped) = (last, 0, 0);
    while now < end {
        now += TimeDelta::seconds(1);
        let due = lateness.judge(&cron, &jitter, last, now);
        (fired, skipped) = (fired + due.fire.len(), skipped + due.skipped);
        last = due.fire.last().map_or(last, |firing| firing.instant.to_utc());
    }
    assert_eq!(skipped, 0);
    assert!(fired > 115, "{fired} of 120");
}
