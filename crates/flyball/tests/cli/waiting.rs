//! Events that wait, and those that waited for too long.

use crate::binary::{LONG, Live, Scene, eventually};

const AGENT: &str = r#"
name: a
model: "scripted:script.yaml"
triggers: [{type: event, event_type: work}]
config: {trigger_delivery: {max_age: 1}}
"#;

#[test]
fn events_that_wait_are_counted_by_ps_and_those_that_waited_for_too_long_by_why() {
    let scene = Scene::empty();
    scene.write("a.agent", AGENT);
    scene.write("script.yaml", "rules: [{say: done}]");
    let live = Live::start(&mut scene.run());
    let ps = || scene.ask(&["ps"]).stdout;
    eventually(LONG, || ps().contains("awaiting").then_some(())).expect("it is up");
    scene.ask(&["pause", "a"]).with_code(0);
    for _ in 0..2 {
        scene.ask(&["emit", "work"]).with_code(0);
    }
    let table = ps();
    let column = |line: usize, title: &str| {
        let place = table.lines().next().and_then(|titles| titles.split_whitespace().position(|one| one == title));
        table.lines().nth(line).and_then(|row| row.split_whitespace().nth(place.expect("it has the column")))
    };
    assert_eq!((column(1, "WAIT"), column(1, "FAILED")), (Some("2"), Some("-")), "{table}");

    std::thread::sleep(std::time::Duration::from_millis(1_200));
    scene.ask(&["resume", "a"]).with_code(0);
    let told = "  expired   2 events were given up: they waited for longer than max_age\n";
    let why = || scene.ask(&["why", "a"]).with_code(0).stdout;
    eventually(LONG, || why().contains(told).then_some(())).unwrap_or_else(|| panic!("{}", why()));
    live.signal("TERM");
    live.end(LONG).with_code(0);
    assert!(why().contains(told), "{}", why());

    // One of them is asked for by its id.
    let event = super::events(&scene, "a")[0].event_id.clone();
    let told = scene.ask(&["why", &event]).with_code(0).stdout;
    assert!(told.contains(" a took it in at ") && told.contains("; it is given up: "), "{told}");
    assert_eq!(scene.ask_json(&["why", &event])[0]["process"], "a");
}
