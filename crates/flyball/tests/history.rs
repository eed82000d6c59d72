#![cfg(test)]
//! The commands that look back, over a journal that the test wrote and over one of a real run.

mod binary;

use binary::{LONG, Live, Scene};
use chrono::Utc;
use flyball_core_agent::{Cause, Change, Effect, Outcome, Reply, RunId, StepId, ToolReply, TriggerEvent, WantedCall};
use flyball_journal::{Entry, LifecycleState, Log};
use serde_json::{Map, Value, json};

fn event(id: &str, kind: &str, payload: Value) -> TriggerEvent {
    TriggerEvent { event_id: id.into(), ..TriggerEvent::new("t1", kind, Utc::now(), payload) }
}

fn begin(run: &str, event_id: &str) -> Entry {
    Entry::InvocationStart { run: RunId(run.into()), event_id: event_id.into(), attempt: 1, again: None }
}

fn moved(from_state: LifecycleState, to_state: LifecycleState, reason: &str) -> Entry {
    Entry::StateTransition { from_state, to_state, reason: reason.into() }
}

/// A run of the monitor, to its end.
fn monitor() -> Vec<Entry> {
    let run = RunId("run-a".into());
    let clock = json!({"cron_expression": "*/5 * * * *", "scheduled_time": "now", "timezone": "UTC"});
    let args = json!({"event_type": "alert.critical"});
    let call = WantedCall { id: "x".into(), name: "emit_event".into(), args: args.clone() };
    let wants = Reply { calls: vec![call], ..Reply::default() };
    let Value::Object(args) = args else { unreachable!("it is an object") };
    let notes = Map::from_iter([("budget".to_owned(), json!({"cost": 2.5}))]);
    let (step, effect, tool) = (StepId::call(0, 0), Effect::Idempotent, "emit_event".to_owned());
    let result = ToolReply::ok("taken\u{1b}[31m by one");
    let outcome = Outcome { reply: "raised an alert".into(), turns: 2, ..Outcome::default() };
    let changes = vec![Change { key: "alerts".into(), value: json!(1), source: "agent".into(), at: Utc::now() }];
    vec![
        moved(LifecycleState::Created, LifecycleState::Starting, "asked"),
        Entry::accepted(event("e1", "cron", clock)),
        begin("run-a", "e1"),
        Entry::ModelReply { run: run.clone(), step: StepId::turn(0), reply: wants },
        Entry::ToolCall { run: run.clone(), step: step.clone(), attempt: 1, tool, args, effect, notes },
        Entry::ToolResult { run: run.clone(), step, reply: result, refused: false, settled_by: None },
        Entry::ModelReply { run: run.clone(), step: StepId::turn(1), reply: Reply::say("raised an alert") },
        Entry::InvocationResult { run, event_id: "e1".into(), outcome, changes },
    ]
}

/// What the analyst made of it: one run that is held, and an event that waits.
fn analyst() -> Vec<Entry> {
    let mut caused = event("e2", "event", json!({"event_type": "alert.critical", "source": "monitor", "data": {}}));
    caused.cause = Some(Cause { process: "monitor".into(), run: "run-a".into(), hops: 1 });
    vec![
        Entry::accepted(caused),
        begin("run-b", "e2"),
        Entry::InvocationHeld { run: RunId("run-b".into()), why: "call t0.c0 of wipe is in doubt".into() },
        Entry::accepted(event("e3", "manual", json!({}))),
        moved(LifecycleState::Starting, LifecycleState::Suspended, "budget: over its day"),
    ]
}

/// A journal of both.
fn written() -> Scene {
    let scene = Scene::empty();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (log, _) = Log::open(&scene.data().join("journal")).expect("the log opens");
        log.process("monitor").append(monitor()).await.expect("appended");
        log.process("analyst").append(analyst()).await.expect("appended");
        log.close();
    });
    scene
}

