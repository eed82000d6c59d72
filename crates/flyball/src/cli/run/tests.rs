//! That a run does by its clock what the manifests ask for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use flyball_journal::{Entry, FileStorage, LifecycleState, Log, Storage};

use super::{Plan, Run, start};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: Run,
}

/// A run of one agent, with these lines in its flyball.yaml, over a journal of many short segments.
async fn planned(dir: &Path, keep: &str) -> Plan {
    let write = |file: &str, text: &str| std::fs::write(dir.join(file), text).expect("written");
    write("lone.agent", "name: lone\nmodel: \"scripted:script.yaml\"\ntriggers: [{type: event, event_type: go}]\n");
    write("script.yaml", "rules: [{say: done}]");
    write("flyball.yaml", &format!("data: data\nlisten: 127.0.0.1:0\n{keep}\n"));
    let storage = Arc::new(FileStorage::open(&dir.join("data/journal")).expect("made"));
    let (log, _) = Log::open_storage(storage, 4 << 10).expect("the log opens");
    for number in 0..100 {
        let (from_state, to_state) = (LifecycleState::Awaiting, LifecycleState::Stopped);
        let reason = format!("{number}{}", " and so on".repeat(50));
        log.process("lone").append(vec![Entry::StateTransition { from_state, to_state, reason }]).await.expect("appended");
    }
    log.close();
    let line = Line::parse_from(["run", dir.to_str().expect("a path in UTF-8")]);
    line.run.plan(None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The journal's segments.
fn segments(plan: &Plan) -> Vec<String> {
    FileStorage::open(&plan.data.journal()).and_then(|storage| storage.list()).expect("listed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_drops_of_its_journal_what_flyball_yaml_does_not_keep() {
    // By either of the two alone; a hundred-thousandth of a day is a second.
    for keep in ["keep: {max_bytes: 16384}", "keep: {max_bytes: 0, max_days: 0.00001}"] {
        let dir = tempfile::tempdir().expect("a folder");
        let plan = Plan { compaction: "* * * * * *", ..planned(dir.path(), keep).await };
        let before = segments(&plan);
        assert!(before.len() > 10, "{before:?}");
        let running = start::start(&plan).await.expect("it starts");
        let dropped = async {
            while segments(&plan).contains(&before[before.len() / 2]) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), dropped).await.unwrap_or_else(|_| panic!("{keep}: {:?}", segments(&plan)));
        running.close().await;
        let audit = flyball_journal::audit(&plan.data.journal()).expect("read");
        assert!(audit.damage.is_empty(), "{audit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_four_gib_where_flyball_yaml_says_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = planned(dir.path(), "").await;
    assert_eq!((plan.retention, plan.compaction), (flyball_journal::Retention::default(), crate::housekeeping::COMPACTION));
}
