//! F22: the wall clock is set, and zones put theirs forward and back. F45: many schedules on one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use flyball::core_agent::Clock;
use flyball::journal::{Entry, MemoryStorage, Record};
use flyball::runtime::{AgentRuntime, Control, ProcessSpec, RuntimeParts};
use flyball::triggers::{CronConfig, CronTrigger, Missed, Trigger};
use serde_json::{Value, json};

use crate::clock::SetClock;
use crate::memory::{Outside, Plan as Parts, block_on, open, resume};
use crate::tally::{Plan, Tally};

const THREADS: usize = 8;

/// How the clock moves, and what happens to the process meanwhile.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many seconds, also back.
    Clock(i64),
    /// Killed, and started anew.
    Crash,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const YEAR: i64 = 365 * 24 * HOUR;

/// A process with one schedule, under a clock that is set.
struct Walk {
    cron: CronConfig,
    start: DateTime<Utc>,
    steps: Vec<Step>,
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CronConfig { cron_expression, cron_timezone, missed, .. } = &self.cron;
        write!(f, "{cron_expression} in {cron_timezone:?}, missed {missed:?}, from {}: {:?}", self.start, self.steps)
    }
}

pub fn clock_is_set(plan: &Plan, tally: &Tally) {
    tally.part("the clock is set by +1 h, -1 h, +10 years and back, with crashes, under each policy for what was missed");
    let mut random = plan.random(22);
    let start = Utc.with_ymd_and_hms(2026, 3, 27, 22, 58, 0).single().expect("it is a time");
    let mut walks = Vec::new();
    for missed in [Missed::Skip, Missed::Latest, Missed::All] {
        for jump in [HOUR, -HOUR, 10 * YEAR] {
            for crash in [false, true] {
                let mut steps = vec![Step::Clock(2 * MINUTE), Step::Clock(jump)];
                steps.extend(crash.then_some(Step::Crash));
                steps.extend([
                    Step::Clock(6 * MINUTE),
                    Step::Clock(-jump),
                    Step::Clock(6 * MINUTE),
                    Step::Clock(jump),
                    Step::Crash,
                    Step::Clock(11 * MINUTE),
                ]);
                walks.push(Walk { cron: CronConfig { missed, ..CronConfig::new("*/5 * * * *") }, start, steps });
            }
        }
    }
    for _ in 0..plan.count(4, 400) {
        let missed = [Missed::Skip, Missed::Latest, Missed::All][random.below(3) as usize];
        let mut cron =
            CronConfig { missed, ..CronConfig::new(["*/5 * * * *", "0 * * * *", "30 2 * * *"][random.below(3) as usize]) };
        cron.cron_timezone = [None, Some("Europe/Berlin"), Some("America/New_York")][random.below(3) as usize].map(str::to_owned);
        let jumps = [MINUTE, 7 * MINUTE, HOUR, -HOUR, 3 * HOUR, 25 * HOUR, 10 * YEAR, -10 * YEAR];
        let mut step = || if random.below(5) == 0 { Step::Crash } else { Step::Clock(jumps[random.below(8) as usize]) };
        let steps = (0..10).map(|_| step()).collect();
        walks.push(Walk { cron, start, steps });
    }
    tally.each(THREADS, &plan.sample(walks, 10), |walk| block_on(walk.judge()));
    zones(plan, tally);
}

impl Walk {
    async fn judge(&self) -> Result<(), String> {
        let (mut disk, outside, clock) = (MemoryStorage::default(), Outside::new(), SetClock::new(self.start));
        let mut life = Scheduled::begin(&disk, &outside, &clock, &self.cron).await?;
        for step in &self.steps {
            match step {
                Step::Clock(seconds) => clock.step(TimeDelta::seconds(*seconds)),
                Step::Crash => {
                    life.log.close();
                    disk = disk.fork();
                    life = Scheduled::begin(&disk, &outside, &clock, &self.cron).await?;
                }
            }
            life.settle().await?;
            self.holds(&disk, &life).await.map_err(|error| format!("after {step:?} at {}: {error}", clock.now()))?;
        }
        Ok(())
    }

