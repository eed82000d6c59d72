//! The choice, with everything given.

use std::time::Duration;

use flyball_journal::Entry;
use serde_json::json;

use super::*;

/// A process with its records, and what is known beside them.
#[derive(Default)]
struct Scene {
    fold: ProcessFold,
    seq: u64,
    busy: BTreeSet<String>,
    waiting: BTreeSet<RunId>,
    delivery: Delivery,
    serial: bool,
    now: DateTime<Utc>,
}

fn second(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(number)
}

impl Scene {
    /// With one event for each of `triggers`, a second apart, called `e0`, `e1`, and so on.
    fn with(triggers: &[&str]) -> Self {
        let mut scene = Self::default();
        for (number, trigger) in (0..).zip(triggers) {
            let mut event = TriggerEvent::new(trigger, "cron", second(number), json!({}));
            event.event_id = format!("e{number}");
            scene.record(Entry::accepted(event));
        }
        scene
    }

    fn record(&mut self, entry: Entry) {
        self.seq += 1;
        self.fold.apply(self.seq, self.now, &entry);
    }

    fn choose(&self) -> Choice {
        let is_serial = |_: &str| self.serial;
        self.known(&is_serial).choose(&self.fold)
    }

    fn known<'a>(&'a self, is_serial: &'a dyn Fn(&str) -> bool) -> Known<'a> {
        let Self { busy, waiting, delivery, now, .. } = self;
        Known { process: "p", delivery, busy, waiting, is_serial, now: *now }
    }

    /// Begins what is chosen, which must be the event `event_id`, and returns its run.
    fn begin(&mut self, event_id: &str) -> RunId {
        let Choice::Begin { run, event, attempt } = self.choose() else { panic!("{:?}", self.choose()) };
        assert_eq!(event.event_id, event_id);
        self.record(Entry::InvocationStart { run: run.clone(), event_id: event.event_id.clone(), attempt, again: None });
        self.busy.insert(event.event_id);
        run
    }

    /// The run is over, and something is on record about it.
    fn end(&mut self, event_id: &str, entry: Entry) {
        self.busy.remove(event_id);
        self.record(entry);
    }
}

fn failed(run: &RunId, event_id: &str, retry_at: Option<DateTime<Utc>>) -> Entry {
    let last = retry_at.is_none();
    Entry::Error { run: run.clone(), event_id: event_id.into(), error: "no".into(), last, retry_at }
}

#[test]
fn events_begin_in_their_order_and_none_twice() {
    let mut scene = Scene::with(&["a", "a", "b"]);
    for event in ["e0", "e1", "e2"] {
        scene.begin(event);
    }
    assert_eq!(scene.choose(), Choice::Nothing);
}

#[test]
fn a_runs_id_is_the_same_whenever_it_is_chosen() {
    let (Choice::Begin { run: first, .. }, Choice::Begin { run: second, .. }) =
        (Scene::with(&["a"]).choose(), Scene::with(&["a"]).choose())
    else {
        panic!("both can begin")
    };
    assert_eq!(first, second, "a start that was lost with the journal's end is made again as it was");
}

#[test]
fn a_serial_trigger_waits_for_its_own_events_and_for_no_others() {
    let mut scene = Scene { serial: true, ..Scene::with(&["a", "a", "b"]) };
    let run = scene.begin("e0");
    scene.begin("e2");
    assert_eq!(scene.choose(), Choice::Nothing);
    scene.end("e0", failed(&run, "e0", Some(second(10))));
    assert_eq!(scene.choose(), Choice::Nothing, "one that is tried again keeps its place");
    scene.end("e0", Entry::InvocationHeld { run: run.clone(), why: "in doubt".into() });
    scene.waiting.insert(run);
    scene.begin("e1");
}

#[test]
fn with_strict_order_even_a_held_run_keeps_the_later_ones_waiting() {
    let delivery = Delivery { strict_order: true, ..Delivery::default() };
    let mut scene = Scene { delivery, ..Scene::with(&["a", "a", "b"]) };
    let run = scene.begin("e0");
    scene.end("e0", Entry::InvocationHeld { run: run.clone(), why: "in doubt".into() });
    scene.waiting.insert(run);
    scene.begin("e2");
    assert_eq!(scene.choose(), Choice::Nothing);
}

