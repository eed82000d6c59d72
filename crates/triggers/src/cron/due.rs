//! Which instants fire now, and which were missed. Decided from the times alone.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Cron;

/// What becomes of instants that passed while nobody could take them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// None of them fires.
    Skip,
    /// The latest one fires.
    #[default]
    Latest,
    /// All of them fire, oldest first, up to a limit.
    All,
}

/// An instant counts as missed when it is later than this: a timer may be so late by itself, since
/// it looks at the clock every 30 s.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Missed instants are counted up to here, and then it is said that there were more.
const MAX_COUNTED: u64 = 10_000;

/// How missed instants are seen to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lateness {
    pub missed: Missed,
    pub cap: usize,
    pub max_age: Option<Duration>,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    /// How many do not fire.
    pub skipped: u64,
    /// There were more than could be counted.
    pub more: bool,
    /// Up to here nothing fires.
    pub skipped_to: DateTime<Utc>,
    /// These fire, oldest first.
    pub fire: Vec<Firing>,
}

/// An instant that fires.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Firing {
    pub instant: DateTime<FixedOffset>,
    /// It was missed, and is caught up with.
    pub late: bool,
}

impl Lateness {
    /// Everything after `last` that is due at `now`.
    pub fn judge(&self, cron: &Cron, jitter: &Jitter, last: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        let mut due = Due { skipped: 0, more: false, skipped_to: last, fire: Vec::new() };
        let (mut kept, mut one_was_missed) = (VecDeque::new(), false);
        let mut at = last;
        let mut passed = 0;
        while let Some(instant) = cron.next_after(at).filter(|instant| jitter.of(instant.to_utc()) <= now) {
            at = instant.to_utc();
            passed += 1;
            if passed > MAX_COUNTED {
                // The latest of many are found from nearer to them.
                at = near(cron, at, now);
                (due.more, passed) = (true, 0);
                continue;
            }
            let (late, fires) = self.about(instant, jitter, now);
            one_was_missed |= late;
            if fires {
                kept.push_back(Firing { instant, late });
            } else {
                due.skip(&instant);
            }
            // Those that are merely due together all fire.
            while one_was_missed && kept.len() > self.most() {
                kept.pop_front().iter().for_each(|firing| due.skip(&firing.instant));
            }
        }
        due.fire = kept.into();
        due
    }

    /// So many fire at most after some were missed.
    fn most(&self) -> usize {
        match self.missed {
            Missed::Skip | Missed::Latest => 1,
            Missed::All => self.cap.max(1),
        }
    }

    /// Whether an instant was missed, and whether it fires. How late it is counts from the end of its delay, for
    /// until then nobody is to take it.
    fn about(&self, instant: DateTime<FixedOffset>, jitter: &Jitter, now: DateTime<Utc>) -> (bool, bool) {
        let lateness = now - jitter.of(instant.to_utc());
        let late = lateness > GRACE;
        let too_old = self.max_age.is_some_and(|age| lateness.to_std().is_ok_and(|lateness| lateness > age));
        (late, !late || (self.missed != Missed::Skip && !too_old))
    }
}

impl Due {
    fn skip(&mut self, instant: &DateTime<FixedOffset>) {
        self.skipped += 1;
        self.skipped_to = self.skipped_to.max(instant.to_utc());
    }
}

/// A time before `now`, from which fewer than can be counted lie ahead.
fn near(cron: &Cron, mut from: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    loop {
        let middle = from + (now - from) / 2;
        let ahead = std::iter::successors(cron.next_after(middle), |instant| cron.next_after(instant.to_utc()));
        let ahead = ahead.take_while(|instant| *instant <= now).take(MAX_COUNTED as usize).count();
        if ahead < MAX_COUNTED as usize || now - middle <= TimeDelta::seconds(1) {
            return middle;
        }
        from = middle;
    }
}

/// Spreads firings that fall on one instant. The same instant is always delayed by the same time.
#[derive(Debug, Clone)]
pub(super) struct Jitter {
    most: Duration,
    seed: String,
}

impl Jitter {
    /// Delays of up to `most`, other ones for another `seed`.
    pub fn new(most: Duration, seed: &str) -> Self {
        Self { most, seed: seed.to_owned() }
    }

    /// When `instant` fires.
    pub fn of(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let millis = u64::try_from(self.most.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return instant;
        }
        let digest = Sha256::new().chain_update(&self.seed).chain_update(instant.timestamp().to_be_bytes()).finalize();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        instant + TimeDelta::milliseconds(i64::try_from(number % millis).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
