//! Events whose runs failed for good, from their failing to what an operator makes of them.

use serde_json::{Value, json};

use crate::binary::{LONG, Live, Scene, eventually};

/// An agent that can only handle what is said to be good.
const PICKY: &str = r#"
version: "1.0"
name: picky
model: "scripted:script.yaml"
triggers: [{type: event, event_type: work}]
config: {max_consecutive_failures: 100}
"#;

const SCRIPT: &str = "rules: [{when: {event: good}, say: handled it}]";

fn scene() -> Scene {
    let scene = Scene::empty();
    std::fs::write(scene.example().join("picky.agent"), PICKY).expect("written");
    std::fs::write(scene.example().join("script.yaml"), SCRIPT).expect("written");
    scene
}

fn letters(scene: &Scene, count: usize) -> Vec<Value> {
    let listed = || scene.ask_json(&["dlq", "list"]).as_array().cloned().filter(|letters| letters.len() == count);
    eventually(LONG, listed).unwrap_or_else(|| panic!("{count} dead letters never came"))
}

fn started(scene: &Scene) -> Live {
    let mut live = Live::start(&mut scene.run());
    live.says("started");
    eventually(LONG, || scene.ask(&["ps"]).stdout.contains("awaiting").then_some(())).expect("it is up");
    live
}

#[test]
fn dead_letters_are_listed_shown_retried_and_dropped_live_and_offline() {
    let scene = scene();
    let mut live = started(&scene);
    for number in 0..3 {
        scene.ask(&["emit", "work", "--data", &json!({"number": number}).to_string()]).with_code(0);
    }
    let dead = letters(&scene, 3);
    let id = |number: usize| dead[number]["event"]["event_id"].as_str().expect("an id").to_owned();
    assert_eq!((&dead[0]["process"], &dead[0]["event"]["payload"]["data"]), (&json!("picky"), &json!({"number": 0})));

    let table = scene.ask(&["dlq", "list"]).with_code(0).stdout;
    assert!(table.starts_with("EVENT") && table.contains(&id(1)) && table.contains("picky"), "{table}");
    let shown = scene.ask(&["dlq", "show", &id(2)]).with_code(0).stdout;
    assert!(
        shown.contains("because")
            && shown.contains("\"number\": 2")
            && shown.contains("flyball why")
            && shown.contains(&format!("flyball dlq retry {} --data data\n", id(2))),
        "{shown}"
    );
    let told = scene.ask(&["ps"]).with_code(0).stdout;
    assert!(told.contains("3 dead letters: see `flyball dlq list --data data`"), "{told}");

    // It fails again for the same reason, in a run of its own.
    let told = scene.ask(&["dlq", "retry", &id(0), "--note", "perhaps now"]).with_code(0).stdout;
    assert!(told.contains("picky handles it now"), "{told}");
    live.says("has event");
    assert_ne!(letters(&scene, 3)[2]["run"], dead[0]["run"]);
    scene.ask(&["dlq", "drop", &id(1), "--note", "never mind"]).with_code(0);
    assert_eq!(letters(&scene, 2).iter().filter(|letter| letter["event"]["event_id"] == id(1).as_str()).count(), 0);
    scene.ask(&["stop"]).with_code(0);
    live.end(LONG).with_code(0);

    // Mended while nobody runs: what is retried then is handled at the next start.
    std::fs::write(scene.example().join("script.yaml"), "rules: [{say: handled it}]").expect("written");
    let told = scene.ask(&["dlq", "retry", "--all"]).with_code(0).stdout;
    assert_eq!(told.matches("picky handles it at the next `flyball run`").count(), 2, "{told}");
    assert!(scene.ask(&["dlq", "list"]).with_code(0).stdout.contains("there is no dead letter"));
    let _live = started(&scene);
    let handled = || (scene.ask_json(&["ps"])["processes"]["picky"]["events"]["completed"] == 2).then_some(());
    eventually(LONG, handled).expect("both are handled");
    let events = scene.ask_json(&["ps"])["processes"]["picky"]["events"].clone();
    assert_eq!(events, json!({"accepted": 3, "completed": 2, "dead_lettered": 0, "cancelled": 1, "expired": 0}));
}

#[test]
fn a_dead_letter_that_is_not_there_is_told() {
    let scene = scene();
    let _live = started(&scene);
    let refused = scene.ask(&["dlq", "retry", "nothing"]).with_code(1);
    assert!(
        refused.stderr.contains("no dead letter is event 'nothing': see `flyball dlq list --data data`"),
        "{}",
        refused.stderr
    );
    let refused = scene.ask(&["dlq", "list", "pickey"]).with_code(1);
    assert!(refused.stderr.contains("did you mean 'picky'"), "{}", refused.stderr);
    assert!(scene.ask(&["dlq", "retry"]).with_code(2).stderr.contains("<ID|--all>"));
}

