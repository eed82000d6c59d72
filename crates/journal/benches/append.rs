//! Appending groups of records and waiting until they are durable: on the disk, and without one, which
//! shows what the log itself costs.

#[path = "support/mix.rs"]
mod mix;
#[path = "support/nowhere.rs"]
mod nowhere;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flyball_journal::{DEFAULT_SEGMENT_BYTES, FileStorage, Log, Storage};
use mix::record_of_300_bytes;
use nowhere::Nowhere;

fn append(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    groups(criterion, "append, on the disk", Arc::new(on_disk(folder.path())));
    groups(criterion, "append, without a disk", Arc::new(Nowhere));
}

fn on_disk(dir: &Path) -> FileStorage {
    FileStorage::open(dir).expect("a folder")
}

fn groups(criterion: &mut Criterion, name: &str, storage: Arc<dyn Storage>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("tokio starts");
    let (log, _) = Log::open_storage(storage, DEFAULT_SEGMENT_BYTES).expect("the log opens");
    let journal = log.process("p");
    let mut group = criterion.benchmark_group(name);
    group.measurement_time(Duration::from_secs(3));
    for records in [1_usize, 16, 100] {
        let entries: Vec<_> = (0..records).map(|_| record_of_300_bytes()).collect();
        group.throughput(Throughput::Elements(records as u64));
        group.bench_function(BenchmarkId::from_parameter(records), |bencher| {
            bencher.iter_batched(
                || entries.clone(),
                |entries| runtime.block_on(journal.append(entries)).expect("appended"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, append);
criterion_main!(benches);