#[test]
fn runs_are_listed_one_a_line() {
    let scene = written();
    let table = scene.ask(&["runs"]).with_code(0).stdout;
    let lines: Vec<String> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(lines[0].starts_with("RUN PROCESS EVENT STARTED TOOK TURNS CALLS COST END"), "{table}");
    assert!(lines[1].starts_with("run-a monitor cron ") && lines[1].ends_with(" 2 1 2.5 ok raised an alert"), "{table}");
    assert!(lines[2].starts_with("run-b analyst event ") && lines[2].contains(" - 0 0 - held call t0.c0"), "{table}");
    assert_eq!(scene.ask(&["runs", "analyst"]).with_code(0).stdout.lines().count(), 2);
    assert_eq!(scene.ask_json(&["runs", "-n", "1"])[0]["outcome"], "held");
}

/// A line of a run without how long after the run's beginning it was.
fn without_offset(line: &str) -> String {
    let words: Vec<&str> = line.splitn(2, " +").collect();
    match words.as_slice() {
        [number, rest] if number.trim_start().starts_with('#') => {
            format!("{number} {}", rest.split_once("ms ").expect("an offset").1)
        }
        _ => line.to_owned(),
    }
}

#[test]
fn why_tells_a_runs_causes_steps_and_effects_with_their_numbers() {
    let scene = written();
    let told = scene.ask(&["why", "run-a"]).with_code(0).stdout;
    let expected = [
        "run run-a of monitor: ok, 2 turns, 1 call, cost 2.5",
        "because",
        "  #2 monitor took in event e1: woken by cron */5 * * * * (now)",
        "then",
        "  #3 it begins",
        "  #4 t0 the model wants emit_event",
        "    #5 t0.c0 calls emit_event event_type=\"alert.critical\" [idempotent, cost 2.5]",
        "    #6 t0.c0 -> taken\u{fffd}[31m by one",
        "  #7 t1 the model says: raised an alert",
        "  #8 it ends: raised an alert",
        "    writes alerts = 1",
        "and so",
        "  #9 analyst woken by event alert.critical from monitor: {}",
        "    -> run run-b (held): call t0.c0 of wipe is in doubt",
    ];
    for (line, expected) in told.lines().zip(expected) {
        assert!(without_offset(line).starts_with(expected), "{line}\nis not\n{expected}\nin\n{told}");
    }
    assert_eq!(told.lines().count(), expected.len(), "{told}");

    let back = scene.ask(&["why", "run-b"]).with_code(0).stdout;
    assert!(back.contains("    #2 monitor took in event e1, whose run run-a caused this"), "{back}");
    assert_eq!(scene.ask_json(&["why", "run-a"])["caused"][0]["run"]["run"], "run-b");
}

#[test]
fn why_tells_what_keeps_a_process_from_running() {
    let scene = written();
    let told = scene.ask(&["why", "analyst"]).with_code(0).stdout;
    for said in [
        ") was cut off while it was suspended: budget: over its day",
        "nobody runs it: `flyball run DIR --data data` goes on from here",
        "waiting   1 event, the oldest by manual since ",
        "held      run run-b: call t0.c0 of wipe is in doubt (see `flyball indoubt --data data`)",
    ] {
        assert!(told.contains(said), "{said}\nis not in\n{told}");
    }
    let id = scene.ask_json(&["why", "analyst"])["process_id"].as_str().expect("an id").to_owned();
    assert_eq!(scene.ask(&["why", &id]).with_code(0).stdout, told);
}

#[test]
fn what_is_not_known_is_answered_with_what_is() {
    let scene = written();
    for (args, said) in [
        (vec!["why", "analist"], "did you mean 'analyst'?"),
        (vec!["runs", "monitr"], "did you mean 'monitor'?"),
        (vec!["runs", "xyz"], "it has: analyst, monitor"),
        (vec!["why", "run-"], "may be any of run-a, run-b: give more"),
        (vec!["replay", "x"], "no run's id begins with 'x'"),
        (vec!["journal", "cat", "--process", "monitr"], "did you mean 'monitor'?"),
    ] {
        let ended = scene.ask(&args).with_code(1);
        assert!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "{args:?}: {}", ended.stderr);
    }
    for args in [["runs"].as_slice(), &["why", "a"], &["journal", "verify"]] {
        assert!(Scene::empty().ask(args).with_code(1).stderr.contains("--data"), "{args:?}");
    }
}

