#![cfg(test)]
//! Agents that are started again by themselves because of their age: the run goes on with them.

mod binary;

use binary::{LONG, Live, Scene, eventually};

/// An agent that an event wakes, and that is too old again and again.
fn short_lived(name: &str) -> String {
    let config = "config: {max_lifetime: 1, heartbeat_interval: 0.2}";
    format!("name: {name}\nmodel: scripted:script.yaml\ntriggers: [{{type: event, event_type: go}}]\n{config}\n")
}

fn scene(names: &[&str]) -> Scene {
    let scene = Scene::empty();
    names.iter().for_each(|name| scene.write(&format!("{name}.agent"), &short_lived(name)));
    scene.write("script.yaml", "rules:\n  - say: \"all is well\"\n");
    scene
}

fn lives_on(names: &[&str]) {
    let scene = scene(names);
    let mut live = Live::start(&mut scene.run());
    for _ in 0..3 {
        live.says("stopped: max_lifetime is over");
        live.says(". started again");
    }
    // An event comes while an agent is being started anew, or while it is up: either way it is taken.
    let taken = || (scene.ask_json(&["emit", "go"])["delivered"] == names.len()).then_some(());
    eventually(LONG, taken).expect("every agent takes the event");
    names.iter().for_each(|_| drop(live.says("+ all is well")));
    live.says("stopped: max_lifetime is over");
    live.signal("TERM");
    let ended = live.end(LONG).with_code(0);
    assert!(ended.stdout.contains("ended by SIGTERM"), "{}", ended.stdout);
}

#[test]
fn one_agent_lives_over_many_lifetimes_and_handles_an_event_afterwards() {
    lives_on(&["lone"]);
}

#[test]
fn agents_that_are_too_old_at_the_same_time_do_not_end_the_run() {
    lives_on(&["one", "two"]);
}
