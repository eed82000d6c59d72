//! What a journal says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use flyball_journal::{Log, ProcessFold, doubts, history, read};
use serde_json::{Value, json};

/// Its records, each process from the start and as it is recovered, its runs, and its calls in doubt.
pub fn said(dir: &Path) -> Value {
    let records = read(dir).expect("it is read");
    let (log, mut recovery) = Log::open(dir).expect("it is opened");
    assert!(recovery.torn.is_none() && recovery.damaged.is_empty(), "{recovery:?}");
    log.close();
    let (log, mut resumed) = Log::resume(dir).expect("it is resumed");
    log.close();
    let names: BTreeSet<&str> = records.iter().map(|record| record.process.as_str()).collect();
    let processes: BTreeMap<&str, Value> = names
        .into_iter()
        .map(|name| {
            let whole = ProcessFold::of(records.iter().filter(|record| record.process == name));
            let recovered = ProcessFold::of(&recovery.processes.remove(name).expect("it is recovered"));
            assert_eq!(resumed.processes.remove(name).expect("it is resumed").fold, recovered, "{name}");
            (name, json!({"recovered": recovered, "whole_agrees": whole.state == recovered.state && whole.events == recovered.events}))
        })
        .collect();
    let runs = history::Runs::of(&records, |notes| notes.get("budget")?["cost"].as_f64());
    json!({"records": records, "processes": processes, "runs": runs.list(), "doubts": doubts(&records)})
}
