//! The pipeline itself: loads, quarantine, keys, health, incidents.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use pipeline_ops_server::incident::Planting;
use pipeline_ops_server::{Error, Pipeline};
use serde_json::json;

mod common;
use common::{HALF_BAD, acts, drop_in, fresh, seed, there};

#[test]
fn a_new_pipeline_is_loaded_and_healthy_and_opening_it_again_changes_nothing() {
    let (_dir, pipeline) = fresh();
    let health = pipeline.health(&[]).unwrap();
    assert!(health.healthy, "{health:?}");
    assert_eq!((health.rows, health.files_expected, health.files_loaded), (366, 12, 12));
    assert_eq!(health.freshness.days_behind, Some(0));
    std::fs::remove_file(pipeline.dir().join("inbox/weather-2012-12.csv")).unwrap();
    let again = Pipeline::open(pipeline.dir(), Some(&seed())).unwrap();
    assert_eq!(again.health(&[]).unwrap().files_expected, 11);
}

#[test]
fn a_broken_drop_of_any_name_is_found_and_cured() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "broken one.csv", HALF_BAD);
    let health = pipeline.health(&[]).unwrap();
    assert!(!health.healthy);
    assert_eq!((health.problems[0].file.as_str(), health.nulls), ("broken one.csv", 1));
    assert!(health.problems[0].problem.contains("line 3: temp_max has no value"), "{health:?}");
    assert_eq!(health.freshness.days_behind, Some(2557));

    pipeline.quarantine_file("broken one.csv", Some("bad rows"), Some("r/t1.c0")).unwrap();
    let waiting = pipeline.health(&[]).unwrap();
    assert!(!waiting.healthy && waiting.problems[0].id.starts_with("not_saved:"), "{waiting:?}");
    let load = pipeline.rerun_load(Some("r/t2.c0")).unwrap();
    assert_eq!((load.loaded[0].rows, load.loaded[0].bad_rows, load.rows_in_warehouse), (1, 1, 367));
    assert!(pipeline.health(&[]).unwrap().healthy);
}

#[test]
fn a_bad_drop_in_the_inbox_is_left_out_of_a_load_and_the_others_are_loaded() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    drop_in(&pipeline, "good.csv", &HALF_BAD.replace(",,", ",3.0,"));
    let load = pipeline.rerun_load(None).unwrap();
    assert_eq!((load.loaded.len(), load.loaded[0].file.as_str()), (1, "good.csv"));
    assert_eq!((load.left_out.len(), load.left_out[0].file.as_str()), (1, "bad.csv"));
    assert_eq!(pipeline.rerun_load(None).unwrap().loaded, []);
}

#[test]
fn what_is_saved_from_a_damaged_drop_never_replaces_a_row() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "a.csv", &HALF_BAD.replace(",,", ",3.0,"));
    pipeline.rerun_load(None).unwrap();
    drop_in(&pipeline, "b.csv", &HALF_BAD.replace("01,0.0", "01,77.0"));
    pipeline.quarantine_file("b.csv", None, None).unwrap();
    pipeline.rerun_load(None).unwrap();
    let database = rusqlite::Connection::open(pipeline.dir().join("warehouse.db")).unwrap();
    let rain: f64 =
        database.query_row("SELECT precipitation FROM weather WHERE date = '2020-01-01'", [], |row| row.get(0)).unwrap();
    assert_eq!(rain, 0.0);
}

#[test]
fn rows_that_someone_deleted_are_noticed_and_loaded_again() {
    let (_dir, pipeline) = fresh();
    let database = rusqlite::Connection::open(pipeline.dir().join("warehouse.db")).unwrap();
    database.execute("DELETE FROM weather WHERE date LIKE '2012-07-1%'", []).unwrap();
    let health = pipeline.health(&[]).unwrap();
    assert_eq!(health.problems[0].id, "rows_lost:weather-2012-07.csv");
    pipeline.rerun_load(None).unwrap();
    assert!(pipeline.health(&[]).unwrap().healthy);
}

#[test]
fn a_problem_keeps_its_id_and_says_whether_it_was_alerted() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    assert!(!pipeline.health(&[]).unwrap().problems[0].alerted);
    assert!(pipeline.health(&["bad_drop:bad.csv".to_owned()]).unwrap().problems[0].alerted);
}

#[test]
fn a_problem_gets_a_new_id_when_a_load_failed_to_cure_it_and_when_it_lasts() {
    let (_dir, pipeline) = fresh();
    let id = || pipeline.health(&[]).unwrap().problems[0].id.clone();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    pipeline.clone().refusing_loads(true).rerun_load(None).unwrap_err();
    assert_eq!(id(), "bad_drop:bad.csv", "no load would cure it");
    pipeline.quarantine_file("bad.csv", None, None).unwrap();
    assert_eq!(id(), "not_saved:bad.csv:failed-1");
    let file = std::fs::File::options().write(true).open(pipeline.dir().join("quarantine/bad.csv")).unwrap();
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(1000)).unwrap();
    assert_eq!(id(), "not_saved:bad.csv:failed-1:again-3");
}

