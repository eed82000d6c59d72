//! Counting: what was tried, what failed, and what could not be tried here.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::panics;

/// How much is tried.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub trials: Option<u64>,
    pub quick: bool,
    pub progress: bool,
}

/// What came of a fault.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub fault: &'static str,
    pub promises: &'static [&'static str],
    pub what: &'static str,
    pub trials: u64,
    pub failures: u64,
    pub first_failure: Option<String>,
    pub seconds: f64,
    /// Why nothing, or some of it, was not tried.
    pub skipped_because: Option<String>,
    /// What was tried how often, and what was measured.
    pub notes: Vec<String>,
}

impl Row {
    /// The first failure's words.
    pub fn first(&self) -> &str {
        self.first_failure.as_deref().unwrap_or("none")
    }
}

/// Counts the trials of one fault. Threads may share it.
pub struct Tally {
    fault: &'static str,
    plan: Plan,
    trials: AtomicU64,
    failures: AtomicU64,
    /// The trials of the parts before this one.
    before: AtomicU64,
    said: Mutex<Said>,
    started: Instant,
}

#[derive(Default)]
struct Said {
    first: Option<String>,
    skipped: Vec<String>,
    notes: Vec<String>,
    part: String,
    told: Option<Instant>,
}

/// After so many failures of one part the rest of it would say the same.
const ENOUGH_FAILURES: u64 = 25;

/// How often it is said how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

impl Plan {
    /// How often something is tried.
    pub fn count(&self, quick: u64, full: u64) -> u64 {
        self.trials.unwrap_or(if self.quick { quick } else { full })
    }

    /// Of `all` that could be tried, which: all of them, or some that chance chooses.
    pub fn sample<T>(&self, mut all: Vec<T>, quick: u64) -> Vec<T> {
        let wanted = self.trials.unwrap_or(if self.quick { quick } else { u64::MAX });
        let mut random = crate::binary::Random(self.seed);
        while all.len() as u64 > wanted {
            let index = usize::try_from(random.below(all.len() as u64)).expect("an index fits");
            all.swap_remove(index);
        }
        all
    }

    /// Numbers of their own for each part.
    pub fn random(&self, part: u64) -> crate::binary::Random {
        crate::binary::Random(self.seed ^ part.wrapping_mul(0x9E37_79B9))
    }
}

impl Tally {
    pub fn new(fault: &'static str, plan: &Plan) -> Self {
        Self {
            fault,
            plan: plan.clone(),
            trials: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            before: AtomicU64::new(0),
            said: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// A part of the fault begins: what is done in it.
    pub fn part(&self, what: impl Display) {
        self.close_part();
        self.said().part = what.to_string();
    }

    /// One trial. What panics has failed, and so has what made something else panic.
    pub fn trial(&self, name: impl Display, work: impl FnOnce() -> Result<(), String>) {
        let ended = std::panic::catch_unwind(AssertUnwindSafe(work));
        let panics = panics::take();
        let result = match ended {
            Ok(result) if panics.is_empty() => result,
            Ok(Ok(())) => Err(panics.join("; ")),
            Ok(Err(error)) => Err(format!("{error}; {}", panics.join("; "))),
            Err(payload) if panics.is_empty() => Err(panics::what(&*payload)),
            Err(_) => Err(panics.join("; ")),
        };
        self.count(&name.to_string(), result);
    }

    /// Trials side by side, one for each of `items`, on so many threads.
    pub fn each<T: Sync + Display>(&self, threads: usize, items: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) {
        let next = AtomicU64::new(0);
        let failures = self.failures.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(items.len()) {
                scope.spawn(|| {
                    loop {
                        let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                        let Some(item) = items.get(index) else { return };
                        if self.failures.load(Ordering::Relaxed) - failures >= ENOUGH_FAILURES {
                            return;
                        }
                        self.trial(item, || work(item));
                    }
                });
            }
        });
    }

