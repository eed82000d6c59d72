//! From a file's text to checked settings, with everything that was found on the way.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::check::{Checker, Finding};
use super::config::ProcessConfig;
use super::diagnostic::{Diagnostic, ManifestError, quote};
use super::document::MANIFEST;
use super::merge::merge;
use super::rules::{self, Hook};
use super::source::Source;
use super::table::Section;
use super::tree::{self, Place};
use super::{Env, paths};

/// A manifest, right or wrong.
pub(super) struct Draft {
    pub source: Source,
    pub name: Option<(String, Place)>,
    pub config: ProcessConfig,
    /// Its webhooks, and where their paths and their ports stand.
    pub hooks: Vec<(Hook, [Place; 2])>,
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

/// A manifest longer than this is none, and a file is read whole.
const MAX_BYTES: u64 = 1024 * 1024;

/// The directory that relative paths in the file at `path` mean.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.parent().map(Path::to_owned).unwrap_or_default()
}

/// The text of the file at `path`.
pub(super) fn text_of(path: &Path) -> Result<String, ManifestError> {
    let failed = |error: std::io::Error| Diagnostic::of_file(path, format!("cannot be read: {error}"));
    // Opening a pipe would wait for whoever writes into it.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Diagnostic::of_file(path, "cannot be read: it is not a file").into());
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Diagnostic::of_file(path, format!("is longer than {MAX_BYTES} bytes")).into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        Diagnostic::of_file(path, format!("is not UTF-8: line {line} holds other bytes")).into()
    })
}

/// Reads and checks a manifest. What is wrong is in the draft. Where it is a file, `with_files`, those that it names are
/// checked too.
pub(super) fn draft(path: &Path, text: &str, env: &Env<'_>, with_files: bool) -> Draft {
    let mut source = Source::new(path, text.to_owned());
    let mut checker = Checker::new(env);
    let top = sections(&mut checker, &mut source, &MANIFEST);
    let name = top.get("name").and_then(Value::as_str).map(str::to_owned);
    let name = name.map(|name| (name, checker.places.get("name").copied().unwrap_or_default()));
    if let Some((name, place)) = name.as_ref().filter(|(name, _)| !rules::is_name(name)) {
        let help = "write a letter, then up to 63 letters, digits, `_` or `-`".to_owned();
        checker.error(*place, "name", format!("is {}", quote(name)), Some(help));
    }
    let merged = merge(&mut checker, top);
    let mut config = typed::<ProcessConfig>(&mut checker, merged).unwrap_or_default();
    let dir = directory_of(path);
    if source.is_yaml {
        rules::check(&config, &dir, &mut checker);
        if with_files {
            rules::check_files(&config, &dir, &mut checker);
        }
    }
    let hook = |hook: Hook| {
        let place = |key| super::merge::locate(&checker, &format!("triggers[{}].{key}", hook.index)).1;
        let places = ["webhook_path", "webhook_port"].map(place);
        (hook, places)
    };
    let hooks = rules::hooks(&config.triggers).into_iter().filter(|hook| rules::is_told(&checker, hook));
    let hooks = hooks.map(hook).collect();
    paths::resolve(&mut config, &dir);
    let (errors, warnings) = finish(checker, &mut source);
    Draft { source, name, config, hooks, errors, warnings }
}

/// Reads the top of a file by its table. What is no YAML is reported and gives nothing.
pub(super) fn sections(checker: &mut Checker<'_>, source: &mut Source, section: &Section) -> Map<String, Value> {
    match tree::parse(&source.text) {
        Ok(node) => {
            checker.hide_by_looks(&node);
            for tag in super::tags::of(&source.text, &node) {
                checker.error(
                    tag.place,
                    &tag.field,
                    "begins with `!`, which YAML takes for a tag and not for a part of it",
                    Some("put the whole value in quotes".to_owned()),
                );
            }
            checker.section(section, &node, "").unwrap_or_default()
        }
        Err(error) => {
            source.is_yaml = false;
            source.hide_by_looks();
            let help = super::syntax::help(&source.text, error.place);
            let place = if error.place.line == 0 { Place { line: 1, column: 1 } } else { error.place };
            checker.error(place, "", format!("is not YAML: {}", error.message), help);
            Map::new()
        }
    }
}

/// The settings as their type. What the tables let through fits it, unless something was left out
/// because it was wrong.
pub(super) fn typed<T: DeserializeOwned>(checker: &mut Checker<'_>, settings: Map<String, Value>) -> Option<T> {
    match serde_json::from_value(Value::Object(settings)) {
        Ok(config) => Some(config),
        Err(_) if !checker.errors.is_empty() => None,
        Err(error) => {
            checker.error(Place { line: 1, column: 1 }, "", error.to_string(), None);
            None
        }
    }
}

/// What was found, in the order of lines, beside the lines.
pub(super) fn finish(checker: Checker<'_>, source: &mut Source) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    source.hidden.extend(checker.hidden);
    let diagnostics = |mut findings: Vec<Finding>| -> Vec<Diagnostic> {
        findings.sort_by_key(|finding| finding.place);
        let diagnostic = |found: Finding| source.diagnostic(found.place, &found.field, found.message, found.help);
        findings.into_iter().map(diagnostic).collect()
    };
    (diagnostics(checker.errors), diagnostics(checker.warnings))
}