#[test]
fn a_repeated_key_is_answered_from_the_ledger_and_does_nothing() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    let first = pipeline.quarantine_file("bad.csv", Some("why"), Some("k")).unwrap();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    assert_eq!(pipeline.quarantine_file("bad.csv", Some("why"), Some("k")).unwrap(), first);
    assert!(there(&pipeline, "inbox/bad.csv"), "the second drop stays where it is");
    assert_eq!(acts(&pipeline, "k"), 1);
    let last = pipeline.ledger().read().unwrap().pop().unwrap();
    assert_eq!((last.acted, last.result), (Some(false), None));

    let load = pipeline.rerun_load(Some("l")).unwrap();
    assert_eq!(pipeline.rerun_load(Some("l")).unwrap(), load);
    assert_eq!(acts(&pipeline, "l"), 1);
}

#[test]
fn a_key_stands_for_one_call_with_its_arguments() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    pipeline.quarantine_file("bad.csv", None, Some("k")).unwrap();
    assert!(matches!(pipeline.quarantine_file("weather-2012-01.csv", None, Some("k")), Err(Error::Refused(_))));
    assert!(matches!(pipeline.rerun_load(Some("k")), Err(Error::Refused(_))));
    assert!(there(&pipeline, "inbox/weather-2012-01.csv"));
}

#[test]
fn a_quarantine_that_was_killed_is_finished_once_wherever_it_was() {
    for moved in [false, true] {
        let (_dir, pipeline) = fresh();
        drop_in(&pipeline, "bad.csv", HALF_BAD);
        pipeline.quarantine_file("bad.csv", None, Some("k")).unwrap();
        // What a kill leaves: the intent, and the move made or not made.
        let ledger = pipeline.dir().join("ledger.jsonl");
        let text = std::fs::read_to_string(&ledger).unwrap();
        std::fs::write(&ledger, text.lines().next().unwrap().to_owned() + "\n{\"at\":\"20").unwrap();
        if !moved {
            std::fs::rename(pipeline.dir().join("quarantine/bad.csv"), pipeline.dir().join("inbox/bad.csv")).unwrap();
        }
        assert_eq!(pipeline.call_status("k").unwrap().happened, moved);
        let done = pipeline.quarantine_file("bad.csv", None, Some("k")).unwrap();
        assert_eq!((done.file.as_str(), done.rows, done.bad_rows), ("bad.csv", 2, 1));
        assert!(there(&pipeline, "quarantine/bad.csv") && !there(&pipeline, "inbox/bad.csv"));
        assert_eq!(acts(&pipeline, "k"), 1);
        assert!(pipeline.call_status("k").unwrap().happened);
    }
}

#[test]
fn an_intent_that_was_not_carried_out_is_not_mistaken_for_another_calls_move() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    let intent = json!({"file": "bad.csv", "quarantined_as": "bad.csv", "rows": 2, "bad_rows": 1, "reason": null});
    let line =
        json!({"at": "", "tool": "quarantine_file", "key": "a", "args": {"file": "bad.csv", "reason": null}, "intent": intent});
    std::fs::write(pipeline.dir().join("ledger.jsonl"), format!("{line}\n")).unwrap();
    let other = pipeline.quarantine_file("bad.csv", None, Some("b")).unwrap();
    assert_eq!(other.quarantined_as, "bad.q2.csv");
    assert!(!pipeline.call_status("a").unwrap().happened);
    assert!(pipeline.call_status("b").unwrap().happened);
}

#[test]
fn a_load_that_was_killed_after_its_commit_answers_what_it_did() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "good.csv", &HALF_BAD.replace(",,", ",3.0,"));
    let load = pipeline.rerun_load(Some("k")).unwrap();
    let ledger = pipeline.dir().join("ledger.jsonl");
    let text = std::fs::read_to_string(&ledger).unwrap();
    std::fs::write(&ledger, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    assert!(pipeline.call_status("k").unwrap().happened);
    assert_eq!(acts(&pipeline, "k"), 0, "asking changes nothing");
    assert_eq!(pipeline.rerun_load(Some("k")).unwrap(), load);
    assert_eq!((load.loaded.len(), acts(&pipeline, "k")), (1, 1));
}

#[test]
fn an_unknown_key_did_not_happen() {
    let (_dir, pipeline) = fresh();
    let status = pipeline.call_status("never").unwrap();
    assert_eq!((status.happened, status.tool, status.result), (false, None, None));
}

#[test]
fn a_load_into_a_database_that_refuses_writes_fails_and_stays_unhealthy_until_it_can() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    pipeline.quarantine_file("bad.csv", None, None).unwrap();
    let failing = pipeline.clone().refusing_loads(true);
    let error = failing.rerun_load(Some("k")).unwrap_err();
    assert!(error.to_string().contains("readonly"), "{error}");
    assert!(!failing.health(&[]).unwrap().healthy);
    assert_eq!(acts(&pipeline, "k"), 0);
    // A failure is no answer for ever: the same key may try again.
    pipeline.rerun_load(Some("k")).unwrap();
    assert!(pipeline.health(&[]).unwrap().healthy);
}