    async fn holds(&self, disk: &MemoryStorage, life: &Scheduled) -> Result<(), String> {
        life.log.process("p").append(Vec::new()).await.map_err(|error| error.to_string())?;
        let (_, recovery) = open(&disk.fork(), 1 << 20).map_err(|error| error.to_string())?;
        let records = recovery.processes.get("p").cloned().unwrap_or_default();
        once_each(&records)?;
        let status = life.status().await;
        let (day, used) = (&status["budget"]["day"], status["budget"]["used"]["tool_calls_day"].as_u64().unwrap_or(0));
        let of_day = days(&records)?.into_iter().filter(|(_, of)| of == day).count() as u64;
        if used < of_day {
            return Err(format!("{of_day} calls were made for {day}, and the budget counts {used} (P8)"));
        }
        Ok(())
    }
}

/// No instant fired twice.
fn once_each(records: &[Record]) -> Result<BTreeSet<String>, String> {
    let mut fired = BTreeSet::new();
    for record in records {
        if let Entry::TriggerEvent { event, .. } = &record.entry
            && !fired.insert(event.key().to_owned())
        {
            return Err(format!("{} fired twice (P14)", event.key()));
        }
    }
    Ok(fired)
}

/// The day for which each call counts; the error is that a later call counts for an earlier one.
fn days(records: &[Record]) -> Result<BTreeMap<String, Value>, String> {
    let mut days = BTreeMap::new();
    let mut latest = String::new();
    for record in records {
        if let Entry::ToolCall { run, step, notes, .. } = &record.entry {
            let day = notes["budget"]["day"].clone();
            let text = day.as_str().unwrap_or_default().to_owned();
            if text < latest {
                return Err(format!("a call counts for {text} after one that counted for {latest} (P8)"));
            }
            latest = text;
            days.insert(format!("{run}/{step}"), day);
        }
    }
    Ok(days)
}

/// A runtime with one process `p` that has a schedule, and makes one call each time it fires.
struct Scheduled {
    runtime: AgentRuntime,
    log: Arc<flyball::journal::Log>,
}

impl Scheduled {
    async fn begin(disk: &MemoryStorage, outside: &Arc<Outside>, clock: &SetClock, cron: &CronConfig) -> Result<Self, String> {
        let (log, recovery) = resume(disk, 1 << 20).map_err(|error| error.to_string())?;
        let mut parts = RuntimeParts::new((Arc::clone(&log), recovery).into());
        parts.clock = Arc::new(clock.clone());
        let runtime = AgentRuntime::new(parts);
        let mut plan = Parts::new(outside, Arc::new(clock.clone()));
        let (cron, at) = (cron.clone(), clock.clone());
        plan.model = Arc::new(Puts);
        plan.triggers = Box::new(move || {
            vec![Box::new(CronTrigger::new(cron.clone(), Arc::new(at.clone())).expect("a schedule")) as Box<dyn Trigger>]
        });
        runtime.add_process(ProcessSpec::new("p"), Arc::new(plan)).map_err(|error| error.to_string())?;
        runtime.start("p").await.map_err(|error| error.to_string())?;
        Ok(Self { runtime, log })
    }

    async fn status(&self) -> serde_json::Map<String, Value> {
        self.runtime.process_status("p").await.expect("there is p").layers
    }

    /// Waits until nothing more happens.
    async fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut before = None;
        loop {
            tokio::time::sleep(Duration::from_millis(12)).await;
            let status = self.runtime.process_status("p").await.map_err(|error| error.to_string())?;
            let skipped: u64 = status.triggers.iter().map(|trigger| trigger.skipped).sum();
            let now = Some((status.events, skipped, status.active_runs, status.open_events));
            if now == before && status.active_runs == 0 && status.open_events == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("it does not come to rest: {status:?}"));
            }
            before = now;
        }
    }

    /// Which instants fired so far.
    async fn fired(&self) -> Result<BTreeSet<String>, String> {
        self.log.process("p").append(Vec::new()).await.map_err(|error| error.to_string())?;
        once_each(&self.log.records("p").map_err(|error| error.to_string())?)
    }
}

