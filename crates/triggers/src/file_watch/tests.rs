//! A trigger that remembers few files.

use std::fs;

use chrono::DateTime;
use flyball_core_agent::ManualClock;

use super::*;
use crate::{News, Receipt};

/// Takes events until something is to be kept of `count` keys, which are gone where they are null.
async fn kept(news: &mut tokio::sync::mpsc::Receiver<News>, count: usize) -> Cursor {
    let taking = async {
        loop {
            match news.recv().await.expect("it runs") {
                News::Moved(moved) if moved.cursor.len() == count => return moved.cursor,
                News::Moved(_) => {}
                News::Offer(offer) => {
                    let receipt = Receipt { event_id: offer.event.event_id, duplicate: false };
                    offer.answer.send(Ok(receipt)).expect("it waits");
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taking).await.expect("in time")
}

#[tokio::test]
async fn a_trigger_takes_its_cursor_back_with_too_many_files_and_writes_it_again_with_fewer() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "1").unwrap();
    let config = FileWatchConfig { watch_debounce_seconds: 0.05, ..FileWatchConfig::new(dir.path()) };
    let mut trigger = FileWatchTrigger::new(config, Arc::new(ManualClock::new(DateTime::UNIX_EPOCH))).unwrap();
    trigger.max_remembered = 1;
    trigger.open(&Cursor::new()).await.unwrap();
    let (sink, mut news) = Sink::channel(1);
    let _running = tokio::spawn(Box::new(trigger).run(sink));
    let whole = kept(&mut news, 2).await;
    fs::write(dir.path().join("b"), "1").unwrap();
    let back = kept(&mut news, 2).await;
    assert_eq!(back.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
    assert!(back.values().all(serde_json::Value::is_null));
    fs::remove_file(dir.path().join("b")).unwrap();
    assert_eq!(kept(&mut news, 2).await, whole);
}
