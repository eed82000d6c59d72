//! The `cron` trigger: wakes an agent by the calendar.

mod due;
mod field;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use flyball_core_agent::{Clock, TriggerEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use crate::retry::offer_patiently;
use crate::{Cursor, Error, Moved, Overlap, Sink, Trigger, identity};

pub use due::Missed;
use due::{Due, Firing, Jitter, Lateness};
pub use schedule::Cron;

/// When a [`CronTrigger`] fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronConfig {
    /// Five fields (minute, hour, day of month, month, day of week), or six with the seconds last.
    pub cron_expression: String,
    /// An IANA zone such as `Europe/Berlin`. UTC where nothing is said.
    #[serde(default)]
    pub cron_timezone: Option<String>,
    /// What becomes of instants that passed while nobody could take them. No part of the trigger's
    /// name, as what follows.
    #[serde(default, skip_serializing)]
    pub missed: Missed,
    /// Of `missed: all`, so many are caught up with at most, the latest ones; 100 where nothing is said.
    #[serde(default = "hundred", skip_serializing)]
    pub missed_cap: u32,
    /// What was missed longer ago than this, in seconds, is not caught up with; 0 is never too long.
    #[serde(default, skip_serializing)]
    pub missed_max_age: f64,
    /// What becomes of an instant that comes while an earlier one is not handled yet; `skip` where
    /// nothing is said.
    #[serde(default = "skip", skip_serializing)]
    pub overlap: Overlap,
    /// Each firing is delayed by up to so many seconds, always by as many for one process and instant.
    #[serde(default, skip_serializing)]
    pub jitter: f64,
}

/// Fires at each instant of its schedule. Payload: `scheduled_time` (RFC 3339 with the zone's
/// offset), `cron_expression`, `timezone`.
///
/// Which instants were seen to is kept with the process, so none fires twice: not after a crash, and
/// not when the clock is set back. The next one is counted from the last one and not from when that
/// was handled, so a slow process shifts nothing. Those that passed while the process was down, the
/// machine slept, the clock jumped or nobody took them are [`Missed`].
pub struct CronTrigger {
    id: String,
    cron: Cron,
    config: CronConfig,
    jitter: Jitter,
    clock: Arc<dyn Clock>,
    /// Up to here all instants were seen to.
    last: Option<DateTime<Utc>>,
    /// Nothing was known of it before it was opened.
    first_time: bool,
    /// For what instant the timer is set.
    armed: watch::Sender<Option<DateTime<Utc>>>,
}

/// Under which key the last instant is kept.
const LAST: &str = "last";

/// Where the clock is so far behind the last instant, whoever runs it may wonder why nothing fires.
const TOLD_FROM: TimeDelta = TimeDelta::hours(2);

/// More than a day late is not jitter but another schedule.
const MAX_JITTER: f64 = 86_400.0;

impl CronConfig {
    /// `cron_expression` in UTC.
    pub fn new(cron_expression: &str) -> Self {
        Self {
            cron_expression: cron_expression.to_owned(),
            cron_timezone: None,
            missed: Missed::default(),
            missed_cap: hundred(),
            missed_max_age: 0.0,
            overlap: skip(),
            jitter: 0.0,
        }
    }
}

impl CronTrigger {
    /// Checks expression and zone. One that never comes, such as 31 February, is an [`Error::Config`].
    pub fn new(config: CronConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let cron = Cron::parse(&config.cron_expression, config.cron_timezone.as_deref())?;
        if !(0.0..=MAX_JITTER).contains(&config.jitter) {
            return Err(Error::Config(format!("jitter: must be between 0 and {MAX_JITTER} seconds")));
        }
        if !(config.missed_max_age >= 0.0 && config.missed_max_age.is_finite()) {
            return Err(Error::Config("missed_max_age: must be 0 or more seconds".to_owned()));
        }
        let id = identity::trigger_id("cron", &config)?;
        let jitter = Jitter::new(Duration::from_secs_f64(config.jitter), &id);
        Ok(Self { id, cron, config, jitter, clock, last: None, first_time: true, armed: watch::Sender::default() })
    }

    /// Delays the same instant by another time for another `process`, where there is a jitter.
    #[must_use]
    pub fn spread_by(mut self, process: &str) -> Self {
        self.jitter = Jitter::new(Duration::from_secs_f64(self.config.jitter), process);
        self
    }

