//! What a start builds upon is durable by then.

use super::*;

#[tokio::test]
async fn what_a_killed_process_wrote_and_did_not_sync_is_durable_before_it_is_built_upon() {
    // A batch that fills its segment to the last byte, so that no blank rest is cut off.
    let large = Entry::Note { layer: "test".into(), run: None, body: json!("x".repeat(3000)) };
    for stop in 0.. {
        let storage = MemoryStorage::default();
        storage.set_faults(&[Fault::FailFrom(stop)]);
        let (log, _) = Log::open_storage(Arc::new(storage.clone()), SEGMENT).expect("nothing is there to be read");
        let appended = log.process("a").append(vec![large.clone()]).await;
        drop(log);
        let killed = storage.fork();
        let (log, recovery) = open(&killed);
        let known = recovery.processes.get("a").map_or(0, Vec::len);
        append(&log, "a", vec![write(1)]).await;
        let after = open(&killed.power_cut(|_| false)).1;
        assert!(after.damaged.is_empty(), "operation {stop}: {:?}", after.damaged);
        assert_eq!(after.processes["a"].len(), known + 1, "operation {stop}");
        if appended.is_ok() {
            return assert!(stop > 4, "{stop} operations are too few to mean anything");
        }
    }
}

#[tokio::test]
async fn what_a_failed_sync_left_in_memory_is_written_again_before_anything_is_built_upon_it() {
    let storage = MemoryStorage::default();
    let (log, _) = open(&storage);
    append(&log, "a", vec![write(1)]).await;
    // The batch is one write and one sync.
    storage.set_faults(&[Fault::ForgetSync(storage.operations() + 1)]);
    log.process("a").append(vec![event()]).await.expect_err("it was not synced");
    drop(log);
    storage.set_faults(&[]);
    let (log, recovery) = open(&storage);
    assert_eq!(recovery.processes["a"].len(), 2, "it is read, though the disk does not have it");
    append(&log, "a", vec![write(2)]).await;
    let (_, recovery) = open(&storage.power_cut(|_| false));
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
    assert_eq!(recovery.processes["a"].len(), 3);
}
