//! What is said before the first thing happens.

use std::net::SocketAddr;
use std::path::Path;

use flyball_runtime::Unclaimed;
use owo_colors::OwoColorize;
use serde::Serialize;

use super::start::Found;
use super::{Plan, Until};
use crate::assemble::is_test_double;
use crate::cli::Output;
use crate::cli::output::{self, colour};
use crate::manifest::{TriggerConfig, TriggerKind};
use crate::words::counted;

/// What there is at the start.
#[derive(Debug, Serialize)]
pub(super) struct Banner<'a> {
    /// The version.
    flyball: &'static str,
    agents: Vec<&'a str>,
    data: &'a Path,
    api: String,
    until: Until,
    models: Vec<Model<'a>>,
    unsigned_webhooks: Vec<Unsigned<'a>>,
    journals: &'a [Found],
    left_over: Vec<LeftOver<'a>>,
}

/// A model that some agent asks.
#[derive(Debug, Serialize)]
struct Model<'a> {
    model: &'a str,
    /// It is none: it answers from rules in a file.
    test_double: bool,
}

/// A webhook that takes what nobody signed.
#[derive(Debug, Serialize)]
struct Unsigned<'a> {
    agent: &'a str,
    url: String,
}

/// An agent of which events were accepted that nobody here will handle.
#[derive(Debug, Serialize)]
struct LeftOver<'a> {
    #[serde(flatten)]
    process: &'a Unclaimed,
    why: &'static str,
}

impl<'a> Banner<'a> {
    pub fn new(plan: &'a Plan, address: SocketAddr, journals: &'a [Found], unclaimed: &'a [Unclaimed]) -> Self {
        let mut models: Vec<&str> = plan.manifests.iter().map(|manifest| manifest.config.model.as_str()).collect();
        models.sort_unstable();
        models.dedup();
        Self {
            flyball: env!("CARGO_PKG_VERSION"),
            agents: plan.manifests.iter().map(|manifest| manifest.name.as_str()).collect(),
            data: plan.data.path(),
            api: format!("http://{address}"),
            until: plan.until,
            models: models.into_iter().map(|model| Model { model, test_double: is_test_double(model) }).collect(),
            unsigned_webhooks: unsigned(plan),
            journals,
            left_over: unclaimed.iter().map(|process| LeftOver { process, why: why_left_over(plan, process) }).collect(),
        }
    }

    /// Prints it: to programs as one line.
    pub fn print(&self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json => output::json_line(self)?,
            Output::Human => self.lines().iter().for_each(|line| output::line(line)),
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let title = format!("flyball {}", self.flyball);
        let title = if colour() { title.bold().to_string() } else { title };
        let mut lines = vec![
            format!("{title}: {}: {}", counted(self.agents.len(), "agent"), self.agents.join(", ")),
            format!("  data {}, API {}, {}", self.data.display(), self.api, ends(self.until)),
        ];
        lines.extend(self.models.iter().map(Model::line));
        lines.extend(self.unsigned_webhooks.iter().map(Unsigned::line));
        lines.extend(self.journals.iter().flat_map(recovered));
        lines.extend(self.left_over.iter().map(LeftOver::line));
        lines.push(String::new());
        lines
    }
}

fn ends(until: Until) -> &'static str {
    match until {
        Until::Mission => "ends when every mission is over, or with Ctrl-C",
        Until::Signal => "ends with Ctrl-C",
    }
}

fn unsigned(plan: &Plan) -> Vec<Unsigned<'_>> {
    let triggers = plan.manifests.iter().flat_map(|manifest| manifest.config.triggers.iter().map(|one| (&manifest.name, one)));
    let unsigned = triggers.filter(|(_, one)| one.kind == TriggerKind::Webhook && one.hmac_secret.is_empty());
    let url = |one: &TriggerConfig| format!("http://{}:{}{}", one.webhook_host, one.webhook_port, one.webhook_path);
    unsigned.map(|(agent, one)| Unsigned { agent, url: url(one) }).collect()
}

fn why_left_over(plan: &Plan, process: &Unclaimed) -> &'static str {
    let moved = plan.manifests.iter().any(|manifest| manifest.name == process.name);
    if moved { "its manifest names another journal" } else { "no manifest here has that name" }
}

impl Model<'_> {
    /// It is said loudly if it is none.
    fn line(&self) -> String {
        let Self { model, test_double } = self;
        if !test_double {
            return format!("  model {model}");
        }
        warning(format!("  model {model}: a TEST DOUBLE that answers from rules in a file; no real model is asked"))
    }
}

impl Unsigned<'_> {
    fn line(&self) -> String {
        let Self { agent, url } = self;
        format!("  webhook {url} of {agent} is unsigned: whoever reaches it can wake the agent (set hmac_secret)")
    }
}

impl LeftOver<'_> {
    fn line(&self) -> String {
        let Unclaimed { name, waiting, held } = self.process;
        let events = (*waiting > 0).then(|| format!("{} waiting", counted(*waiting, "event")));
        let runs = (*held > 0).then(|| format!("{} held", counted(*held, "run")));
        let what: Vec<String> = events.into_iter().chain(runs).collect();
        warning(format!("! the journal has {name}, with {}, and {}", what.join(" and "), self.why))
    }
}

fn warning(line: String) -> String {
    if colour() { line.yellow().to_string() } else { line }
}

fn recovered(found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    if found.records > 0 {
        lines.push(format!("  found {} in {}", counted(found.records, "journal record"), found.dir.display()));
    }
    if let Some(torn) = &found.torn {
        let (bytes, segment) = (counted(torn.bytes, "byte"), &torn.segment);
        let what = if torn.stays { format!("passed over {bytes} at the end of") } else { format!("cut {bytes} off") };
        lines.push(format!(
            "  {what} {segment}: a batch that was being written when the last run ended, and nobody was told was done"
        ));
    }
    lines.extend(found.damaged.iter().map(|(process, what)| format!("  {process} will not run: {what}")));
    lines
}
