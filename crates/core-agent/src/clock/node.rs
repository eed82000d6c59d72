//! The machine's clock, with one queue of all who wait for it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use tokio::sync::{mpsc, oneshot};
use tokio_util::time::DelayQueue;

use super::{Clock, LONGEST_SLEEP, Wall};

/// The machine's clock, for a node with thousands that wait: one task and one timer queue serve them all.
///
/// The queue looks at the clock again every 30 s for everyone who waits longer, so a clock that is
/// set, or a machine that slept, is noticed within that time.
#[derive(Debug, Clone)]
pub struct NodeClock {
    /// As many wait in it as sleep at the same time; each of them is somebody's future.
    waits: mpsc::UnboundedSender<Wait>,
    wall: Wall,
}

#[derive(Debug)]
struct Wait {
    until: DateTime<Utc>,
    over: oneshot::Sender<()>,
}

impl NodeClock {
    /// Starts the queue's task, which ends with the last clone. Must be called inside a tokio runtime.
    pub fn start() -> Self {
        Self::by(Utc::now)
    }

    fn by(wall: Wall) -> Self {
        let (waits, taken) = mpsc::unbounded_channel();
        tokio::spawn(serve(taken, wall));
        Self { waits, wall }
    }
}

#[async_trait::async_trait]
impl Clock for NodeClock {
    fn now(&self) -> DateTime<Utc> {
        (self.wall)()
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        while self.now() < instant {
            let (over, told) = oneshot::channel();
            // Without its task, which ends with the runtime, there is no time left to wait for.
            if self.waits.send(Wait { until: instant, over }).is_err() || told.await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn serve(mut waits: mpsc::UnboundedReceiver<Wait>, wall: Wall) {
    let mut queue = DelayQueue::new();
    loop {
        tokio::select! {
            wait = waits.recv() => match wait {
                Some(wait) => insert(&mut queue, wait, wall()),
                None => return,
            },
            Some(expired) = queue.next() => {
                let wait: Wait = expired.into_inner();
                if wait.over.is_closed() {
                    // Whoever waited does so no more.
                } else if wall() >= wait.until {
                    let _ = wait.over.send(());
                } else {
                    insert(&mut queue, wait, wall());
                }
            }
        }
    }
}

fn insert(queue: &mut DelayQueue<Wait>, wait: Wait, now: DateTime<Utc>) {
    let left = (wait.until - now).to_std().unwrap_or(Duration::ZERO);
    queue.insert(wait, left.min(LONGEST_SLEEP));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use chrono::TimeDelta;

    use super::*;

    #[tokio::test]
    async fn everyone_is_woken_when_their_time_has_come_and_not_before() {
        let clock = NodeClock::start();
        let start = clock.now();
        let sleepers = (0..500).map(|number| {
            let (clock, until) = (clock.clone(), start + TimeDelta::milliseconds(number % 50));
            tokio::spawn(async move {
                clock.sleep_until(until).await;
                clock.now() >= until
            })
        });
        for woken in futures::future::join_all(sleepers).await {
            assert!(woken.expect("the sleeper ends"), "woken too early");
        }
    }

    #[tokio::test]
    async fn what_is_past_is_not_waited_for_and_a_dropped_wait_harms_nobody() {
        let clock = NodeClock::start();
        clock.sleep_until(DateTime::UNIX_EPOCH).await;
        let far = clock.now() + TimeDelta::hours(1);
        assert!(tokio::time::timeout(Duration::from_millis(5), clock.sleep_until(far)).await.is_err());
        clock.sleep_until(clock.now() + TimeDelta::milliseconds(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_is_noticed_within_half_a_minute_by_everyone() {
        static SHOWS: AtomicI64 = AtomicI64::new(0);
        let clock = NodeClock::by(|| DateTime::UNIX_EPOCH + TimeDelta::seconds(SHOWS.load(Ordering::Relaxed)));
        let due = |hours| clock.sleep_until(DateTime::UNIX_EPOCH + TimeDelta::hours(hours));
        let mut sleepers = std::pin::pin!(futures::future::join_all([due(2), due(5)]));
        let early = tokio::time::timeout(Duration::from_secs(45), sleepers.as_mut()).await;
        assert!(early.is_err(), "the wall clock stands still");
        SHOWS.store(5 * 3600, Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(31), sleepers).await.expect("it is noticed");
    }
}