#[test]
fn nothing_outside_the_inbox_is_quarantined_or_shown() {
    let (dir, pipeline) = fresh();
    let outside = dir.path().join("outside.csv");
    std::fs::write(&outside, HALF_BAD).unwrap();
    std::os::unix::fs::symlink(&outside, pipeline.dir().join("inbox/link.csv")).unwrap();
    for name in ["../../outside.csv", "link.csv", "../ledger.jsonl", "absent.csv", outside.to_str().unwrap()] {
        assert!(matches!(pipeline.quarantine_file(name, None, None), Err(Error::Refused(_))), "{name}");
        assert!(matches!(pipeline.bad_rows(name, 5), Err(Error::Refused(_))), "{name}");
    }
    assert!(outside.exists());
    assert!(pipeline.health(&[]).unwrap().healthy, "a link is no drop");
}

#[test]
fn bad_rows_are_shown_up_to_the_limit() {
    let (_dir, pipeline) = fresh();
    let file = planted(&pipeline);
    let shown = pipeline.bad_rows(&file, 2).unwrap();
    assert_eq!((shown.place.as_str(), shown.rows, shown.bad_rows, shown.shown.len()), ("inbox", 31, 4, 2));
    assert_eq!(shown.shown[0].reasons, ["temp_max has no value"]);
}

fn planted(pipeline: &Pipeline) -> String {
    match pipeline.plant_incident().unwrap() {
        Planting::Planted(incident) => incident.file,
        Planting::StillOpen(incident) => panic!("{incident:?}"),
    }
}

#[test]
fn an_incident_is_open_until_its_drop_is_quarantined_and_its_good_rows_are_loaded() {
    let (_dir, pipeline) = fresh();
    let still_open = || matches!(pipeline.plant_incident().unwrap(), Planting::StillOpen(_));
    assert_eq!(planted(&pipeline), "weather-2013-01.csv");
    assert!(still_open());
    assert!(!pipeline.health(&[]).unwrap().healthy);
    pipeline.rerun_load(None).unwrap();
    assert!(still_open(), "a load alone does not cure it");
    pipeline.quarantine_file("weather-2013-01.csv", None, None).unwrap();
    assert!(still_open());
    assert_eq!(pipeline.rerun_load(None).unwrap().rows_in_warehouse, 366 + 31 - 4);
    assert!(pipeline.health(&[]).unwrap().healthy);
    assert_eq!(planted(&pipeline), "weather-2013-02.csv", "the next one is the next month");
}

#[test]
fn when_no_month_is_left_the_last_one_is_delivered_again() {
    let dir = tempfile::TempDir::new().unwrap();
    let seed_dir = dir.path().join("seed");
    std::fs::create_dir_all(seed_dir.join("later")).unwrap();
    std::fs::copy(seed().join("weather-2012-01.csv"), seed_dir.join("weather-2012-01.csv")).unwrap();
    std::fs::copy(seed().join("later/weather-2013-01.csv"), seed_dir.join("later/weather-2013-01.csv")).unwrap();
    let pipeline = Pipeline::open(&dir.path().join("work"), Some(&seed_dir)).unwrap();
    for name in ["weather-2013-01.csv", "weather-2013-01.r2.csv", "weather-2013-01.r3.csv"] {
        assert_eq!(planted(&pipeline), name);
        assert_eq!(pipeline.bad_rows(name, 9).unwrap().bad_rows, 4);
        pipeline.quarantine_file(name, None, None).unwrap();
        pipeline.rerun_load(None).unwrap();
    }
}

#[test]
fn a_planting_that_was_cut_off_is_finished() {
    let (_dir, pipeline) = fresh();
    let file = planted(&pipeline);
    std::fs::remove_file(pipeline.dir().join("inbox").join(&file)).unwrap();
    assert_eq!(planted(&pipeline), file);
    assert!(there(&pipeline, "inbox/weather-2013-01.csv"));
}

#[test]
fn many_at_once_quarantine_a_drop_once() {
    let (_dir, pipeline) = fresh();
    drop_in(&pipeline, "bad.csv", HALF_BAD);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                // Each has its own handles, as another process would.
                let pipeline = Pipeline::open(pipeline.dir(), Some(&seed())).unwrap();
                pipeline.quarantine_file("bad.csv", None, Some("k")).unwrap();
                pipeline.rerun_load(Some("l")).unwrap();
            });
        }
    });
    assert_eq!((acts(&pipeline, "k"), acts(&pipeline, "l")), (1, 1));
    assert!(pipeline.health(&[]).unwrap().healthy);
    for line in std::fs::read_to_string(pipeline.dir().join("ledger.jsonl")).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}