#[test]
fn what_became_of_all_is_one_list_for_programs_and_an_empty_one_where_there_was_none() {
    let scene = scene();
    let live = started(&scene);
    assert_eq!(scene.ask_json(&["dlq", "retry", "--all"]), json!([]));
    scene.ask(&["emit", "work", "--data", "1"]).with_code(0);
    let id = letters(&scene, 1)[0]["event"]["event_id"].clone();
    live.signal("TERM");
    live.end(LONG).with_code(0);
    let dropped = scene.ask_json(&["dlq", "drop", "--all"]);
    assert_eq!(dropped, json!([{"event_id": id, "process": "picky", "again": false, "live": false, "when": null}]));
}

#[test]
fn a_letter_for_a_paused_process_is_not_said_to_be_handled_now() {
    let scene = scene();
    let _live = started(&scene);
    scene.ask(&["emit", "work", "--data", "1"]).with_code(0);
    letters(&scene, 1);
    scene.ask(&["pause", "picky", "--why", "lunch"]).with_code(0);
    let told = scene.ask(&["dlq", "retry", "--all"]).with_code(0).stdout;
    assert!(told.contains("picky handles it once it is resumed (lunch): see `flyball resume picky --data data`"), "{told}");
}

#[test]
fn a_mistake_that_stands_in_no_line_has_none_for_programs() {
    let scene = Scene::empty();
    let told = scene.ask(&["validate", "example", "-o", "json"]).with_code(2).stdout;
    let told: Value = serde_json::from_str(&told).expect("it is JSON");
    let first = &told["diagnostics"][0];
    assert_eq!((&first["line"], &first["column"]), (&Value::Null, &Value::Null), "{told}");
}

#[test]
fn a_letter_of_another_process_is_left_alone() {
    let scene = scene();
    std::fs::write(scene.example().join("other.agent"), PICKY.replace("picky", "other")).expect("written");
    let live = started(&scene);
    eventually(LONG, || scene.ask(&["ps"]).stdout.matches("awaiting").count().eq(&2).then_some(())).expect("both are up");
    scene.ask(&["fire", "picky", "--data", "1"]).with_code(0);
    let id = letters(&scene, 1)[0]["event"]["event_id"].as_str().expect("an id").to_owned();
    for verb in ["retry", "drop"] {
        let refused = scene.ask(&["dlq", verb, &id, "--process", "other"]).with_code(1).stderr;
        assert!(refused.contains(&format!("no dead letter of other is event '{id}'")), "{refused}");
    }
    assert_eq!(letters(&scene, 1)[0]["event"]["event_id"], id.as_str());
    scene.ask(&["dlq", "drop", &id, "--process", "picky"]).with_code(0);
    letters(&scene, 0);
    live.signal("TERM");
    live.end(LONG).with_code(0);
}

#[test]
fn a_run_tells_what_an_operator_made_of_its_event_and_whether_it_is_his() {
    let scene = scene();
    let live = started(&scene);
    scene.ask(&["emit", "work", "--data", "1"]).with_code(0);
    let first = letters(&scene, 1)[0].clone();
    let text = |letter: &Value, key: &str| letter[key].as_str().expect("a text").to_owned();
    let (id, run) = (text(&first["event"], "event_id"), text(&first, "run"));
    let why = |about: &str| scene.ask(&["why", about]).with_code(0).stdout;
    assert!(!why(&run).contains("an operator"), "{}", why(&run));

    scene.ask(&["dlq", "retry", &id, "--note", "perhaps now"]).with_code(0);
    let again = || letters(&scene, 1).pop().filter(|letter| letter["run"] != run.as_str());
    let again = text(&eventually(LONG, again).expect("it fails again"), "run");
    let told = why(&run);
    assert!(told.contains(&format!("an operator has the event handled once more, in run {again} (perhaps now)\n")), "{told}");
    let told = why(&again);
    let because = format!("an operator has the event handled once more after run {run} had failed (perhaps now)\n");
    assert!(told.contains(&because) && !told.contains("gives the event up"), "{told}");

    scene.ask(&["dlq", "drop", &id, "--note", "never mind"]).with_code(0);
    let told = why(&again);
    assert!(told.contains(&because) && told.contains("an operator gives the event up (never mind)\n"), "{told}");
    assert!(!why(&run).contains("gives the event up"), "{}", why(&run));
    let json = scene.ask_json(&["why", &again]);
    assert_eq!((&json["retry_of"]["run"], &json["seen_to"]["note"]), (&json!(run), &json!("never mind")));
    // By its event, the newest run is found.
    assert_eq!(why(&id), why(&again));
    live.signal("TERM");
    live.end(LONG).with_code(0);
}