/// A model that wants one call, and then no more.
struct Puts;

#[async_trait::async_trait]
impl flyball::core_agent::Model for Puts {
    async fn reply(
        &self,
        turn: &flyball::core_agent::Turn,
    ) -> Result<flyball::core_agent::Reply, flyball::core_agent::CallError> {
        if turn.step.0 != "t0" {
            return Ok(flyball::core_agent::Reply::say("done"));
        }
        let call = flyball::core_agent::WantedCall { id: "c".into(), name: "put".into(), args: json!({}) };
        Ok(flyball::core_agent::Reply { calls: vec![call], ..Default::default() })
    }
}

const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Santiago",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Auckland",
];

/// A zone around one of its changes.
struct Change {
    zone: Tz,
    expression: &'static str,
    from: DateTime<Utc>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}, three days from {}", self.expression, self.zone, self.from)
    }
}

fn zones(plan: &Plan, tally: &Tally) {
    tally.part("three days around every change of 12 zones' clocks in two years, hour by hour, daily and hourly schedules");
    let mut changes = Vec::new();
    for zone in ZONES {
        let zone: Tz = zone.parse().expect("a zone");
        for from in windows(zone) {
            changes.extend(["30 2 * * *", "15 * * * *"].map(|expression| Change { zone, expression, from }));
        }
    }
    tally.each(THREADS, &plan.sample(changes, 6), |change| block_on(change.judge()));
}

/// A day and a half before each change of the offset in 2026 and 2027; one window where there is none.
fn windows(zone: Tz) -> Vec<DateTime<Utc>> {
    let start = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("it is a time");
    let offset = |at: DateTime<Utc>| chrono::Offset::fix(&zone.offset_from_utc_datetime(&at.naive_utc()));
    let hours = (0..2 * 365 * 24).map(|hour| start + TimeDelta::hours(hour));
    let changes: Vec<_> =
        hours.filter(|at| offset(*at) != offset(*at + TimeDelta::hours(1))).map(|at| at - TimeDelta::hours(36)).collect();
    if changes.is_empty() { vec![start] } else { changes }
}