#[test]
fn a_replay_shows_every_word_and_verifies_the_records() {
    let scene = written();
    let told = scene.ask(&["replay", "run-a", "--verify"]).with_code(0).stdout;
    for said in [
        "#5 t0.c0: emit_event is called (idempotent, attempt 1)",
        "    writes alerts = 1",
        "verified: the 8 records of monitor agree",
    ] {
        assert!(told.contains(said), "{said}\nis not in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    assert_eq!(scene.ask_json(&["replay", "run-a", "--verify"])["contradictions"], json!([]));
}

#[test]
fn a_replay_that_finds_a_contradiction_fails() {
    let scene = written();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (log, _) = Log::open(&scene.data().join("journal")).expect("the log opens");
        let (run, step) = (RunId("run-b".into()), StepId::call(0, 0));
        let reply = ToolReply::ok("from nowhere");
        let result = Entry::ToolResult { run, step, reply, refused: false, settled_by: None };
        log.process("analyst").append(vec![result]).await.expect("appended");
    });
    let told = scene.ask(&["replay", "run-b", "--verify"]).with_code(1).stdout;
    assert!(told.contains("contradiction at #14: t0.c0 has a result and no intent"), "{told}");
}

#[test]
fn the_journal_is_verified_and_damage_is_found_and_laid_at_its_process() {
    let scene = written();
    let told = scene.ask(&["journal", "verify"]).with_code(0).stdout;
    let head = scene.ask_json(&["journal", "verify"])["head"].as_str().expect("it has a head").to_owned();
    assert!(told.contains(&format!("head: {head}")), "{told}");
    scene.ask(&["journal", "verify", "--anchor", &head]).with_code(0);
    let (seq, hash) = head.split_once(':').expect("a number and a hash");
    let later = format!("{}:{hash}", seq.parse::<u64>().expect("a number") + 1);
    let cut = scene.ask(&["journal", "verify", "--anchor", &later]).with_code(1).stdout;
    assert!(cut.contains("cut off"), "{cut}");
    assert!(told.contains("monitor: 8 records, 1 to 8, 0 checkpoints\nno damage: 13 records in 2 batches"), "{told}");

    let dir = std::fs::read_dir(scene.data().join("journal")).expect("the journal is there");
    let mut files = dir.map(|entry| entry.expect("an entry").path());
    let segment = files.find(|path| path.extension().is_some_and(|extension| extension == "jsonl")).expect("a segment");
    let text = std::fs::read_to_string(&segment).expect("read");
    std::fs::write(&segment, text.replacen("over its day", "over its bay", 1)).expect("written");
    let told = scene.ask(&["journal", "verify"]).with_code(1).stdout;
    assert!(told.contains("(analyst): the line is not what was written"), "{told}");
    assert!(told.contains("analyst: 4 records, 1 to 4, 0 checkpoints; it would refuse to start"), "{told}");
    assert!(scene.ask(&["journal", "verify", "-o", "json"]).with_code(1).stdout.contains("\"damage\": ["));
}

#[test]
fn the_journal_is_printed_and_exported_as_it_was_written() {
    let scene = written();
    let all = scene.ask(&["journal", "cat"]).with_code(0).stdout;
    assert_eq!(all.lines().count(), 13);
    assert!(all.lines().all(|line| line.contains("\"crc\":")), "{all}");
    let refused = scene.ask(&["journal", "cat", "--kind", "tool_cal"]).with_code(1).stderr;
    assert!(refused.contains("did you mean 'tool_call'?") && refused.contains("state_transition"), "{refused}");
    let calls =
        scene.ask(&["journal", "cat", "--process", "monitor", "--kind", "model_reply", "--from", "5"]).with_code(0).stdout;
    assert_eq!(calls.lines().count(), 1, "{calls}");

    let told = scene.ask_json(&["journal", "export", "out.jsonl"]);
    let path = scene.data().with_file_name("out.jsonl");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), all);
    let digits = told["sha256"].as_str().expect("a sum");
    assert_eq!(digits.len(), 64);
    // Not every system has this program.
    if let Ok(sum) = std::process::Command::new("sha256sum").arg(&path).output() {
        assert!(String::from_utf8_lossy(&sum.stdout).starts_with(digits));
    }
    assert!(scene.ask(&["journal", "export", "out.jsonl"]).with_code(1).stderr.contains("is there already"));
}

