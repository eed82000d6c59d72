//! What somebody who looks back may ask, and the answers as text.

use flyball_core_agent::RunId;
use flyball_journal::history::{RunSummary, RunTree, Runs, check};
use flyball_journal::{Entry, History, ProcessFold, Record, doubts};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Dice;

/// Every question with its answer.
pub fn all(history: &mut History, runs: &[RunId]) -> Vec<(String, String)> {
    let mut answers = Answers::default();
    let names = history.names().unwrap();
    answers.add("names", &names);
    for run in runs {
        let records = history.tree_of(run).unwrap();
        let all = Runs::of(&*records, price);
        answers.add(&format!("tree of {run}"), &all.get(run).map(|run| RunTree::of(&records, &all, run, price)));
        for given in [run.0.as_str(), &run.0[..1], &run.0[..2]] {
            answers.add(&format!("find {given}"), &history.find_run(given).unwrap().map_err(|error| error.to_string()));
        }
    }
    for given in ["", "x", "r\0"] {
        answers.add(&format!("find {given:?}"), &history.find_run(given).unwrap().map_err(|error| error.to_string()));
    }
    for process in names.iter().map(|name| Some(name.as_str())).chain([None]) {
        for count in [0, 1, 3, 1_000] {
            let records = history.newest_runs(process, count).unwrap();
            let runs = Runs::of(&*records, price);
            let of_it: Vec<&RunSummary> =
                runs.list().iter().filter(|run| process.is_none_or(|process| run.process == process)).collect();
            answers.add(&format!("{count} runs of {process:?}"), &of_it[of_it.len().saturating_sub(count)..]);
            let notes = |record: &Record| !matches!(record.entry, Entry::TriggerEvent { .. });
            answers.add(&format!("{count} records of {process:?}"), &*history.newest(process, count, notes).unwrap());
        }
    }
    for name in &names {
        let records = history.of_process(name).unwrap();
        let own: Vec<&Record> = records.iter().filter(|record| record.process == *name).collect();
        answers.add(name, &(check(own.iter().copied()), own));
        let records = history.since_checkpoint(name).unwrap();
        answers.add(&format!("fold of {name}"), &fold(&records, name));
        let records = history.standing(name).unwrap();
        let runs = Runs::of(&*records, price);
        let own = || runs.list().iter().filter(|run| run.process == *name);
        let open: Vec<&RunSummary> = own().filter(|run| run.ended.is_none()).collect();
        let last = own().rfind(|run| run.ended.is_some());
        answers.add(&format!("standing of {name}"), &(fold(&records, name), open, last));
    }
    answers.add("doubts", &doubts(&history.unfinished().unwrap()));
    for seq in [0, 1, 2, 17, 40, 10_000] {
        answers.add(&format!("record {seq}"), &history.record(seq).unwrap());
    }
    answers.0
}

/// Some of the runs that anybody may ask for: `count` of those that are there, and one that is not.
pub fn runs(history: &mut History, dice: &mut Dice, count: usize) -> Vec<RunId> {
    let all = history.all().unwrap();
    let mut runs: Vec<RunId> = all.iter().filter_map(|record| record.entry.run().cloned()).collect();
    runs.sort();
    runs.dedup();
    while runs.len() > count {
        runs.swap_remove(dice.below(runs.len()));
    }
    runs.push(RunId("nobody".into()));
    runs
}

#[derive(Default)]
struct Answers(Vec<(String, String)>);

impl Answers {
    fn add(&mut self, question: &str, answer: &(impl Serialize + ?Sized)) {
        self.0.push((question.to_owned(), serde_json::to_string(answer).unwrap()));
    }
}

fn price(notes: &Map<String, Value>) -> Option<f64> {
    notes.get("budget")?["cost"].as_f64()
}

/// The fold, but for how many records there were: those before a checkpoint need not be read.
fn fold(records: &[Record], process: &str) -> Value {
    let fold = ProcessFold::of(records.iter().filter(|record| record.process == process));
    let mut fold = serde_json::to_value(fold).unwrap();
    fold.as_object_mut().unwrap().retain(|key, _| key != "entries" && key != "checkpoint_at");
    fold
}
