//! Time as an argument, so that a test owns it.

mod node;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;

pub use node::NodeClock;

/// Where everything that keeps time reads it: triggers, deadlines of missions, days of budgets.
#[async_trait::async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The wall clock's time.
    fn now(&self) -> DateTime<Utc>;

    /// Returns when the clock shows `instant` or later; at once if it already does.
    /// Cancel-safe: dropping the future forgets the wait and nothing else.
    async fn sleep_until(&self, instant: DateTime<Utc>);
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// What shows the time of day. It may be set, unlike the clock by which sleeps are measured.
type Wall = fn() -> DateTime<Utc>;

/// A clock step or a suspended machine is noticed within this time, because no sleep is longer.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        sleep_until(instant, Utc::now).await;
    }
}

/// Sleeps by the machine's steady clock until `wall` shows `instant`.
async fn sleep_until(instant: DateTime<Utc>, wall: Wall) {
    while let Ok(left) = (instant - wall()).to_std() {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<watch::Sender<DateTime<Utc>>>>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { now: Arc::new(Mutex::new(watch::Sender::new(start))) }
    }

    /// Moves the clock forward and wakes every sleeper whose time has come.
    pub fn advance(&self, by: Duration) {
        let by = TimeDelta::from_std(by).expect("a test's step fits chrono's range");
        self.sender().send_modify(|now| *now += by);
    }

    /// Moves the clock back: whoever sleeps does so for longer.
    pub fn set_back(&self, by: Duration) {
        let by = TimeDelta::from_std(by).expect("a test's step fits chrono's range");
        self.sender().send_modify(|now| *now -= by);
    }

    fn sender(&self) -> std::sync::MutexGuard<'_, watch::Sender<DateTime<Utc>>> {
        self.now.lock().expect("no holder of the clock panics")
    }
}

#[async_trait::async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.sender().borrow()
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        let mut now = self.sender().subscribe();
        // The sender lives in self, so the channel cannot close while we wait.
        let _ = now.wait_for(|now| *now >= instant).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_a_sleeper_only_when_it_is_moved_far_enough() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let due = DateTime::UNIX_EPOCH + TimeDelta::seconds(10);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(due).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.expect("the sleeper ends");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_while_somebody_sleeps_is_noticed_within_half_a_minute() {
        static SHOWS: AtomicI64 = AtomicI64::new(0);
        let due = DateTime::UNIX_EPOCH + TimeDelta::hours(5);
        let sleeper = tokio::spawn(sleep_until(due, || DateTime::UNIX_EPOCH + TimeDelta::seconds(SHOWS.load(Ordering::Relaxed))));
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert!(!sleeper.is_finished(), "the wall clock stands still");
        SHOWS.store(5 * 3600, Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(31), sleeper).await.expect("it is noticed").expect("the sleeper ends");
    }

    #[tokio::test]
    async fn the_system_clock_does_not_sleep_for_what_is_past() {
        SystemClock.sleep_until(DateTime::UNIX_EPOCH).await;
    }
}
