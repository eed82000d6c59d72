//! Real files in a directory of their own.
#![expect(clippy::unwrap_used, reason = "a test's helper fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use common::next_offer;
use flyball_core_agent::{ManualClock, TriggerEvent};
use flyball_triggers::{
    Cursor, Error, FileWatchConfig, FileWatchTrigger, News, Offer, Receipt, Refusal, Sink, Trigger, WatchBackend, WatchEvent,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

mod common;

const ALL: [WatchEvent; 4] = [WatchEvent::Created, WatchEvent::Modified, WatchEvent::Deleted, WatchEvent::Moved];

fn config(dir: &Path) -> FileWatchConfig {
    FileWatchConfig { watch_events: ALL.to_vec(), watch_debounce_seconds: 0.15, ..FileWatchConfig::new(dir) }
}

fn trigger(config: FileWatchConfig) -> Result<FileWatchTrigger, Error> {
    FileWatchTrigger::new(config, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH)))
}

struct Watch {
    dir: PathBuf,
    offers: mpsc::Receiver<News>,
    _running: tokio::task::JoinHandle<Error>,
}

async fn watch(config: FileWatchConfig) -> Watch {
    let dir = config.watch_path.clone();
    let mut trigger = trigger(config).unwrap();
    trigger.open(&Cursor::new()).await.unwrap();
    let (sink, offers) = Sink::channel(1);
    Watch { dir, offers, _running: tokio::spawn(Box::new(trigger).run(sink)) }
}

impl Watch {
    async fn offer(&mut self) -> Offer {
        tokio::time::timeout(Duration::from_secs(30), next_offer(&mut self.offers)).await.expect("it fires").expect("it runs")
    }

    async fn next(&mut self) -> TriggerEvent {
        let Offer { event, answer, .. } = self.offer().await;
        answer.send(Ok(Receipt { event_id: event.event_id.clone(), duplicate: false })).unwrap();
        event
    }

    /// What happened next, as event and path below the directory.
    async fn happened(&mut self) -> (String, String) {
        let event = self.next().await;
        let path = PathBuf::from(event.payload["path"].as_str().unwrap());
        let inner = path.strip_prefix(&self.dir).unwrap().to_string_lossy().into_owned();
        (event.payload["event_type"].as_str().unwrap().to_owned(), inner)
    }

    /// The next `count` happenings, sorted.
    async fn all(&mut self, count: usize) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.happened().await);
        }
        all.sort();
        all
    }

    /// Nothing has happened but that a last file comes.
    async fn nothing_more(&mut self) {
        fs::write(self.dir.join("last"), "x").unwrap();
        assert_eq!(self.happened().await, is("created", "last"));
    }
}

fn is(event: &str, path: &str) -> (String, String) {
    (event.to_owned(), path.to_owned())
}

fn both_backends() -> Vec<(TempDir, FileWatchConfig)> {
    let of = |backend| {
        let dir = tempfile::tempdir().unwrap();
        let config = FileWatchConfig { watch_backend: backend, watch_poll_interval: 0.05, ..config(dir.path()) };
        (dir, config)
    };
    vec![of(WatchBackend::Native), of(WatchBackend::Polling)]
}

#[tokio::test]
async fn a_file_is_created_modified_moved_and_deleted() {
    for (_dir, config) in both_backends() {
        let mut watch = watch(config).await;
        let (a, b) = (watch.dir.join("a.csv"), watch.dir.join("b.csv"));
        fs::write(&a, "1").unwrap();
        assert_eq!(watch.happened().await, is("created", "a.csv"));
        fs::write(&a, "22").unwrap();
        assert_eq!(watch.happened().await, is("modified", "a.csv"));
        fs::rename(&a, &b).unwrap();
        let moved = watch.next().await;
        assert_eq!((&moved.payload["event_type"], &moved.payload["filename"]), (&json!("moved"), &json!("b.csv")));
        assert_eq!(moved.metadata["moved_from"], json!(a));
        fs::remove_file(&b).unwrap();
        assert_eq!(watch.happened().await, is("deleted", "b.csv"));
    }
}

