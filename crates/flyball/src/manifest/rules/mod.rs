//! What must hold between settings, after each was found right by itself.

mod governance;
mod servers;
mod triggers;

use std::path::Path;

use flyball_core_agent::scripted::ScriptedModel;

use super::check::Checker;
use super::config::ProcessConfig;
use super::diagnostic::quote;
use super::merge::locate;

pub(super) use servers::is_http_url;
pub(super) use triggers::{Hook, clash, hooks, is_told};

/// Checks a process's settings against each other. Paths are relative to `dir` still.
pub(super) fn check(config: &ProcessConfig, dir: &Path, checker: &mut Checker<'_>) {
    let mut rules = Rules { checker };
    rules.model("model", &config.model);
    if let Some(model) = &config.mission.eval_model {
        rules.model("mission.eval_model", model);
    }
    rules.journal(config);
    rules.memory(config);
    for (name, server) in &config.servers {
        rules.server(name, server);
    }
    rules.triggers(&config.triggers, dir);
    rules.budget(&config.budget);
    rules.health(&config.health);
    rules.mission(&config.mission);
    rules.secrets(&config.secrets);
    for (name, tool) in &config.tools {
        if tool.reconcile.as_ref() == Some(name) {
            rules.fault(
                &format!("tools.{name}.reconcile"),
                "names the tool itself",
                "name the tool that tells whether a call happened",
            );
        }
    }
}

/// Checks the files that the settings name, where the manifest is a file itself.
pub(super) fn check_files(config: &ProcessConfig, dir: &Path, checker: &mut Checker<'_>) {
    let models = [("model", Some(&config.model)), ("mission.eval_model", config.mission.eval_model.as_ref())];
    for (path, model) in models {
        let script = model.and_then(|model| model.strip_prefix("scripted:")).filter(|file| !file.is_empty());
        if let Some(Err(error)) = script.map(|file| ScriptedModel::from_file(dir.join(file))) {
            Rules { checker }.fault(path, error.to_string(), "");
        }
    }
}

/// Whether `name` may be a process's: a letter, then up to 63 letters, digits, `_` or `-`.
pub(super) fn is_name(name: &str) -> bool {
    let tail = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(tail)
}

struct Rules<'r, 'c> {
    checker: &'r mut Checker<'c>,
}

impl Rules<'_, '_> {
    /// Reports that the setting at `path` is wrong, unless something there is known to be wrong already.
    fn fault(&mut self, path: &str, message: impl Into<String>, help: &str) {
        let (field, place) = locate(self.checker, path);
        let known = |at: &str| at == field || at.strip_prefix(&field).is_some_and(|rest| rest.starts_with(['.', '[']));
        if !self.checker.errors.iter().any(|error| known(&error.field)) {
            self.checker.error(place, &field, message, (!help.is_empty()).then(|| help.to_owned()));
        }
    }

    fn doubt(&mut self, path: &str, message: impl Into<String>, help: &str) {
        let (field, place) = locate(self.checker, path);
        self.checker.warn(place, &field, message, (!help.is_empty()).then(|| help.to_owned()));
    }

    fn model(&mut self, path: &str, model: &str) {
        match model.split_once(':') {
            Some(("openai" | "scripted", name)) if !name.is_empty() => {}
            Some(("openai" | "scripted", _)) => self.fault(path, "names no model", "write `openai:NAME` or `scripted:FILE`"),
            Some((provider, _)) => self.fault(
                path,
                format!("has the provider {}, which is not supported by this version", quote(provider)),
                "write `openai:NAME`, and set OPENAI_BASE_URL where another server speaks that protocol, or `scripted:FILE`",
            ),
            None => {
                self.fault(path, format!("is {}, without a provider", quote(model)), "write `openai:NAME` or `scripted:FILE`")
            }
        }
    }

    fn journal(&mut self, config: &ProcessConfig) {
        if !config.journal.recover_on_start {
            self.fault(
                "journal.recover_on_start",
                "`false` is not supported by this version",
                "leave it out; to begin anew, remove the data directory",
            );
        }
    }

    fn memory(&mut self, config: &ProcessConfig) {
        if config.context.memory_auto_store && config.context.memory_provider.is_none() {
            self.fault(
                "context.memory_auto_store",
                "has no memory to store in",
                "name a provider: `memory: {provider: embedded}`",
            );
        }
    }
}
