//! From the files of a log to a process's state, without a checkpoint.

#[path = "support/mix.rs"]
mod mix;

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flyball_journal::{Entry, Log, ProcessFold};

/// Enough for several segments.
const RECORDS: u64 = 30_000;

/// Entries that are appended at once.
const GROUP: u64 = 600;

fn recover(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    write(folder.path());
    let mut group = criterion.benchmark_group("recover");
    group.throughput(Throughput::Elements(RECORDS)).measurement_time(Duration::from_secs(5)).sample_size(10);
    group.bench_function("resume", |bencher| {
        bencher.iter(|| Log::resume(folder.path()).expect("the log opens").1.processes["p"].fold.entries);
    });
    group.bench_function("open and fold", |bencher| {
        bencher.iter(|| {
            let (_log, recovery) = Log::open(folder.path()).expect("the log opens");
            ProcessFold::of(&recovery.processes["p"])
        });
    });
    let (_log, recovery) = Log::open(folder.path()).expect("the log opens");
    let records = &recovery.processes["p"];
    group.bench_function("fold", |bencher| bencher.iter(|| ProcessFold::of(records)));
    group.finish();
}

fn write(dir: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("tokio starts");
    let (log, _) = Log::open(dir).expect("the log opens");
    let journal = log.process("p");
    for first in (0..RECORDS).step_by(GROUP as usize) {
        let group: Vec<Entry> = (first..first + GROUP).map(|index| mix::entry(index, DateTime::UNIX_EPOCH, 1)).collect();
        runtime.block_on(journal.append(group)).expect("appended");
    }
}

criterion_group!(benches, recover);
criterion_main!(benches);