impl Change {
    async fn judge(&self) -> Result<(), String> {
        let (disk, outside, clock) = (MemoryStorage::default(), Outside::new(), SetClock::new(self.from));
        let cron = CronConfig {
            cron_timezone: Some(self.zone.name().to_owned()),
            missed: Missed::All,
            ..CronConfig::new(self.expression)
        };
        let life = Scheduled::begin(&disk, &outside, &clock, &cron).await?;
        life.settle().await?;
        for _ in 0..72 {
            clock.step(TimeDelta::hours(1));
            let due = self.due_by(clock.now());
            let deadline = Instant::now() + Duration::from_secs(20);
            while (life.runtime.process_status("p").await.map_err(|error| error.to_string())?.events.completed as usize)
                < due.len()
            {
                if Instant::now() > deadline {
                    return Err(format!("by {} these were due, and {:?} fired: {due:?} (P14)", clock.now(), life.fired().await?));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        life.settle().await?;
        let (fired, due) = (life.fired().await?, self.due_by(clock.now()));
        if fired == due { Ok(()) } else { Err(format!("{fired:?} fired, and these were due: {due:?} (P14)")) }
    }

    /// By looking at every minute: a daily schedule fires once a date, at its time or, where that is
    /// skipped, at the first one after it; an hourly one whenever the wall shows its minute.
    fn due_by(&self, now: DateTime<Utc>) -> BTreeSet<String> {
        let daily = self.expression.starts_with("30");
        let half_past_two = NaiveTime::from_hms_opt(2, 30, 0).expect("a time");
        let mut dates: BTreeSet<NaiveDate> = BTreeSet::new();
        let local = |at: DateTime<Utc>| at.with_timezone(&self.zone).naive_local();
        if local(self.from).time() >= half_past_two {
            dates.insert(local(self.from).date());
        }
        let minutes = (now - self.from).num_minutes();
        let instants = (1..=minutes).map(|minute| self.from + TimeDelta::minutes(minute));
        let fires = |at: &DateTime<Utc>| {
            let wall = local(*at);
            if daily { wall.time() >= half_past_two && dates.insert(wall.date()) } else { wall.minute() == 15 }
        };
        instants.filter(fires).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).collect()
    }
}

/// Thousands of processes whose schedules all say noon.
pub fn one_instant(plan: &Plan, tally: &Tally) {
    tally.part("processes whose schedules all fall on one instant, spread by a jitter of 30 s: each fires once");
    let count = plan.count(200, 5_000);
    let start = Utc.with_ymd_and_hms(2026, 6, 1, 11, 59, 58).single().expect("it is a time");
    let result = block_on(all_at_noon(count, start));
    match result {
        Ok((most, took)) => {
            tally.note(format!(
                "{count} processes; at most {most} fired in the same second; all were done {} ms after the last was due",
                took.as_millis()
            ));
            tally.counted(count, "all at noon", Ok(()));
        }
        Err(error) => tally.counted(count, "all at noon", Err(error)),
    }
}

async fn all_at_noon(count: u64, start: DateTime<Utc>) -> Result<(u64, Duration), String> {
    let (disk, outside, clock) = (MemoryStorage::default(), Outside::new(), SetClock::new(start));
    let (log, recovery) = resume(&disk, 4 << 20).map_err(|error| error.to_string())?;
    let mut parts = RuntimeParts::new((Arc::clone(&log), recovery).into());
    parts.clock = Arc::new(clock.clone());
    let runtime = AgentRuntime::new(parts);
    for number in 0..count {
        let name = format!("p{number}");
        let mut plan = Parts::new(&outside, Arc::new(clock.clone()));
        let (at, owner) = (clock.clone(), name.clone());
        plan.triggers = Box::new(move || {
            let cron = CronConfig { jitter: 30.0, ..CronConfig::new("0 12 * * *") };
            let trigger = CronTrigger::new(cron, Arc::new(at.clone())).expect("a schedule").spread_by(&owner);
            vec![Box::new(trigger) as Box<dyn Trigger>]
        });
        runtime.add_process(ProcessSpec::new(&name), Arc::new(plan)).map_err(|error| error.to_string())?;
    }
    if let Some((name, error)) = runtime.start_all().await.first() {
        return Err(format!("{name} does not start: {error}"));
    }
    let completed = || runtime.processes().iter().map(|process| process.status().events.completed).sum::<u64>();
    let mut most = 0;
    let mut before = 0;
    let mut last = Instant::now();
    for _ in 0..33 {
        clock.step(TimeDelta::seconds(1));
        last = Instant::now();
        // Until nothing moves any more.
        let mut seen = before;
        loop {
            tokio::time::sleep(Duration::from_millis(40)).await;
            let now = completed();
            if now == seen {
                break;
            }
            seen = now;
        }
        most = most.max(seen - before);
        before = seen;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while completed() < count {
        if Instant::now() > deadline {
            return Err(format!("{} of {count} fired (P14)", completed()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = last.elapsed();
    tokio::time::sleep(Duration::from_millis(100)).await;
    log.process("p0").append(Vec::new()).await.map_err(|error| error.to_string())?;
    let (_, recovery) = open(&disk.fork(), 4 << 20).map_err(|error| error.to_string())?;
    for (process, records) in &recovery.processes {
        let fired = once_each(records)?;
        if fired.len() != 1 {
            return Err(format!("{process} fired {} times for one instant: {fired:?} (P14)", fired.len()));
        }
    }
    let spread = 30;
    if most > count / spread * 4 + 20 {
        return Err(format!("{most} of {count} fired in one second though they are spread over {spread}"));
    }
    Ok((most, took))
}