#[tokio::test]
async fn the_payload_is_that_of_the_kind() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(FileWatchConfig { watch_patterns: vec!["*.csv".to_owned()], ..config(dir.path()) }).await;
    let path = dir.path().join("a.csv");
    fs::write(&path, "1").unwrap();
    let event = watch.next().await;
    assert_eq!(event.payload["path"], json!(path));
    assert_eq!(event.payload["filename"], "a.csv");
    assert_eq!(event.payload["event_type"], "created");
    assert_eq!(event.payload["event_types"], json!(["created", "modified"]));
    assert_eq!(event.metadata["watch_path"], json!(dir.path()));
    assert_eq!(event.metadata["patterns"], json!(["*.csv"]));
    assert_eq!(event.trigger_type, "file_watch");
    let created = event.dedup_key.unwrap();
    fs::write(&path, "22").unwrap();
    assert_ne!(watch.next().await.dedup_key.unwrap(), created);
}

#[tokio::test]
async fn writes_within_a_window_are_one_event_and_what_came_and_went_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(FileWatchConfig { watch_debounce_seconds: 1.0, ..config(dir.path()) }).await;
    for count in 1..50 {
        fs::write(dir.path().join("a"), "x".repeat(count)).unwrap();
        fs::write(dir.path().join("short-lived"), "x").unwrap();
        fs::remove_file(dir.path().join("short-lived")).unwrap();
    }
    assert_eq!(watch.happened().await, is("created", "a"));
    watch.nothing_more().await;
}

#[tokio::test]
async fn a_file_that_is_written_without_end_still_fires() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(FileWatchConfig { watch_debounce_seconds: 0.3, ..config(dir.path()) }).await;
    let path = dir.path().join("log");
    let writer = tokio::task::spawn_blocking(move || {
        for count in 1..200 {
            fs::write(&path, "x".repeat(count)).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(watch.happened().await, is("created", "log"));
    assert_eq!(watch.happened().await, is("modified", "log"));
    assert!(!writer.is_finished(), "the file was still being written");
    writer.await.unwrap();
}

#[tokio::test]
async fn a_save_by_way_of_a_temporary_file_is_a_modification() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, "a: 1").unwrap();
    let mut watch = watch(FileWatchConfig { watch_patterns: vec!["*.yaml".to_owned()], ..config(dir.path()) }).await;
    // Written aside and renamed over it, twice, since a watch on the file itself would see the first only.
    for content in ["a: 2", "a: 3"] {
        let aside = dir.path().join("config.yaml.tmp");
        fs::write(&aside, content).unwrap();
        fs::rename(&aside, &path).unwrap();
        assert_eq!(watch.happened().await, is("modified", "config.yaml"));
    }
    // The old one renamed away, the new one written in its place.
    fs::rename(&path, dir.path().join("config.yaml~")).unwrap();
    fs::write(&path, "a: 4").unwrap();
    assert_eq!(watch.happened().await, is("modified", "config.yaml"));
}

#[tokio::test]
async fn only_wanted_events_of_matching_files_fire() {
    let dir = tempfile::tempdir().unwrap();
    let patterns = ["*.yaml", "drops/*/in.csv"].map(str::to_owned).to_vec();
    let events = vec![WatchEvent::Created];
    let mut watch = watch(FileWatchConfig { watch_patterns: patterns, watch_events: events, ..config(dir.path()) }).await;
    fs::create_dir_all(dir.path().join("drops/a/b")).unwrap();
    for path in ["x.yml", "in.csv", "drops/in.csv", "drops/a/b/in.csv", "drops/a/in.csv", "drops/a/b/deep.yaml", "top.yaml"] {
        fs::write(dir.path().join(path), "1").unwrap();
    }
    let expected = ["drops/a/b/deep.yaml", "drops/a/in.csv", "top.yaml"].map(|path| is("created", path));
    assert_eq!(watch.all(3).await, expected);
    fs::write(dir.path().join("top.yaml"), "22").unwrap();
    fs::remove_file(dir.path().join("drops/a/in.csv")).unwrap();
    fs::write(dir.path().join("next.yaml"), "1").unwrap();
    assert_eq!(watch.happened().await, is("created", "next.yaml"));
}