#[test]
fn a_failed_run_is_tried_again_when_its_time_has_come_and_others_go_on() {
    let mut scene = Scene::with(&["a", "b"]);
    let run = scene.begin("e0");
    scene.end("e0", failed(&run, "e0", Some(second(10))));
    let other = scene.begin("e1");
    assert_eq!(scene.choose(), Choice::Nothing);
    let is_serial = |_: &str| false;
    assert_eq!(scene.known(&is_serial).due(&scene.fold), Some(second(10)));
    scene.now = second(10);
    assert_eq!(scene.begin("e0"), run, "under its own id");
    scene.end("e0", failed(&run, "e0", None));
    assert_eq!(scene.fold.dead_letters.len(), 1);
    scene.end("e1", failed(&other, "e1", None));
    assert_eq!(scene.fold.events.ended(), scene.fold.events.accepted);
}

#[test]
fn a_wait_that_began_under_a_clock_that_was_ahead_is_over_when_it_was_set_back() {
    let mut scene = Scene { serial: true, ..Scene::with(&["a", "a"]) };
    let years = 300_000_000;
    scene.now = second(years);
    let run = scene.begin("e0");
    scene.end("e0", failed(&run, "e0", Some(second(years + 10))));
    scene.now = second(years - 1);
    assert_eq!(scene.choose(), Choice::Nothing, "a step of seconds cannot be told from a wait");
    scene.now = second(5);
    assert_eq!(scene.begin("e0"), run);
}

#[test]
fn a_dead_letter_that_is_handled_once_more_gets_a_run_of_its_own() {
    let mut scene = Scene::with(&["a"]);
    let run = scene.begin("e0");
    scene.end("e0", failed(&run, "e0", None));
    scene.record(Entry::Redelivered { event_id: "e0".into(), note: String::new() });
    assert_ne!(scene.begin("e0"), run);
}

#[test]
fn an_event_that_waited_too_long_is_not_begun_and_one_that_began_in_time_goes_on() {
    let delivery = Delivery { max_age: Some(Duration::from_secs(60)), ..Delivery::default() };
    let mut scene = Scene { delivery, ..Scene::with(&["a", "b"]) };
    let run = scene.begin("e0");
    let is_serial = |_: &str| false;
    assert!(scene.known(&is_serial).due(&scene.fold).is_some_and(|due| due > second(61) && due < second(62)));
    scene.now = second(62);
    assert!(matches!(scene.choose(), Choice::Expire { event_id, .. } if event_id == "e1"));
    scene.record(Entry::Expired { event_id: "e1".into(), why: "too old".into() });
    scene.busy.clear();
    assert_eq!(scene.begin("e0"), run);
    assert_eq!(scene.fold.events.expired, 1);
}

#[test]
fn a_run_that_brings_its_process_down_again_and_again_is_given_up() {
    let mut scene = Scene::with(&["a"]);
    let mut crashes = 0;
    let given_up = loop {
        match scene.choose() {
            Choice::Begin { run, event, attempt } => {
                scene.record(Entry::InvocationStart { run, event_id: event.event_id, attempt, again: None });
                crashes += 1;
            }
            other => break other,
        }
        assert!(crashes < 100, "it is begun for ever");
    };
    assert!(matches!(given_up, Choice::GiveUp { .. }), "{given_up:?}");
    assert_eq!(crashes, MAX_FRUITLESS + 1);
}

#[test]
fn a_run_that_gets_on_between_crashes_is_not_given_up() {
    let mut scene = Scene::with(&["a"]);
    for turn in 0..3 * MAX_FRUITLESS {
        let run = scene.begin("e0");
        scene.busy.clear();
        let (step, reply) = (flyball_core_agent::StepId::turn(turn), flyball_core_agent::Reply::say("on"));
        scene.record(Entry::ModelReply { run, step, reply });
    }
}
