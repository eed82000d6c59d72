//! What a checkpoint says is what the records before it come to.

use flyball_journal::history::check;
use flyball_journal::{Entry, Record};
use flyball_runtime::{Control, ProcessSpec};
use tokio::sync::broadcast::Receiver;

use crate::support::{Act, Bench};

/// So many that a checkpoint becomes due.
const EVENTS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_checkpoint_says_what_the_records_before_it_come_to() {
    for concurrency in [1, 4] {
        let records = records_of_many_runs(concurrency).await;
        assert!(records.iter().any(|record| matches!(record.entry, Entry::Checkpoint { .. })), "{} records", records.len());
        assert_eq!(check(&records), [], "{concurrency} runs at a time");
    }
}

async fn records_of_many_runs(concurrency: usize) -> Vec<Record> {
    let bench = Bench::new();
    let spec = ProcessSpec { concurrency, ..ProcessSpec::new("p") };
    let runtime = bench.runtime(spec, Act::Say("done"));
    let mut watch = runtime.log().watch();
    runtime.start("p").await.expect("it starts");
    for number in 0..EVENTS {
        runtime.inject("p", bench.event(&format!("e{number}"))).await.expect("taken");
        if number % 16 == 15 {
            // They are handled several at a time, and there is a rest in which a checkpoint fits.
            bench.until(&runtime, |status| status.invocation_count == number as u64 + 1 && status.active_runs == 0).await;
        }
    }
    runtime.shutdown().await;
    all(&mut watch)
}

fn all(watch: &mut Receiver<std::sync::Arc<Record>>) -> Vec<Record> {
    std::iter::from_fn(|| watch.try_recv().ok()).map(|record| Record::clone(&record)).collect()
}
