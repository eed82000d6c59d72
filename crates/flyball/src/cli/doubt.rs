//! `flyball indoubt` and `flyball resolve`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{ArgGroup, Args};
use flyball_journal::{Decision, Doubt, Entry, doubts, doubts_left};
use flyball_runtime::{Control, Settlement};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::output::{self, colour};
use super::past::{Journal, Past};
use super::suggest::command;
use super::times::instant;
use super::{At, Output, ask, decide};
use crate::instance::DataDir;
use crate::words::counted;

/// List the calls of which nobody knows whether they happened.
#[derive(Debug, Args)]
pub struct InDoubt {
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Where one of them is said there is no result. (That `--result` needs `--happened` is not enough: clap does not
/// ask for what another decision rules out.)
const NOT_HAPPENED: [&str; 3] = ["did_not_happen", "retry", "abort"];

/// Say what became of a call in doubt.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("decision").required(true))]
pub struct Resolve {
    /// The call, as `flyball indoubt` names it; its beginning is enough where it names one call only
    id: String,
    /// It happened: the run goes on with --result; without one, the model is told "done"
    #[arg(long, group = "decision")]
    happened: bool,
    /// It did not happen: the run makes the call
    #[arg(long, group = "decision")]
    did_not_happen: bool,
    /// Once more does no harm: the run makes the call
    #[arg(long, group = "decision")]
    retry: bool,
    /// The run shall not go on
    #[arg(long, group = "decision")]
    abort: bool,
    /// What the tool would have said, as JSON
    #[arg(long, value_name = "JSON", requires = "happened", conflicts_with_all = NOT_HAPPENED, value_parser = ask::parse_json)]
    result: Option<Value>,
    /// Why; it is written into the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    pub(super) at: At,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl InDoubt {
    pub async fn execute(&self, data: &DataDir) -> Result<ExitCode> {
        let doubts: Vec<Doubt> = in_doubt(data).await?.into_iter().map(|(_, doubt)| doubt).collect();
        match self.output {
            Output::Json => output::json(&doubts)?,
            Output::Human if doubts.is_empty() => output::line("no call is in doubt"),
            Output::Human => doubts.iter().for_each(|doubt| print(data, doubt)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Resolve {
    pub async fn execute(self, data: &DataDir) -> Result<ExitCode> {
        let (journal, doubt) = find(data, in_doubt(data).await?, &self.id)?;
        let decision = self.decision();
        let settlement =
            Settlement { run: doubt.run.clone(), step: doubt.step.clone(), decision: decision.clone(), note: self.note.clone() };
        // Where nobody answers, the journal's lock says whether somebody is there after all.
        let (live, when) = match ask::connect(data).await {
            Ok((instance, control)) => {
                ask::reached(control.resolve(&doubt.process, settlement).await, &instance)?;
                (true, decide::when(data, Some(&control), &doubt.process).await)
            }
            Err(_) => {
                let Settlement { run, step, decision, note } = settlement;
                let entry = Entry::Settled { run, event_id: doubt.event_id.clone(), step, decision, note };
                decide::write_down(data, &journal, &doubt.process, entry).await?;
                (false, decide::when(data, None, &doubt.process).await)
            }
        };
        self.tell(&doubt, &decision, live, &when)
    }

    fn decision(&self) -> Decision {
        if self.happened {
            let result = self.result.clone().map_or_else(|| "done".to_owned(), text);
            return Decision::Happened { result };
        }
        if self.did_not_happen {
            return Decision::DidNotHappen;
        }
        if self.retry { Decision::Retry } else { Decision::Abort }
    }

    fn tell(&self, doubt: &Doubt, decision: &Decision, live: bool, when: &str) -> Result<ExitCode> {
        let Doubt { id, process, .. } = doubt;
        match self.output {
            Output::Json => {
                output::json(&json!({"id": id, "process": process, "decision": decision, "live": live, "when": when}))?;
            }
            Output::Human => {
                let then = match decision {
                    Decision::Abort => format!("the run of {process} is given up"),
                    _ => format!("the run of {process} goes on {when}"),
                };
                output::line(&format!("{}: recorded; {then}", doubt.tool));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// How many calls are in doubt where nobody runs the processes.
pub fn count_left(data: &DataDir) -> Result<usize> {
    let mut count = 0;
    for Journal { history, .. } in Past::open(data)?.journals() {
        count += doubts_left(&history.unfinished()?).len();
    }
    Ok(count)
}

/// Each call in doubt, with the journal that has it.
async fn in_doubt(data: &DataDir) -> Result<Vec<(PathBuf, Doubt)>> {
    // A call that is on its way is in doubt as soon as nobody is there to hear its answer.
    let doubts = if ask::connect(data).await.is_ok() { doubts } else { doubts_left };
    let mut found = Vec::new();
    for Journal { dir, history } in Past::open(data)?.journals() {
        found.extend(doubts(&history.unfinished()?).into_iter().map(|doubt| (dir.clone(), doubt)));
    }
    Ok(found)
}

fn find(data: &DataDir, doubts: Vec<(PathBuf, Doubt)>, id: &str) -> Result<(PathBuf, Doubt)> {
    let mut matching: Vec<(PathBuf, Doubt)> = doubts.into_iter().filter(|(_, doubt)| doubt.id.starts_with(id)).collect();
    if let Some(exact) = matching.iter().position(|(_, doubt)| doubt.id == id) {
        return Ok(matching.swap_remove(exact));
    }
    match matching.len() {
        1 => Ok(matching.remove(0)),
        0 => Err(anyhow!("no call in doubt is named '{id}': see `{}`", command(data, "indoubt"))),
        _ => {
            let ids: Vec<&str> = matching.iter().map(|(_, doubt)| doubt.id.as_str()).collect();
            Err(anyhow!("'{id}' may be any of: {}", ids.join(", ")))
        }
    }
}

fn print(data: &DataDir, doubt: &Doubt) {
    let id = if colour() { doubt.id.yellow().bold().to_string() } else { doubt.id.clone() };
    output::line(&id);
    output::line(&format!("  process  {}", doubt.process));
    output::line(&format!("  call     {} {}", doubt.tool, Value::Object(doubt.args.clone())));
    output::line(&format!(
        "  effect   {}, left {}, last at {} (record {})",
        doubt.effect,
        counted(doubt.attempt, "time"),
        instant(doubt.since),
        doubt.seq
    ));
    output::line(&format!("  because  {}", doubt.why));
    for (lead, option, then) in SETTLE {
        let settle = command(data, &format!("resolve {} {option:<16}", doubt.id));
        output::line(&format!("  {lead:<8} {settle} {then}"));
    }
}

/// What an operator can say, each in a line that can be copied.
const SETTLE: [(&str, &str, &str); 4] = [
    ("settle", "--happened", "it happened; the model is told \"done\", or what --result JSON says"),
    ("", "--did-not-happen", "it did not; the run makes the call"),
    ("", "--retry", "nobody knows, and once more does no harm"),
    ("", "--abort", "the run is given up"),
];

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, error::ErrorKind};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        resolve: Resolve,
    }

    #[test]
    fn a_result_is_only_what_happened_had() {
        for decision in ["--did-not-happen", "--retry", "--abort"] {
            let refused = Line::try_parse_from(["resolve", "id", decision, "--result", "1"]).err().expect("refused");
            assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{decision}");
            assert!(Line::try_parse_from(["resolve", "id", decision]).is_ok());
        }
        let line = Line::try_parse_from(["resolve", "id", "--happened", "--result", "1"]).expect("taken");
        assert_eq!(line.resolve.result, Some(json!(1)));
        assert!(Line::try_parse_from(["resolve", "id", "--result", "1"]).is_err());
    }
}
