#![cfg(test)]
//! The main job, with the real programs: from a damaged file to a mission that is achieved.

mod binary;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use binary::server::health;
use binary::{LONG, Live, Scene, finish};
use flyball_journal::{Entry, LifecycleState, Record};
use serde_json::Value;

/// The file that arrives damaged: the first month of `data/later`, with 27 good rows of 31.
const BROKEN: &str = "weather-2013-01.csv";

/// Looks like nothing else, so that it is found wherever it was written.
const CANARY: &str = "canary-7f3a91c2e84d";

fn rows(scene: &Scene, query: &str) -> i64 {
    let warehouse = rusqlite::Connection::open(scene.work("warehouse.db")).unwrap();
    warehouse.query_row(query, [], |row| row.get(0)).unwrap()
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// The last state that the journal gives each process, in the order of their names.
fn last_states(records: &[Record]) -> Vec<LifecycleState> {
    let last = |process: &str| {
        let of_process = records.iter().rev().filter(|record| record.process == process);
        let states = of_process.filter_map(|record| match &record.entry {
            Entry::StateTransition { to_state, .. } => Some(*to_state),
            _ => None,
        });
        states.into_iter().next().unwrap()
    };
    ["analyst", "monitor", "responder"].map(last).to_vec()
}

fn missions_started(records: &[Record]) -> usize {
    let notes = records.iter().filter_map(|record| match &record.entry {
        Entry::Note { layer, body, .. } if layer == "mission" => Some(body),
        _ => None,
    });
    notes.filter(|body| body["event"] == "started").count()
}

#[test]
fn the_main_job_ends_within_a_minute_with_its_mission_achieved() {
    let scene = Scene::new();
    let ended = finish(&mut scene.run(), LONG).with_code(0);
    assert!(ended.stdout.contains("\nmission achieved\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("responder  stopped    1 run, mission completed"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
    assert!(scene.servers_left(LONG).is_empty());
}

#[test]
fn the_model_of_the_example_says_that_it_is_a_test_double() {
    let scene = Scene::new();
    let mut live = Live::start(scene.run().env("PIPELINE_INCIDENT", "off"));
    let line = live.says("  model scripted:");
    assert!(line.contains("pipeline-ops.script.yaml: a TEST DOUBLE") && line.contains("no real model is asked"), "{line}");
}

#[test]
fn the_damaged_file_is_in_quarantine_and_its_good_rows_are_in_the_database() {
    let scene = Scene::new();
    finish(&mut scene.run(), LONG).with_code(0);
    assert_eq!(scene.drops("quarantine"), [BROKEN]);
    assert_eq!(scene.drops("inbox").len(), 12);
    assert!(!scene.drops("inbox").contains(&BROKEN.to_owned()));
    assert_eq!(rows(&scene, "SELECT count(*) FROM weather WHERE date LIKE '2013-01-%'"), 27);
    assert_eq!(rows(&scene, "SELECT count(*) FROM weather"), 366 + 27);
    assert_eq!(rows(&scene, "SELECT count(*) FROM weather WHERE precipitation < 0"), 0);
    assert_eq!(health(&scene.example())["healthy"], true);
}

#[test]
fn a_mission_of_an_agent_that_never_came_up_is_not_achieved() {
    let scene = Scene::new();
    let mission = "mission: {enabled: true, objective: be there, success_criteria: it is there}";
    let servers = "servers: {tool: {command: no-such-program}}";
    scene.write("absent.agent", &format!("name: absent\nmodel: scripted:pipeline-ops.script.yaml\n{servers}\n{mission}\n"));
    let ended = finish(&mut scene.run(), LONG).with_code(1);
    assert!(ended.stdout.contains("mission NOT achieved"), "{}", ended.stdout);
    assert!(ended.stdout.contains("responder  stopped    1 run, mission completed"), "{}", ended.stdout);
}

#[test]
fn every_line_of_the_journal_is_json_or_blank() {
    let scene = Scene::new();
    finish(&mut scene.run(), LONG).with_code(0);
    let segments: Vec<_> =
        files_below(&scene.data().join("journal")).into_iter().filter(|path| !path.ends_with("lock")).collect();
    let text: String = segments.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let filled: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!(filled.len() > scene.records().len(), "commit lines are there besides the records");
    for line in filled {
        let parsed = serde_json::from_str::<Value>(line);
        assert!(parsed.is_ok_and(|value| value.is_object()), "{line}");
    }
}

#[test]
fn the_logs_tell_the_whole_story() {
    let scene = Scene::new();
    finish(&mut scene.run(), LONG).with_code(0);
    let story = scene.ask(&["logs"]).with_code(0).stdout;
    let mut rest = story.as_str();
    for step in [
        "monitor      * woken by ",
        "monitor      > check_health",
        "monitor      > emit_event data={\"file\":\"weather-2013-01.csv\"",
        "analyst      * woken by event alert.critical from monitor",
        "analyst      > show_bad_rows file=\"weather-2013-01.csv\"",
        "analyst      > publish_message",
        "responder    * woken by message analysis.complete from analyst",
        "responder    > quarantine_file admin_key=\"secret://pipeline_admin_key\" file=\"weather-2013-01.csv\"",
        "responder    . secret 'pipeline_admin_key' goes to quarantine_file",
        "responder    > rerun_load",
        "responder    > check_health",
        "responder    < {\"healthy\":true",
        "responder    < the judge says achieved (confidence 0.95)",
        "responder    + mission completed",
        "responder    . stopped",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("'{step}' is not told, or not in its place:\n{story}"));
        rest = &rest[at..];
    }
}

#[test]
fn the_logs_for_programs_are_the_journals_records() {
    let scene = Scene::new();
    finish(&mut scene.run(), LONG).with_code(0);
    let lines = scene.ask(&["logs", "-o", "json"]).with_code(0).stdout;
    let told: Vec<Record> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told, scene.records());
    assert!(told.iter().map(|record| record.seq).eq(1..=told.len() as u64));
}

#[test]
fn the_admin_key_is_written_nowhere() {
    let scene = Scene::new();
    let key_set = |command: &mut Command| finish(command.env("PIPELINE_ADMIN_KEY", CANARY).env("FLYBALL_LOG", "debug"), LONG);
    let ended = key_set(&mut scene.run()).with_code(0);
    assert!(scene.ledger().iter().any(|line| line["tool"] == "quarantine_file" && line["acted"] == true), "the key was used");
    let logs = key_set(scene.flyball(&["logs", "--data", "data"]).args(["-o", "json"])).with_code(0);
    for said in [ended.stdout, ended.stderr, logs.stdout, logs.stderr] {
        assert!(!said.contains(CANARY), "{said}");
    }
    for path in files_below(&scene.data()).into_iter().chain(files_below(&scene.example())) {
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "the key is in {}", path.display());
    }
}

