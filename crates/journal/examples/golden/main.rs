//! Writes a journal of today's format, and what it says, into a new folder below `tests/golden`, where they
//! stay for all later versions: `cargo run -p flyball-journal --example golden -- crates/journal/tests/golden/v2`.

#[path = "../../tests/golden/life.rs"]
mod life;
#[path = "../../tests/golden/said.rs"]
mod said;

use std::path::PathBuf;
use std::sync::Arc;

use flyball_journal::{FileStorage, Log, Retention};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let dir = PathBuf::from(std::env::args_os().nth(1).expect("the new folder is the only argument"));
    std::fs::create_dir(&dir).expect("it is not there yet, and what it lies in is");
    let journal = dir.join("journal");
    let storage = FileStorage::open(&journal).expect("the journal's folder is made");
    let (log, _) = Log::open_storage(Arc::new(storage), life::SEGMENT_BYTES).expect("the log opens");
    life::write(&log, Retention { max_bytes: Some(3 * life::SEGMENT_BYTES), max_age: None }).await;
    log.close();
    drop(log);
    let said = serde_json::to_string_pretty(&said::said(&journal)).expect("it is JSON");
    // It says who has the log open, and nobody has.
    std::fs::remove_file(journal.join("lock")).expect("opening it made one");
    std::fs::write(dir.join("says.json"), said + "\n").expect("written");
}
