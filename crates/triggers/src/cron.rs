//! The `cron` trigger: wakes an agent by the calendar.

mod field;
mod schedule;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use flyball_core_agent::{Clock, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::retry::offer_patiently;
use crate::{Error, Sink, Trigger, identity};

pub use schedule::Cron;

/// When a [`CronTrigger`] fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronConfig {
    /// Five fields (minute, hour, day of month, month, day of week), or six with the seconds last.
    pub cron_expression: String,
    /// An IANA zone such as `Europe/Berlin`. UTC where nothing is said.
    #[serde(default)]
    pub cron_timezone: Option<String>,
}

impl CronConfig {
    /// `cron_expression` in UTC.
    pub fn new(cron_expression: &str) -> Self {
        Self { cron_expression: cron_expression.to_owned(), cron_timezone: None }
    }
}

/// Fires at each instant of its schedule. Payload: `scheduled_time` (RFC 3339 with the zone's
/// offset), `cron_expression`, `timezone`.
///
/// The next instant is counted from the last one and not from when that was handled, so a slow
/// process shifts nothing. Where several instants passed at once, because the clock jumped or the
/// process did not take the event for long, the latest fires and the earlier ones are gone. The
/// instant is the dedup key, and a clock that is set back makes no instant fire twice.
pub struct CronTrigger {
    id: String,
    cron: Cron,
    clock: Arc<dyn Clock>,
    last: Option<DateTime<Utc>>,
}

impl CronTrigger {
    /// Checks expression and zone. One that never comes, such as 31 February, is an [`Error::Config`].
    pub fn new(config: CronConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let cron = Cron::parse(&config.cron_expression, config.cron_timezone.as_deref())?;
        Ok(Self { id: identity::trigger_id("cron", &config)?, cron, clock, last: None })
    }

    fn event(&self, instant: DateTime<FixedOffset>) -> TriggerEvent {
        let payload = json!({
            "scheduled_time": instant.to_rfc3339_opts(SecondsFormat::Secs, false),
            "cron_expression": self.cron.expression(),
            "timezone": self.cron.timezone(),
        });
        let mut event = TriggerEvent::new(&self.id, "cron", self.clock.now(), payload);
        event.dedup_key = Some(instant.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true));
        event
    }
}

#[async_trait]
impl Trigger for CronTrigger {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "cron"
    }

    async fn open(&mut self) -> Result<(), Error> {
        self.last = Some(self.clock.now());
        Ok(())
    }

    async fn run(self: Box<Self>, sink: Sink) -> Error {
        let mut last = self.last.unwrap_or_else(|| self.clock.now());
        loop {
            let Some(next) = self.cron.next_after(last) else {
                return Error::Unavailable(format!("cron_expression \"{}\" has no further instant", self.cron.expression()));
            };
            self.clock.sleep_until(next.to_utc()).await;
            let due = self.cron.latest(last, self.clock.now()).unwrap_or(next);
            last = due.to_utc();
            if let Err(error) = offer_patiently(&sink, self.event(due)).await {
                return error;
            }
        }
    }
}