#[test]
fn a_repair_that_fails_is_judged_so_and_ends_with_code_1() {
    let scene = Scene::new();
    let ended = finish(scene.run().env("FLYBALL_DEMO_FAIL_RELOAD", "1"), LONG).with_code(1);
    assert!(ended.stdout.contains("\nmission NOT achieved\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the judge says not achieved"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("the judge says achieved"), "{}", ended.stdout);
    assert_eq!(health(&scene.example())["healthy"], false);

    // What is left is to be repaired, and no more is to arrive meanwhile.
    let repaired = finish(scene.run().env("PIPELINE_INCIDENT", "off"), LONG).with_code(0);
    assert!(repaired.stdout.contains("\nmission achieved\n"), "{}", repaired.stdout);
    assert_eq!(health(&scene.example())["healthy"], true);
}

#[test]
fn a_run_after_a_completed_one_begins_a_new_mission() {
    let scene = Scene::new();
    finish(&mut scene.run(), LONG).with_code(0);
    assert_eq!(missions_started(&scene.records()), 1);
    let again = finish(&mut scene.run(), LONG).with_code(0);
    assert!(again.stdout.contains("\nmission achieved\n"), "{}", again.stdout);
    assert_eq!(missions_started(&scene.records()), 2);
    assert_eq!(scene.drops("quarantine"), [BROKEN, "weather-2013-02.csv"]);
}

#[test]
fn ctrl_c_and_sigterm_end_a_waiting_run_in_order() {
    for signal in ["INT", "TERM"] {
        let scene = Scene::new();
        scene.tick_often();
        let mut live = Live::start(scene.run().env("PIPELINE_INCIDENT", "off"));
        live.says("All is well");
        live.signal(signal);
        let ended = live.end(Duration::from_secs(30)).with_code(0);
        assert!(ended.stdout.contains(&format!("\nended by SIG{signal}\n")), "{}", ended.stdout);
        assert_eq!(last_states(&scene.records()), [LifecycleState::Stopped; 3]);
        assert!(!scene.data().join("instance.json").exists());
        assert!(scene.servers_left(LONG).is_empty());

        let goes_on = finish(&mut scene.run(), LONG).with_code(0);
        assert!(goes_on.stdout.contains("\nmission achieved\n"), "{}", goes_on.stdout);
    }
}

#[test]
fn a_call_that_is_under_way_at_ctrl_c_ends_before_the_program_does_and_the_next_run_goes_on() {
    let scene = Scene::new();
    let mut live = Live::start(&mut scene.run());
    live.says("> publish_message");
    let held = scene.hold_pipeline();
    live.says("> quarantine_file");
    live.signal("INT");
    live.says("monitor      . stopped: asked to stop");
    drop(held);
    let ended = live.end(Duration::from_secs(30)).with_code(0);
    assert!(ended.stdout.contains("\nended by SIGINT\n"), "{}", ended.stdout);
    assert_eq!(last_states(&scene.records()), [LifecycleState::Stopped; 3]);

    let goes_on = finish(scene.run().env("PIPELINE_INCIDENT", "off"), LONG).with_code(0);
    assert!(goes_on.stdout.contains("goes on with the run that was cut off (attempt 2)"), "{}", goes_on.stdout);
    assert!(goes_on.stdout.contains("\nmission achieved\n"), "{}", goes_on.stdout);
    let acted = scene.ledger().into_iter().filter(|line| line["tool"] == "quarantine_file" && line["acted"] == true);
    assert_eq!(acted.count(), 1);
}
