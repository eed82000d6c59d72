//! A log has one owner at a time, and knows when its files are taken away.

#![cfg(test)]

use flyball_journal::{Entry, Error, Log};

#[test]
fn a_log_that_is_open_is_refused_to_a_second_owner_who_is_told_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (_first, _) = Log::open(dir.path()).unwrap();
    let refused = Log::open(dir.path()).err().unwrap();
    assert!(matches!(&refused, Error::Locked { holder, .. } if *holder == format!("pid {}", std::process::id())), "{refused}");
}

#[test]
fn a_closed_log_can_be_opened_again_while_its_first_owner_still_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = Log::open(dir.path()).unwrap();
    first.close();
    assert!(Log::open(dir.path()).is_ok());
}

#[tokio::test]
async fn nothing_is_durable_in_a_file_that_somebody_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(dir.path()).unwrap();
    let note = || vec![Entry::Note { layer: "test".into(), run: None, body: serde_json::json!(1) }];
    log.process("p").append(note()).await.unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
    let refused = log.process("p").append(note()).await.unwrap_err().to_string();
    assert!(refused.contains("deleted"), "{refused}");
}