#[tokio::test]
async fn files_of_new_renamed_and_removed_directories_are_seen() {
    for (_dir, config) in both_backends() {
        let mut watch = watch(config).await;
        let deep = watch.dir.join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("one"), "1").unwrap();
        assert_eq!(watch.happened().await, is("created", "a/b/c/one"));
        fs::write(deep.join("two"), "2").unwrap();
        assert_eq!(watch.happened().await, is("created", "a/b/c/two"));
        fs::rename(watch.dir.join("a"), watch.dir.join("z")).unwrap();
        assert_eq!(watch.all(2).await, [is("moved", "z/b/c/one"), is("moved", "z/b/c/two")]);
        fs::remove_dir_all(watch.dir.join("z")).unwrap();
        assert_eq!(watch.all(2).await, [is("deleted", "z/b/c/one"), is("deleted", "z/b/c/two")]);
    }
}

#[tokio::test]
async fn without_recursion_only_the_directory_itself_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(FileWatchConfig { watch_recursive: false, ..config(dir.path()) }).await;
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/deep"), "1").unwrap();
    watch.nothing_more().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_looked_at_is_not_gone() {
    for (dir, config) in both_backends() {
        let patterns = ["kept", "last*"].map(str::to_owned).to_vec();
        let mut watch = watch(FileWatchConfig { watch_patterns: patterns, ..config }).await;
        let path = dir.path().join("kept");
        fs::write(&path, "1").unwrap();
        assert_eq!(watch.happened().await, is("created", "kept"));
        // A link to itself cannot be looked at, not even by root.
        std::os::unix::fs::symlink(&path, dir.path().join("aside")).unwrap();
        fs::rename(dir.path().join("aside"), &path).unwrap();
        watch.nothing_more().await;
        fs::write(dir.path().join("aside"), "22").unwrap();
        fs::rename(dir.path().join("aside"), &path).unwrap();
        assert_eq!(watch.happened().await, is("modified", "kept"));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_config_map_that_is_swapped_by_a_link_is_a_modification() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let version = |name: &str, content: &str| {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("k.yaml"), content).unwrap();
    };
    version("..v1", "a: 1");
    symlink("..v1", dir.path().join("..data")).unwrap();
    symlink("..data/k.yaml", dir.path().join("k.yaml")).unwrap();
    let mut watch = watch(config(dir.path())).await;
    // The look at everything that a run begins with is over, and must not be what finds it.
    fs::write(dir.path().join("first"), "x").unwrap();
    assert_eq!(watch.happened().await, is("created", "first"));
    version("..v2", "a: 2");
    symlink("..v2", dir.path().join("..data_tmp")).unwrap();
    fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
    assert_eq!(watch.happened().await, is("modified", "k.yaml"));
    watch.nothing_more().await;
}

#[tokio::test]
async fn what_was_there_does_not_fire_and_what_changes_before_the_run_does() {
    for (dir, config) in both_backends() {
        fs::write(dir.path().join("old"), "1").unwrap();
        fs::write(dir.path().join("changing"), "1").unwrap();
        let mut trigger = trigger(config).unwrap();
        trigger.open(&Cursor::new()).await.unwrap();
        fs::write(dir.path().join("changing"), "22").unwrap();
        fs::write(dir.path().join("new"), "1").unwrap();
        let (sink, offers) = Sink::channel(1);
        let running = tokio::spawn(Box::new(trigger).run(sink));
        let mut watch = Watch { dir: dir.path().to_owned(), offers, _running: running };
        assert_eq!(watch.all(2).await, [is("created", "new"), is("modified", "changing")]);
        watch.nothing_more().await;
    }
}

