//! A clock that can be set to any time, also back.

use chrono::{DateTime, TimeDelta, Utc};
use flyball::core_agent::Clock;
use tokio::sync::watch;

/// Shows what it was last set to.
#[derive(Debug, Clone)]
pub struct SetClock(watch::Sender<DateTime<Utc>>);

impl SetClock {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(watch::Sender::new(now))
    }

    pub fn step(&self, by: TimeDelta) {
        self.0.send_modify(|now| *now += by);
    }
}

#[async_trait::async_trait]
impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    async fn sleep_until(&self, instant: DateTime<Utc>) {
        // The sender lives in self, so the channel cannot close while we wait.
        let _ = self.0.subscribe().wait_for(|now| *now >= instant).await;
    }
}
