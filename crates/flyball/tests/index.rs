#![cfg(test)]
//! The journal's index makes commands quick, and makes no difference to what they print.

mod binary;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use binary::{Ended, Scene};
use chrono::Utc;
use flyball_core_agent::{Cause, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent};
use flyball_journal::{Entry, FileStorage, Log, ProcessFold, Retention, Storage};
use serde_json::{Map, json};

/// Small, so that there are many of them.
const SEGMENT: u64 = 32 << 10;

/// The runs of the two busy processes.
const RUNS: usize = 240;

/// Of twenty runs, this one waits for an answer.
const HELD: usize = 7;

fn run_id(number: usize) -> RunId {
    RunId(format!("{:x}-run{number}", number * 37 % 251))
}

fn event(number: usize) -> TriggerEvent {
    let mut event = TriggerEvent::new("t1", "event", Utc::now(), json!({"event_type": "x", "data": {"number": number}}));
    event.event_id = format!("event{number}");
    if number % 2 == 1 {
        let (process, run) = (name(number - 1).to_owned(), run_id(number - 1).0);
        event.cause = Some(Cause { process, run, hops: 1 });
    }
    event
}

fn name(number: usize) -> &'static str {
    ["analyst", "monitor"][number % 2]
}

/// A run from its event to its end, whichever that is.
fn run(number: usize) -> Vec<Entry> {
    let (run, event) = (run_id(number), event(number));
    let event_id = event.event_id.clone();
    let begin = |attempt| Entry::InvocationStart { run: run.clone(), event_id: event_id.clone(), attempt, again: None };
    let (step, tool, effect) = (StepId::call(0, 0), "wipe".to_owned(), Effect::Irreversible);
    let notes = Map::from_iter([("budget".to_owned(), json!({"cost": 0.5}))]);
    let call = Entry::ToolCall { run: run.clone(), step: step.clone(), attempt: 1, tool, args: Map::new(), effect, notes };
    let says = Entry::ModelReply { run: run.clone(), step: StepId::turn(0), reply: Reply::say("words ".repeat(40)) };
    let mut entries = vec![Entry::accepted(event), begin(1), says, call];
    let (reply, outcome) = (ToolReply::ok("wiped"), Outcome { reply: format!("did {number}"), ..Outcome::default() });
    entries.extend(match number % 20 {
        HELD => vec![Entry::InvocationHeld { run: run.clone(), why: "call t0.c0 of wipe is in doubt".into() }],
        13 => vec![Entry::Error { run: run.clone(), event_id, error: "no more".into(), last: true, retry_at: None }],
        _ => vec![
            begin(2),
            Entry::ToolResult { run: run.clone(), step, reply, refused: false, settled_by: None },
            Entry::InvocationResult { run: run.clone(), event_id, outcome, changes: Vec::new() },
        ],
    });
    entries
}

/// A journal with checkpoints, whose oldest segments were dropped. With `held`, some runs of it wait for an
/// answer, and one of its processes was idle for so long that it was carried on.
fn written(held: bool) -> Scene {
    let scene = Scene::empty();
    let storage = Arc::new(FileStorage::open(&scene.data().join("journal")).expect("made"));
    let (log, _) = Log::open_storage(storage, SEGMENT).expect("the log opens");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let append = |process: &str, entries| runtime.block_on(log.process(process).append(entries)).expect("appended");
    let checkpoint = |process: &str| {
        let fold = Box::new(ProcessFold::of(&log.records(process).expect("read")));
        append(process, vec![Entry::Checkpoint { fold, layers: Map::new() }]);
    };
    if held {
        append("idle", [run(1_007), run(1_013)].concat());
    }
    for number in (0..RUNS).filter(|number| held || number % 20 != HELD) {
        append(name(number), run(number));
        if number % 30 > 27 {
            ["analyst", "monitor"].into_iter().for_each(checkpoint);
        }
        if number % 80 == 79 && number < 200 {
            let keep = Retention { max_bytes: Some(4 * SEGMENT), max_age: None };
            let done = log.compact(&keep, Utc::now()).expect("compacted");
            assert!(!done.dropped.is_empty() && done.carried.contains(&"idle".to_owned()) == held, "{done:?}");
        }
    }
    log.close();
    scene
}

