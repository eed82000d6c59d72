//! What must hold when a run that was killed was followed by one that was not.

use std::collections::{BTreeMap, BTreeSet};

use flyball_journal::{Entry, Log, ProcessFold, Record};
use serde_json::Value;

use super::{DAMAGED, Labels};
use crate::binary::server::health;
use crate::binary::{Ended, LONG, Scene};

/// What became of a case.
pub struct Row {
    /// The label of the last record that was durable at the kill.
    pub last: String,
    /// How it all ended.
    pub outcome: String,
    /// The kinds of the records that were written in all.
    pub kinds: BTreeSet<&'static str>,
}

/// Fails the test unless all is as it must be. `on_disk` is what the kill left of the journal.
pub fn verdict(scene: &Scene, on_disk: &[Record], again: &Ended) -> Row {
    let said = format!("stdout:\n{}\nstderr:\n{}", again.stdout, again.stderr);
    assert_eq!(again.code, Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(again.stdout.contains("\nmission achieved\n"), "{said}");
    assert_eq!(health(&scene.example())["healthy"], true, "{said}");
    assert!(scene.servers_left(LONG).is_empty(), "servers outlive their client");

    let recovered = says_what_it_recovered(on_disk, again);
    acted_once(scene);
    told_once(&scene.records());
    whole(scene);

    let mut labels = Labels::default();
    let last = on_disk.iter().map(|record| labels.of(record)).last();
    let last = last.map_or_else(|| "none".to_owned(), |last| format!("{}: {last}", on_disk.len()));
    let kinds = scene.records().iter().map(|record| record.entry.kind()).collect();
    let recovered = if recovered.is_empty() { "nothing".to_owned() } else { recovered.join(", ") };
    Row { last, outcome: format!("achieved, healthy, nothing twice; recovered {recovered}"), kinds }
}

/// The processes that had something to recover, each of which must be told of.
fn says_what_it_recovered(on_disk: &[Record], again: &Ended) -> Vec<String> {
    if let Some(last) = on_disk.last() {
        let found = format!("found {} journal records", last.seq);
        assert!(again.stdout.contains(&found), "'{found}' is not said:\n{}", again.stdout);
    }
    let mut processes: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in on_disk {
        processes.entry(&record.process).or_default().push(record);
    }
    let folds = processes.into_iter().map(|(name, records)| (name, ProcessFold::of(records)));
    let cut_off = folds.filter(|(_, fold)| !fold.state.is_over() || !fold.open_runs.is_empty() || !fold.open_events.is_empty());
    let names: Vec<String> = cut_off.map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        // With an exclamation mark where there was something to go on with.
        let said = ['!', '.'].map(|sign| format!("{name:<12} {sign} recovered from"));
        assert!(said.iter().any(|line| again.stdout.contains(line)), "'{}' is not said:\n{}", said[0], again.stdout);
    }
    names
}

/// No call of a tool that cannot be undone had its effect twice.
fn acted_once(scene: &Scene) {
    let ledger = scene.ledger();
    let acts: Vec<&Value> = ledger.iter().filter(|line| line["tool"] == "quarantine_file" && line["acted"] == true).collect();
    let keys: BTreeSet<String> = acts.iter().map(|line| line["key"].to_string()).collect();
    let files: BTreeSet<String> = acts.iter().map(|line| line["args"]["file"].to_string()).collect();
    assert_eq!((keys.len(), files.len()), (acts.len(), acts.len()), "something was quarantined twice: {ledger:#?}");
    let quarantine = scene.drops("quarantine");
    assert!(quarantine.iter().any(|name| name == DAMAGED), "{quarantine:?}");
    assert!(quarantine.iter().all(|name| !name.contains(".q")), "the same file was moved twice: {quarantine:?}");
}

/// No alert and no message reached an agent twice, and none was handled twice.
fn told_once(records: &[Record]) {
    let mut told = BTreeSet::new();
    let mut handled = BTreeSet::new();
    for record in records {
        match &record.entry {
            Entry::TriggerEvent { event, .. } if ["event", "message"].contains(&event.trigger_type.as_str()) => {
                let what = (&record.process, event.payload["data"].to_string(), event.payload["content"].to_string());
                assert!(told.insert(what.clone()), "{what:?} was told twice");
            }
            Entry::InvocationResult { event_id, .. } => assert!(handled.insert(event_id), "{event_id} was handled twice"),
            _ => {}
        }
    }
}

/// The journal is whole from its first record to its last.
fn whole(scene: &Scene) {
    let (log, recovery) = Log::open(&scene.data().join("journal")).expect("nobody holds the journal");
    log.close();
    assert!(recovery.damaged.is_empty(), "{:?}", recovery.damaged);
    assert!(recovery.torn.is_none(), "{:?}", recovery.torn);
    let seqs: Vec<u64> = scene.records().iter().map(|record| record.seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "records are missing: {seqs:?}");
}