    fn event(&self, instant: DateTime<FixedOffset>) -> TriggerEvent {
        let payload = json!({
            "scheduled_time": instant.to_rfc3339_opts(SecondsFormat::Secs, false),
            "cron_expression": self.cron.expression(),
            "timezone": self.cron.timezone(),
        });
        let mut event = TriggerEvent::new(&self.id, "cron", self.clock.now(), payload);
        event.dedup_key = Some(written(instant.to_utc()));
        event
    }

    /// Where the trigger stands when everything up to `instant` was seen to.
    fn cursor(instant: DateTime<Utc>) -> Cursor {
        Cursor::from_iter([(LAST.to_owned(), json!(written(instant)))])
    }

    fn lateness(&self) -> Lateness {
        let max_age = self.config.missed_max_age;
        let max_age = (max_age > 0.0).then(|| Duration::from_secs_f64(max_age));
        Lateness { missed: self.config.missed, cap: self.config.missed_cap as usize, max_age }
    }

    /// Sees to everything that is due.
    async fn fire(&self, due: Due, sink: &Sink) -> Result<DateTime<Utc>, Error> {
        if due.skipped > 0 {
            let more = if due.more { "at least " } else { "" };
            let passed = match due.skipped {
                1 if !due.more => "1 instant was missed".to_owned(),
                count => format!("{more}{count} instants were missed"),
            };
            let why = format!("{passed}, up to {}", written(due.skipped_to));
            tracing::info!(trigger = self.id, %why);
            let cursor = Self::cursor(due.skipped_to);
            self.tell(sink, Moved { trigger_id: self.id.clone(), cursor, skipped: due.skipped, why }).await?;
        }
        let several = due.fire.len() > 1;
        let mut last = due.skipped_to;
        for Firing { instant, late } in due.fire {
            last = last.max(instant.to_utc());
            // What is caught up with was chosen to be; it waits for its turn. Of all, so do those of the last minute.
            let caught_up = late || self.config.missed == Missed::All;
            let waits = caught_up && several && self.config.overlap == Overlap::Skip;
            let overlap = if waits { Overlap::Queue } else { self.config.overlap };
            offer_patiently(sink, self.event(instant), Self::cursor(last), overlap).await?;
        }
        Ok(last)
    }

    async fn tell(&self, sink: &Sink, moved: Moved) -> Result<(), Error> {
        sink.moved(moved).await.map_err(|closed| Error::Unavailable(closed.to_string()))
    }

    /// Sets the timer for what comes after `last`; `None` if nothing does.
    fn arm(&self, last: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let at = self.cron.next_after(last).map(|next| self.jitter.of(next.to_utc()));
        self.armed.send_replace(at);
        at
    }

    async fn watch(&self, sink: &Sink) -> Result<std::convert::Infallible, Error> {
        let mut last = self.last.unwrap_or_else(|| self.clock.now());
        if self.first_time {
            // From here on instants can be missed.
            let moved = Moved { trigger_id: self.id.clone(), cursor: Self::cursor(last), skipped: 0, why: String::new() };
            self.tell(sink, moved).await?;
        }
        loop {
            let Some(at) = self.arm(last) else {
                let expression = self.cron.expression();
                return Err(Error::Unavailable(format!("cron_expression \"{expression}\" has no further instant")));
            };
            self.clock.sleep_until(at).await;
            let due = self.lateness().judge(&self.cron, &self.jitter, last, self.clock.now());
            last = self.fire(due, sink).await?.max(last);
        }
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

    fn label(&self) -> String {
        format!("`{}` ({})", self.cron.expression(), self.cron.timezone())
    }

    fn overlap(&self) -> Overlap {
        self.config.overlap
    }

    fn armed(&self) -> Option<watch::Receiver<Option<DateTime<Utc>>>> {
        Some(self.armed.subscribe())
    }

    async fn open(&mut self, cursor: &Cursor) -> Result<(), Error> {
        let known = cursor.get(LAST).and_then(|last| last.as_str()?.parse().ok());
        self.first_time = known.is_none();
        let now = self.clock.now();
        let last = known.unwrap_or(now);
        if last - now > TOLD_FROM {
            let (id, from) = (&self.id, written(last));
            tracing::warn!(trigger = id, "the clock was set back: instants up to {from} were seen to, and none fires before");
        }
        self.last = Some(last);
        self.arm(last);
        Ok(())
    }

    async fn run(self: Box<Self>, sink: Sink) -> Error {
        match self.watch(&sink).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }
}

fn written(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn hundred() -> u32 {
    100
}

fn skip() -> Overlap {
    Overlap::Skip
}
