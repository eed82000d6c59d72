//! What is said before the first thing happens.

use std::net::SocketAddr;

use flyball_runtime::Unclaimed;
use owo_colors::OwoColorize;

use super::start::Found;
use super::{Plan, Until};
use crate::assemble::is_test_double;
use crate::cli::output::{self, colour};
use crate::manifest::TriggerKind;
use crate::words::counted;

pub(super) fn print(plan: &Plan, address: SocketAddr, found: &[Found], unclaimed: &[Unclaimed]) {
    let names: Vec<&str> = plan.manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let title = format!("flyball {}", env!("CARGO_PKG_VERSION"));
    let title = if colour() { title.bold().to_string() } else { title };
    output::line(&format!("{title}: {}: {}", counted(names.len(), "agent"), names.join(", ")));
    output::line(&format!("  data {}, API http://{address}, {}", plan.data.path().display(), ends(plan.until)));
    for model in models(plan) {
        output::line(&model);
    }
    for webhook in unsigned(plan) {
        output::line(&webhook);
    }
    for found in found {
        recovered(found);
    }
    for line in left_over(plan, unclaimed) {
        output::line(&if colour() { line.yellow().to_string() } else { line });
    }
    output::line("");
}

/// A line for each agent of which events were accepted that nobody here will handle.
pub(super) fn left_over(plan: &Plan, unclaimed: &[Unclaimed]) -> impl Iterator<Item = String> {
    unclaimed.iter().map(|process| {
        let moved = plan.manifests.iter().any(|manifest| manifest.name == process.name);
        format!("! {}", open(process, moved))
    })
}

fn open(process: &Unclaimed, moved: bool) -> String {
    let Unclaimed { name, waiting, held } = process;
    let events = (*waiting > 0).then(|| format!("{waiting} {} waiting", if *waiting == 1 { "event" } else { "events" }));
    let runs = (*held > 0).then(|| format!("{held} {} held", if *held == 1 { "run" } else { "runs" }));
    let what: Vec<String> = events.into_iter().chain(runs).collect();
    let why = if moved { "its manifest names another journal" } else { "no manifest here has that name" };
    format!("the journal has {name}, with {}, and {why}", what.join(" and "))
}

fn ends(until: Until) -> &'static str {
    match until {
        Until::Mission => "ends when every mission is over, or with Ctrl-C",
        Until::Signal => "ends with Ctrl-C",
    }
}

/// Each model once, and loudly if it is none.
fn models(plan: &Plan) -> Vec<String> {
    let mut models: Vec<&str> = plan.manifests.iter().map(|manifest| manifest.config.model.as_str()).collect();
    models.sort_unstable();
    models.dedup();
    models.into_iter().map(describe).collect()
}

/// Each webhook that takes what nobody signed.
fn unsigned(plan: &Plan) -> Vec<String> {
    let triggers = plan.manifests.iter().flat_map(|manifest| manifest.config.triggers.iter().map(|one| (&manifest.name, one)));
    let unsigned = triggers.filter(|(_, one)| one.kind == TriggerKind::Webhook && one.hmac_secret.is_empty());
    let line = |(name, one): (&String, &crate::manifest::TriggerConfig)| {
        let (host, port, path) = (&one.webhook_host, one.webhook_port, &one.webhook_path);
        format!(
            "  webhook http://{host}:{port}{path} of {name} is unsigned: whoever reaches it can wake the agent (set hmac_secret)"
        )
    };
    unsigned.map(line).collect()
}

fn describe(model: &str) -> String {
    if !is_test_double(model) {
        return format!("  model {model}");
    }
    let what = format!("  model {model}: a TEST DOUBLE that answers from rules in a file; no real model is asked");
    if colour() { what.yellow().to_string() } else { what }
}

fn recovered(found: &Found) {
    if found.records > 0 {
        output::line(&format!("  found {} journal records in {}", found.records, found.dir.display()));
    }
    if let Some(torn) = &found.torn {
        let (bytes, segment) = (torn.bytes, &torn.segment);
        output::line(&format!(
            "  cut {bytes} bytes off {segment}: a batch that was being written when the last run ended, and nobody was told was done"
        ));
    }
    for (process, what) in &found.damaged {
        output::line(&format!("  {process} will not run: {what}"));
    }
}
