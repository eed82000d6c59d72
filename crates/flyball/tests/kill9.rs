#![cfg(test)]
//! `kill -9` at every kind of moment, and a second run that must make it as if nothing had been.
//!
//! `cargo nextest run -p flyball --test kill9 --no-capture` shows where each kill fell and what came of it.

mod binary;
mod kill;

use std::collections::BTreeSet;

use binary::{LONG, Live, Random, Scene, finish};
use kill::{Case, Moment, after, kills, verdict};

/// One moment after each kind of record, and after each call that the three agents make.
const MOMENTS: [&str; 30] = [
    "monitor state_transition starting",
    "monitor state_transition awaiting",
    "responder state_transition running",
    "responder state_transition stopping",
    "monitor trigger_moved",
    "monitor trigger_event",
    "analyst trigger_event",
    "responder trigger_event",
    "monitor invocation_start",
    "responder invocation_start",
    "monitor model_reply",
    "responder model_reply t0",
    "responder model_reply judge",
    "monitor tool_call check_health",
    "monitor tool_call emit_event",
    "monitor tool_call set_state",
    "analyst tool_call publish_message",
    "responder tool_call quarantine_file",
    "responder tool_call rerun_load",
    "responder tool_call check_health",
    "monitor tool_result emit_event",
    "analyst tool_result publish_message",
    "responder tool_result quarantine_file",
    "responder tool_result rerun_load",
    "monitor invocation_result",
    "responder invocation_result",
    "responder note mission started",
    "responder note mission evaluated",
    "responder note mission completed",
    "responder note secrets",
];

/// Says which moments are tried: the same ones every time, unless this variable holds another number.
const SEED_VARIABLE: &str = "FLYBALL_KILL_SEED";

#[test]
fn a_run_that_is_killed_after_any_kind_of_record_is_finished_by_the_next() {
    let mut cases: Vec<Case> = MOMENTS.iter().map(|label| Case::new([after(label)])).collect();
    // A recovery is a moment like any other, and so is a recovery from a recovery.
    let quarantine = after("responder tool_call quarantine_file");
    cases.push(Case::new([quarantine.clone(), after("responder recovered")]));
    cases.push(Case::new([quarantine, after("responder recovered"), after("responder tool_call rerun_load")]));
    let rows = kills(&cases);
    let killed_after: BTreeSet<&str> = cases.iter().flat_map(|case| &case.moments).filter_map(Moment::kind).collect();
    let written: BTreeSet<&str> = rows.iter().flat_map(|row| row.kinds.iter().copied()).collect();
    assert!(written.is_subset(&killed_after), "a run writes {written:?}, and it was killed after {killed_after:?} only");
}

#[test]
fn a_run_that_is_killed_at_a_seeded_moment_is_finished_by_the_next() {
    let seed = std::env::var(SEED_VARIABLE).ok().map_or(20_261_123, |seed| seed.parse().expect("the seed is a number"));
    println!("{SEED_VARIABLE}={seed}");
    let mut random = Random(seed);
    // A run that nobody disturbs writes some 62 records, most of them in a tenth of a second.
    let cases: Vec<Case> =
        (0..10).map(|_| Case::new([Moment::Later { records: 1 + random.below(45), micros: random.below(10_000) }])).collect();
    kills(&cases);
}

#[test]
fn a_quarantine_that_was_sent_and_not_answered_is_asked_about_and_not_sent_again() {
    // The server does it when flyball is dead, or dies too before it did: then it did not happen.
    for server_lives in [true, false] {
        let scene = Scene::new();
        let mut live = Live::start(scene.run().args(["-o", "json"]));
        live.says(r#""tool":"publish_message""#);
        let held = scene.hold_pipeline();
        live.says(r#""tool":"quarantine_file""#);
        // The server has taken it when the key was put into its arguments.
        live.says(r#""layer":"secrets""#);
        assert!(live.kill9());
        if !server_lives {
            for server in scene.servers() {
                assert!(kill::signal(server, "KILL"));
            }
        }
        drop(held);
        assert!(scene.servers_left(LONG).is_empty(), "a server outlived its client");
        let on_disk = scene.records();
        let in_doubt = scene.ledger();
        let told = scene.ask_json(&["indoubt"]);
        assert_eq!(told[0]["tool"], "quarantine_file", "it is known before the next start: {told}");

        let again = finish(&mut kill::next_run(&scene), LONG).with_code(0);
        let row = verdict(&scene, &on_disk, &again);
        let happened = in_doubt.iter().any(|line| line["acted"] == true);
        println!("killed in doubt, server lives: {server_lives}, had acted before the second run: {happened} -> {}", row.outcome);
        assert!(server_lives || !happened, "a dead server acted");
        let settled = "it had happened before the cut, says reconcile";
        assert_eq!(again.stdout.contains(settled), happened, "{}", again.stdout);
        let sent_again = again.stdout.contains("> quarantine_file (attempt 2, same key) ");
        assert_eq!(sent_again, !happened, "{}", again.stdout);
    }
}