#[tokio::test]
async fn a_missing_directory_is_made_and_a_deleted_one_is_watched_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(config(&dir.path().join("drops/today"))).await;
    let path = watch.dir.join("a");
    fs::write(&path, "1").unwrap();
    assert_eq!(watch.happened().await, is("created", "a"));
    fs::remove_dir_all(dir.path().join("drops")).unwrap();
    assert_eq!(watch.happened().await, is("deleted", "a"));
    while fs::write(&path, "1").is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(watch.happened().await, is("created", "a"));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_again_is_watched_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let drops = dir.path().join("drops");
    let mut watch = watch(FileWatchConfig { watch_poll_interval: 0.1, ..config(&drops.join("today")) }).await;
    fs::write(watch.dir.join("a"), "1").unwrap();
    assert_eq!(watch.happened().await, is("created", "a"));
    // Somebody puts a file where the directory was.
    while fs::remove_dir_all(&drops).and_then(|()| fs::write(&drops, "")).is_err() {}
    assert_eq!(watch.happened().await, is("deleted", "a"));
    fs::remove_file(&drops).and_then(|()| fs::create_dir_all(&watch.dir)).unwrap();
    fs::write(watch.dir.join("b"), "1").unwrap();
    assert_eq!(watch.happened().await, is("created", "b"));
}

#[tokio::test]
async fn a_refused_event_is_offered_again_and_later_ones_come_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(config(dir.path())).await;
    fs::write(dir.path().join("a"), "1").unwrap();
    let Offer { event, answer, .. } = watch.offer().await;
    fs::write(dir.path().join("b"), "1").unwrap();
    answer.send(Err(Refusal::NotDurable("no space".to_owned()))).unwrap();
    assert_eq!(watch.next().await.dedup_key, event.dedup_key);
    assert_eq!(watch.happened().await, is("created", "b"));
}

#[tokio::test]
async fn more_files_than_may_wait_are_found_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut watch = watch(FileWatchConfig { watch_max_pending_events: 5, ..config(dir.path()) }).await;
    for number in 0..60 {
        fs::write(dir.path().join(format!("{number:02}")), "1").unwrap();
    }
    let expected: Vec<_> = (0..60).map(|number| is("created", &format!("{number:02}"))).collect();
    assert_eq!(watch.all(60).await, expected);
}

#[test]
fn tuning_does_not_rename_a_trigger_and_what_is_watched_does() {
    let id = |config| trigger(config).unwrap().id().to_owned();
    let plain = || FileWatchConfig::new("/w");
    // As it was when tuning was part of the name.
    assert_eq!(id(plain()), "file_watch-7b5aa4b4f9");
    let tuned = FileWatchConfig {
        watch_debounce_seconds: 2.0,
        watch_backend: WatchBackend::Polling,
        watch_poll_interval: 7.0,
        watch_max_pending_events: 3,
        ..plain()
    };
    assert_eq!(id(tuned), id(plain()));
    for other in [
        FileWatchConfig::new("/v"),
        FileWatchConfig { watch_patterns: vec!["*.csv".to_owned()], ..plain() },
        FileWatchConfig { watch_events: ALL.to_vec(), ..plain() },
        FileWatchConfig { watch_recursive: false, ..plain() },
    ] {
        assert_ne!(id(other), id(plain()));
    }
}

#[test]
fn a_wrong_configuration_says_which_field_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    fs::write(&file, "a: 1").unwrap();
    let base = || config(dir.path());
    let cases = [
        (config(&file), "put config.yaml into watch_patterns"),
        (FileWatchConfig { watch_patterns: vec!["[".to_owned()], ..base() }, "watch_patterns: "),
        (FileWatchConfig { watch_patterns: Vec::new(), ..base() }, "watch_patterns: is empty"),
        (FileWatchConfig { watch_events: Vec::new(), ..base() }, "watch_events: is empty"),
        (FileWatchConfig { watch_debounce_seconds: -1.0, ..base() }, "watch_debounce_seconds: must be between"),
        (FileWatchConfig { watch_debounce_seconds: f64::NAN, ..base() }, "watch_debounce_seconds: must be between"),
        (FileWatchConfig { watch_poll_interval: 0.0, ..base() }, "watch_poll_interval: must be between"),
        (FileWatchConfig { watch_max_pending_events: 0, ..base() }, "watch_max_pending_events: must be"),
        (FileWatchConfig::new(""), "watch_path: "),
    ];
    for (config, why) in cases {
        let error = trigger(config).err().unwrap();
        assert!(matches!(&error, Error::Config(text) if text.contains(why)), "{error}");
    }
}