/// The command line's ways to look back.
fn questions() -> Vec<Vec<String>> {
    let (ended, held) = (run_id(RUNS - 2).0, run_id(RUNS - 13).0);
    let all = [
        "runs",
        "runs -n 0",
        "runs -n 5",
        "runs -n 1000",
        "runs monitor -n 7",
        "runs idle -n 3",
        "runs nobody -n 3",
        "logs -n 9",
        "logs idle -n 4",
        "logs monitor -n 30",
        "logs nobody -n 4",
        "dlq list",
        "dlq list monitor",
        "dlq list nobody",
        "dlq show event1013",
        "indoubt",
        "why analyst",
        "why monitor",
        "why idle",
        "why proc-0",
        "why nobody",
        "why e",
        "replay x",
        "why 1007",
        "why event1013",
        "journal cat --process idle",
    ];
    let mut all: Vec<String> = all.iter().map(|words| (*words).to_owned()).collect();
    for run in [ended.clone(), held, run_id(RUNS - 41).0, run_id(0).0, run_id(1_007).0, ended[..ended.len() - 1].to_owned()] {
        all.extend([format!("why {run}"), format!("replay {run}"), format!("replay {run} --verify")]);
    }
    let words = |text: &String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let plain: Vec<Vec<String>> = all.iter().map(words).collect();
    // `journal cat` prints JSON anyway.
    let json = plain
        .iter()
        .filter(|words| words[0] != "journal")
        .map(|words| [words.as_slice(), &["-o".into(), "json".into()]].concat());
    plain.iter().cloned().chain(json).collect()
}

fn ask(scene: &Scene, words: &[String]) -> (String, String, Option<i32>) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Ended { stdout, stderr, code, .. } = scene.ask(&words);
    (stdout, stderr, code)
}

fn segments(scene: &Scene) -> Vec<PathBuf> {
    let journal = scene.data().join("journal");
    let names = FileStorage::open(&journal).expect("it is there").list().expect("listed");
    names.iter().map(|name| journal.join(name)).collect()
}

/// The number of a segment's first record is its name.
fn first_record(segment: &Path) -> u64 {
    segment.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("a number")
}

#[test]
fn what_is_printed_is_the_same_with_an_index_and_without() {
    let scene = written(true);
    let index = scene.data().join("journal/index");
    fs::write(&index, "in the way of any index").expect("written");
    let without: Vec<_> = questions().iter().map(|words| ask(&scene, words)).collect();
    assert!(index.is_file(), "nobody took it away");
    fs::remove_file(&index).expect("removed");
    for (words, without) in questions().iter().zip(without) {
        assert_eq!(ask(&scene, words), without, "{words:?}");
    }
    assert!(index.join("history/seal.json").is_file(), "the last one closed the index");
}

#[test]
fn commands_that_look_back_at_the_end_do_not_read_the_beginning() {
    let scene = written(false);
    let newest = run_id(RUNS - 2).0;
    let asked: Vec<Vec<String>> = [
        "runs -n 3",
        "runs monitor -n 2",
        "logs -n 5",
        "logs monitor -n 5",
        "dlq list monitor",
        "indoubt",
        "why monitor",
        "why RUN",
        "replay RUN",
    ]
    .iter()
    .map(|text| text.replace("RUN", &newest).split_whitespace().map(str::to_owned).collect())
    .collect();
    let before: Vec<_> = asked.iter().map(|words| ask(&scene, words)).collect();
    // Nobody could read these any more.
    let late = run_id(RUNS - 20);
    let late = scene.records().iter().find(|record| record.entry.run() == Some(&late)).expect("it began").seq;
    let segments: Vec<PathBuf> = segments(&scene).into_iter().take_while(|path| first_record(path) < late).collect();
    assert!(segments.len() > 5, "{} segments are too few to mean anything", segments.len());
    for path in &segments[..segments.len() - 1] {
        let len = fs::metadata(path).expect("it is there").len();
        fs::write(path, "x".repeat(usize::try_from(len).expect("short"))).expect("written");
    }
    for (words, before) in asked.iter().zip(before) {
        assert_eq!(ask(&scene, words), before, "{words:?}");
    }
    scene.ask(&["journal", "verify"]).with_code(1);
}

#[test]
fn an_index_that_is_damaged_is_made_anew_and_that_is_said_once() {
    let scene = written(true);
    let run = run_id(RUNS - 2).0;
    let before = scene.ask(&["why", &run]).with_code(0);
    assert_eq!(before.stderr, "");
    let db = scene.data().join("journal/index/history/sled/db");
    let mut bytes = fs::read(&db).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&db, bytes).expect("written");
    let after = scene.ask(&["why", &run]).with_code(0);
    assert_eq!(after.stdout, before.stdout);
    assert!(after.stderr.contains("the journal's index is made anew") && after.stderr.lines().count() == 1, "{}", after.stderr);
    let again = scene.ask(&["why", &run]).with_code(0);
    assert_eq!((again.stdout, again.stderr), (before.stdout, before.stderr));
}
