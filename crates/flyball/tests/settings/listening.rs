//! What a manifest says of events of the bus and of watched directories.

use std::fs;
use std::time::Duration;

use flyball::runtime::Control;
use serde_json::json;

use crate::support::{CONTENT, World, kinds, runs};

/// The names of the files that woke the agent.
async fn files(world: &World) -> Vec<String> {
    let reading = world.read("watcher").await;
    reading.events().iter().map(|event| event.payload["filename"].as_str().expect("a name").to_owned()).collect()
}

/// Puts a file in place at once: no look at it finds it half written.
fn drop_in(world: &World, path: &str, text: &str) {
    let draft = world.file("draft", text);
    fs::rename(draft, world.dir().join(path)).expect("it can be put in place");
}

/// A process that watches `inbox`, with more settings of its trigger.
fn watcher(more: &str) -> String {
    let trigger = format!("{{type: file_watch, watch_path: inbox, watch_debounce_seconds: 0.02{more}}}");
    format!("name: watcher\nconfig: {{max_consecutive_failures: 100}}\ntriggers: [{trigger}]")
}

#[tokio::test]
async fn only_events_of_the_named_source_are_taken() {
    let world = World::new();
    world.script(CONTENT);
    let manifest = "name: listener\ntriggers: [{type: event, event_type: alert.>, event_source: monitor}]";
    let process = world.start(manifest).await;
    let emit = async |source: &str| world.runtime.emit("alert.late", source, json!({})).await.expect("it is emitted");
    assert_eq!((emit("stranger").await, emit("monitor").await), (0, 1));
    runs(&process, 1).await;
    assert_eq!(world.read("listener").await.events()[0].payload["source"], "monitor");
}

#[tokio::test]
async fn directories_below_count_unless_the_manifest_says_otherwise() {
    for (more, wanted) in [("", vec!["deep.csv", "top.csv"]), (", watch_recursive: false", vec!["top.csv"])] {
        let world = World::new();
        world.script(CONTENT);
        fs::create_dir_all(world.dir().join("inbox/below")).expect("a folder");
        let process = world.start(&watcher(more)).await;
        // Both wait equally long, so what is to come of the first is there when the second is.
        drop_in(&world, "inbox/below/deep.csv", "a,b\n");
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop_in(&world, "inbox/top.csv", "a,b\n");
        runs(&process, wanted.len() as u64).await;
        assert_eq!(files(&world).await, wanted, "{more}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_watch_that_polls_sees_what_the_system_does_not_report() {
    // What changes behind a link is not reported by the system; whoever looks at every file sees it.
    let world = World::new();
    world.script(CONTENT);
    fs::create_dir_all(world.dir().join("inbox")).expect("a folder");
    let target = world.file("elsewhere.csv", "a,b\n");
    std::os::unix::fs::symlink(&target, world.dir().join("inbox/link.csv")).expect("a link");
    let process = world.start(&watcher(", watch_backend: polling, watch_poll_interval: 0.05")).await;
    // By the time that this is told, the first look is over.
    drop_in(&world, "inbox/first.csv", "a,b\n");
    runs(&process, 1).await;
    drop_in(&world, "elsewhere.csv", "a,b\n1,2\n");
    runs(&process, 2).await;
    assert_eq!(files(&world).await, ["first.csv", "link.csv"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_watch_that_polls_seldom_sees_it_late() {
    let world = World::new();
    world.script(CONTENT);
    fs::create_dir_all(world.dir().join("inbox")).expect("a folder");
    let often = watcher(", watch_backend: polling, watch_poll_interval: 0.05");
    let seldom = watcher(", watch_backend: polling, watch_poll_interval: 3600").replace("watcher", "seldom");
    // What was done between two lives is found by the first look of the second.
    let process = world.start(&seldom).await;
    while !kinds(&world.read("seldom").await.records).contains(&"trigger_moved") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.stop().await.expect("it stops");
    drop_in(&world, "inbox/first.csv", "a,b\n");
    process.start().await.expect("it starts");
    runs(&process, 1).await;
    let other = world.start(&often).await;
    // Whatever it was still to look at when it told of the first is over by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop_in(&world, "inbox/second.csv", "a,b\n");
    runs(&other, 1).await;
    // Were it to look every second, as it does where nothing is said, it would have seen it by then.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(process.status().triggers[0].fired, 1);
}