#[test]
fn a_real_run_leaves_a_journal_that_agrees_with_itself() {
    let scene = Scene::new();
    Live::start(scene.run().args(["--until", "mission"])).end(LONG).with_code(0);
    scene.ask(&["journal", "verify"]).with_code(0);
    let runs = scene.ask_json(&["runs"]);
    let runs = runs.as_array().expect("a list");
    for name in ["monitor", "analyst", "responder"] {
        let run = runs.iter().rfind(|run| run["process"] == name).expect("each of them ran")["run"].as_str().expect("an id");
        scene.ask(&["replay", run, "--verify"]).with_code(0);
    }
    let repaired = runs.iter().rfind(|run| run["process"] == "responder").expect("it ran")["run"].as_str().expect("an id");
    let told = scene.ask(&["why", repaired]).with_code(0).stdout;
    assert!(told.contains("analyst took in event") && told.contains("monitor took in event"), "{told}");
    assert!(scene.ask(&["why", "responder"]).with_code(0).stdout.contains(") was stopped when it was last heard of"));
}

#[test]
fn no_runs_at_all_cannot_be_asked_for() {
    let refused = written().ask(&["runs", "-n", "0"]).with_code(2);
    assert!(refused.stderr.contains("none of the runs is nothing to list"), "{}", refused.stderr);
}

#[test]
fn a_folder_that_is_no_journal_is_not_found_to_be_sound() {
    let scene = written();
    let empty = scene.example();
    let empty = empty.to_str().expect("a path");
    for what in [["verify"].as_slice(), &["cat"], &["export", "copy.jsonl"]] {
        let ask = |path: &str| scene.ask(&[&["journal", "--path", path], what].concat()).with_code(1).stderr;
        assert_eq!(ask(empty), format!("error: there is no journal in {empty}\n"), "{what:?}");
        assert_eq!(ask("data"), "error: there is no journal in data; did you mean data/journal?\n", "{what:?}");
        assert!(!scene.data().with_file_name("copy.jsonl").exists(), "{what:?}");
    }
    // A runtime that has just begun has its lock alone, and a copy may have the segments alone.
    scene.ask(&["journal", "--path", "data/journal", "verify"]).with_code(0);
    std::fs::remove_file(scene.data().join("journal/lock")).expect("removed");
    scene.ask(&["journal", "--path", "data/journal", "verify"]).with_code(0);
    scene.write("lock", "");
    scene.ask(&["journal", "--path", empty, "verify"]).with_code(0);
}

#[test]
fn why_tells_when_a_run_was_and_what_an_event_became() {
    let scene = written();
    let told = scene.ask(&["why", "run-a"]).with_code(0).stdout;
    let head = told.lines().next().expect("a line");
    assert!(head.contains(" ms, ") && head.contains(" to ") && head.matches(':').count() > 4, "{head}");
    assert_eq!(scene.ask(&["why", "e1"]).with_code(0).stdout, told);
    let waits = scene.ask(&["why", "e3"]).with_code(0).stdout;
    assert!(
        waits.starts_with("#12 analyst took it in at ") && waits.ends_with("; it waits: no run has begun for it\n"),
        "{waits}"
    );
    let none = scene.ask(&["why", "e9"]).with_code(1).stderr;
    assert!(none.contains("knows no run, no event and no process 'e9'") && none.contains("`flyball runs --data data`"), "{none}");
}

#[test]
fn a_layers_bookkeeping_is_no_line_of_a_run() {
    let scene = Scene::empty();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (log, _) = Log::open(&scene.data().join("journal")).expect("the log opens");
        let note = |body| Entry::Note { layer: "budget".into(), run: Some(RunId("run-a".into())), body };
        let mut entries = monitor();
        entries.insert(4, note(json!({"event": "charged"})));
        entries.insert(5, note(json!({"event": "exceeded", "limit": "a day"})));
        log.process("monitor").append(entries).await.expect("appended");
        log.close();
    });
    let told = scene.ask(&["why", "run-a"]).with_code(0).stdout;
    assert!(told.contains("over its budget: a day") && !told.lines().any(|line| line.ends_with(" note")), "{told}");
}
