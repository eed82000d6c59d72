//! What `flyball why` tells of a process's schedule while it runs.

use crate::binary::{LONG, Live, Scene, eventually, finish};

const AGENT: &str = r#"
name: clock
model: "scripted:script.yaml"
triggers:
  - {type: cron, cron_expression: "* * * * * *"}
  - {type: cron, cron_expression: "0 0 1 1 *", cron_timezone: Europe/Zurich}
"#;

/// The lines of `flyball why clock` that begin so.
fn lines(scene: &Scene, lead: &str) -> Vec<String> {
    let mut why = scene.flyball(&["--data", "data", "why", "clock"]);
    let told = finish(why.env("TZ", "UTC"), LONG).with_code(0).stdout;
    told.lines().filter(|line| line.starts_with(lead)).map(str::to_owned).collect()
}

#[test]
fn why_tells_when_a_clock_strikes_next_and_what_it_let_pass() {
    let scene = Scene::empty();
    scene.write("clock.agent", AGENT);
    scene.write("script.yaml", "rules: [{say: tick}]");
    let mut live = Live::start(&mut scene.run());
    live.says("+ tick");
    let next = lines(&scene, "  next  ");
    assert_eq!(next.len(), 2, "{next:?}");
    // The year begins an hour earlier in Zurich.
    assert!(next.iter().any(|line| line.contains("23:00:00 +00:00, by cron `")), "{next:?}");
    assert!(next.iter().all(|line| line.contains(", by cron `") && line.ends_with(")")), "{next:?}");

    // Nothing is handled while it is paused, so all that come after the first of then pass.
    scene.ask(&["pause", "clock", "--why", "a look at what passes"]).with_code(0);
    let skipped = || lines(&scene, "  skipped  ").into_iter().next();
    let line = eventually(LONG, skipped).expect("why tells of it");
    let reason = " came while an earlier one was not handled yet";
    assert!(
        line.contains("  skipped   cron `")
            && line.contains(") let ")
            && line.contains(" pass, the last because ")
            && line.ends_with(reason),
        "{line}"
    );
    live.signal("TERM");
    live.end(LONG).with_code(0);
    assert!(lines(&scene, "  next  ").is_empty(), "nobody waits for it any more");
}