    /// As [`each`](Self::each), where one item is many trials: `work` is given what judges one of them.
    pub fn each_of_many<T: Sync + Display>(
        &self,
        threads: usize,
        items: &[T],
        work: impl Fn(&T, &dyn Fn(String, &dyn Fn() -> Result<(), String>)) + Sync,
    ) {
        let next = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads.min(items.len()) {
                scope.spawn(|| {
                    loop {
                        let index = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                        let Some(item) = items.get(index) else { return };
                        if self.is_hopeless() {
                            return;
                        }
                        work(item, &|name, judge| self.trial(name, judge));
                    }
                });
            }
        });
    }

    /// As [`each`](Self::each), where every item is `size` trials that are judged together.
    pub fn batches<T: Sync + Display>(
        &self,
        threads: usize,
        items: &[T],
        size: u64,
        work: impl Fn(&T) -> Result<(), String> + Sync,
    ) {
        self.trials.fetch_add((size - 1) * items.len() as u64, Ordering::Relaxed);
        let before = self.trials.load(Ordering::Relaxed);
        self.each(threads, items, work);
        // Those that were left out because enough had failed were not tried.
        let tried = self.trials.load(Ordering::Relaxed) - before;
        self.trials.fetch_sub((size - 1) * (items.len() as u64 - tried), Ordering::Relaxed);
    }

    /// So many trials that were judged together elsewhere.
    pub fn counted(&self, trials: u64, name: impl Display, result: Result<(), String>) {
        self.trials.fetch_add(trials.saturating_sub(1), Ordering::Relaxed);
        self.count(&name.to_string(), result);
    }

    /// Something worth knowing that is no failure.
    pub fn note(&self, text: impl Display) {
        self.said().notes.push(text.to_string());
    }

    /// Nothing, or a part, can be tried here.
    pub fn skip(&self, why: impl Display) {
        self.said().skipped.push(why.to_string());
    }

    /// Enough failed of this fault that the rest would say the same.
    pub fn is_hopeless(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= ENOUGH_FAILURES
    }

    pub fn row(self, promises: &'static [&'static str], what: &'static str) -> Row {
        self.close_part();
        self.must_be_whole();
        let said = std::mem::take(&mut *self.said());
        Row {
            fault: self.fault,
            promises,
            what,
            trials: self.trials.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            first_failure: said.first,
            seconds: (self.started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            skipped_because: (!said.skipped.is_empty()).then(|| said.skipped.join("; ")),
            notes: said.notes,
        }
    }

    /// A developer's machine may lack a tool or a right; the machine that decides has them all.
    fn must_be_whole(&self) {
        let skipped = self.said().skipped.join("; ");
        if !skipped.is_empty() && std::env::var_os("CI").is_some() {
            self.said().part = "in CI everything is tried".to_owned();
            self.count("what was not tried", Err(skipped));
        }
    }

    fn count(&self, name: &str, result: Result<(), String>) {
        self.trials.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            self.failures.fetch_add(1, Ordering::Relaxed);
            let mut said = self.said();
            let failure = format!("{}: {name}: {error}", said.part);
            if std::env::var_os("CHAOS_SAY_ALL").is_some() {
                eprintln!("{} FAILED {failure}", self.fault);
            }
            said.first.get_or_insert(failure);
        }
        self.progress();
    }

    fn close_part(&self) {
        let trials = self.trials.load(Ordering::Relaxed);
        let of_part = trials - self.before.swap(trials, Ordering::Relaxed);
        let mut said = self.said();
        if of_part > 0 {
            let note = format!("{of_part} x {}", said.part);
            said.notes.push(note);
        }
    }

    fn progress(&self) {
        if !self.plan.progress {
            return;
        }
        let mut said = self.said();
        if said.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            said.told = Some(Instant::now());
            let (trials, failures) = (self.trials.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed));
            eprintln!(
                "{} {trials} trials, {failures} failed, {:.0} s: {}",
                self.fault,
                self.started.elapsed().as_secs_f64(),
                said.part
            );
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
