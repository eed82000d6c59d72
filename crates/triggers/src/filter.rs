//! Which of a trigger's events its process wants, as an expression says.

mod bind;
mod check;
mod cost;
mod functions;
mod parse;
mod reason;
mod size;
mod words;

use std::fmt;
use std::sync::{Mutex, PoisonError};

use cel::Value;
use cel::common::types::CelBool;
use chrono::SecondsFormat;
use flyball_core_agent::TriggerEvent;
use tokio::sync::watch;

use crate::{Error, Refusal};
use check::Program;
use cost::MAX_STEPS;
use size::Sizes;
use words::quote;

pub(crate) use words::nearest;

/// A condition on events, in [CEL](https://cel.dev), that was checked when it was parsed.
///
/// It sees `payload`, `metadata`, `trigger_type`, `trigger_id` and `event_id`. Where the payload is
/// an object, its keys are names too, unless they are one of these five, the name of a type, or no
/// name at all. It must give `true` or `false`; whatever else comes of it counts as no match.
///
/// There are CEL's operators and macros (`has`, `all`, `exists`, `exists_one`, `map`, `filter`) and
/// of its functions `size`, `contains`, `startsWith`, `endsWith`, `matches`, `type`, `dyn`, `int`,
/// `uint`, `double`, `string`, `bytes` and `bool`. Timestamps and durations are not there.
///
/// A whole number of JSON is an `int` (a `uint` beyond 9223372036854775807), any other a `double`.
/// They compare by value: `5 == 5.0`, and `payload.lag > 3` holds for 5 and for 5.5. Arithmetic does
/// not mix them: write `double(payload.lag) * 1.5`.
///
/// What evaluating may cost is bounded before it begins, by the sizes of the event at hand. Where
/// that is too much the event is not let through, as where evaluating fails.
pub struct Filter {
    program: Program,
    counts: watch::Sender<FilterCounts>,
    /// Why an event could not be judged, the last time. A log that says it again and again is not read.
    told: Mutex<Option<String>>,
}

/// What a filter says to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted.
    Pass,
    /// It is not wanted.
    Reject,
    /// The filter cannot tell, and why. It counts as not wanted.
    Failed(String),
}

/// What a filter has done since it was made. An event that is offered again counts again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilterCounts {
    /// Events that were let through and taken.
    pub passed: u64,
    /// Events that were not wanted.
    pub rejected: u64,
    /// Events of which the filter could not tell; they were not let through.
    pub failed: u64,
    /// When and why an event was last not let through.
    pub last: Option<String>,
}

impl Filter {
    /// Checks `text`: that it is CEL, calls only what is there, can give a truth value, has at most
    /// 2,000 characters, and asks for no more work than an event is worth. The [`Error::Config`]
    /// says where in the expression the mistake is. Parsing takes a thread of its own for a moment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let program = check::program(text).map_err(|what| Error::Config(format!("filter_expression: {what}")))?;
        Ok(Self { program, counts: watch::Sender::default(), told: Mutex::default() })
    }

    /// Checks the names that it uses against a trigger's events, of whose payload all `keys` are known: one
    /// that is neither a key nor a name of every event lets nothing through, ever.
    pub fn check_names(&self, keys: &[&str]) -> Result<(), Error> {
        let unknown = |(name, _): &&(String, String)| !keys.contains(&name.as_str()) && !bind::NAMES.contains(&name.as_str());
        let Some((name, at)) = self.program.free.iter().find(unknown) else { return Ok(()) };
        let known = || bind::NAMES.iter().chain(keys).copied();
        let help = match nearest(name, known()) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        Err(Error::Config(format!("filter_expression: {at}there is no name {}; {help}", quote(name))))
    }

    /// A name that may be a key of some payload, but is nearly one that every event has: what it is and what was
    /// probably meant.
    pub fn slip(&self) -> Option<String> {
        self.program.free.iter().filter(|(name, _)| !bind::NAMES.contains(&name.as_str())).find_map(|(name, at)| {
            let meant = nearest(name, bind::NAMES.into_iter())?;
            Some(format!("{at}{} is taken for a key of the payload; did you mean '{meant}'?", quote(name)))
        })
    }

    /// Whether `event` is wanted. The same event gets the same answer, unless the expression asks in
    /// which order a map has its keys.
    pub fn matches(&self, event: &TriggerEvent) -> Verdict {
        self.judge(event).unwrap_or_else(Verdict::Failed)
    }

    /// What it has done so far, and each change of that.
    pub fn counts(&self) -> watch::Receiver<FilterCounts> {
        self.counts.subscribe()
    }

    fn judge(&self, event: &TriggerEvent) -> Result<Verdict, String> {
        let sizes = Sizes::of(event, &self.program)?;
        let steps = cost::steps(&self.program.expr, &sizes);
        if steps > MAX_STEPS {
            return Err(format!("it may take {steps} steps for this event; {MAX_STEPS} are allowed"));
        }
        let context = bind::context(event, &self.program);
        let value = Value::resolve_val(&self.program.expr, &context).map_err(|error| reason::of(&error))?;
        match value.downcast_ref::<CelBool>().map(|truth| *truth.inner()) {
            Some(true) => Ok(Verdict::Pass),
            Some(false) => Ok(Verdict::Reject),
            None => Err(format!("it gives {}, and must give true or false", reason::kind(value.get_type().name()))),
        }
    }

    /// Judges and counts an event that is offered.
    pub(crate) fn admit(&self, event: &TriggerEvent) -> Result<(), Refusal> {
        let (why, failed) = match self.matches(event) {
            Verdict::Pass => return Ok(()),
            Verdict::Reject => ("filter_expression is false".to_owned(), false),
            Verdict::Failed(reason) => (format!("filter_expression failed: {reason}"), true),
        };
        if failed {
            self.warn(event, &why);
        }
        let last = format!("{}: {why}", event.timestamp.to_rfc3339_opts(SecondsFormat::Secs, true));
        self.counts.send_modify(|counts| {
            *(if failed { &mut counts.failed } else { &mut counts.rejected }) += 1;
            counts.last = Some(last);
        });
        Err(Refusal::Filtered { why })
    }

    /// Counts an event that was let through and taken.
    pub(crate) fn taken(&self) {
        self.counts.send_modify(|counts| counts.passed += 1);
    }

    fn warn(&self, event: &TriggerEvent, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_deref() != Some(why) {
            tracing::warn!(trigger = event.trigger_id, event = event.event_id, why, "the event is ignored");
            *told = Some(why.to_owned());
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("counts", &*self.counts.borrow()).finish_non_exhaustive()
    }
}
