//! Manifests from files and directories.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Env;
use super::config::ProcessConfig;
use super::diagnostic::{Diagnostic, ManifestError, quote};
use super::read::{Draft, directory_of, draft, text_of};
use super::rules;
use super::runtime_file::{RuntimeFile, load_runtime_file};

/// One process, as its manifest says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// The directory that its relative paths meant. They are absolute now.
    #[serde(skip)]
    pub dir: PathBuf,
    /// The process's name.
    pub name: String,
    /// Its settings.
    pub config: ProcessConfig,
    /// What is allowed and probably not meant.
    #[serde(skip)]
    pub warnings: Vec<Diagnostic>,
}

/// A directory of manifests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Directory {
    /// Where it is.
    pub dir: PathBuf,
    /// Its manifests, by file name.
    pub manifests: Vec<Manifest>,
    /// Its `flyball.yaml`, or the defaults where there is none.
    pub runtime: RuntimeFile,
}

/// More manifests than this in one directory are a wrong directory.
const MAX_MANIFESTS: usize = 1000;

/// Reads the manifest at `path`. Variables are looked up by `env`.
///
/// # Errors
/// Every mistake in the file at once.
pub fn load_manifest(path: &Path, env: &Env<'_>) -> Result<Manifest, ManifestError> {
    finished(draft(path, &text_of(path)?, env, true)).map_err(|diagnostics| ManifestError { diagnostics })
}

/// Reads `text` as if it stood in the file at `path`, which need not be there, nor the files that it names.
///
/// # Errors
/// Every mistake in it at once.
pub fn parse_manifest(path: &Path, text: &str, env: &Env<'_>) -> Result<Manifest, ManifestError> {
    finished(draft(path, text, env, false)).map_err(|diagnostics| ManifestError { diagnostics })
}

/// Reads every `*.agent` file of `dir` (not of directories below) in the order of their names, and
/// its `flyball.yaml`.
///
/// # Errors
/// Every mistake in every file at once; two manifests of one name, or whose webhooks get in each
/// other's way; no manifest at all.
pub fn load_directory(dir: &Path, env: &Env<'_>) -> Result<Directory, ManifestError> {
    let mut diagnostics = Vec::new();
    let mut drafts = Vec::new();
    for path in manifests_in(dir)? {
        match text_of(&path) {
            Ok(text) => drafts.push(draft(&path, &text, env, true)),
            Err(error) => diagnostics.extend(error.diagnostics),
        }
    }
    for index in 1..drafts.len() {
        let (earlier, rest) = drafts.split_at_mut(index);
        name_taken(earlier, &mut rest[0]);
        webhook_taken(earlier, &mut rest[0]);
    }
    let mut manifests = Vec::new();
    for draft in drafts {
        match finished(draft) {
            Ok(manifest) => manifests.push(manifest),
            Err(errors) => diagnostics.extend(errors),
        }
    }
    let runtime = load_runtime_file(dir, env).unwrap_or_else(|error| {
        diagnostics.extend(error.diagnostics);
        RuntimeFile::default()
    });
    if diagnostics.is_empty() {
        return Ok(Directory { dir: dir.to_owned(), manifests, runtime });
    }
    Err(ManifestError { diagnostics })
}

impl Manifest {
    /// The manifest as YAML: `name`, and everything else under `config`, defaults included. Secrets
    /// are masked, so that one who wants to use it must put them in again.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub fn to_yaml(&self) -> Result<String, ManifestError> {
        let failed = |error: serde_yaml::Error| Diagnostic::of_file(&self.path, format!("cannot be written: {error}"));
        let mut value = serde_yaml::to_value(self).map_err(failed)?;
        escape(&mut value);
        // These are references still, and shall be.
        value["config"]["secrets"]["secrets"] = serde_yaml::to_value(&self.config.secrets.secrets).map_err(failed)?;
        Ok(serde_yaml::to_string(&value).map_err(failed)?)
    }
}

/// Keeps what only looks like a reference from being filled in when it is read.
fn escape(value: &mut serde_yaml::Value) {
    match value {
        serde_yaml::Value::String(text) => *text = text.replace("${", "$${"),
        serde_yaml::Value::Sequence(items) => items.iter_mut().for_each(escape),
        serde_yaml::Value::Mapping(map) => map.iter_mut().for_each(|(_, value)| escape(value)),
        _ => {}
    }
}

fn finished(draft: Draft) -> Result<Manifest, Vec<Diagnostic>> {
    match draft.name {
        Some((name, _)) if draft.errors.is_empty() => {
            let dir = directory_of(&draft.source.path);
            Ok(Manifest { path: draft.source.path, dir, name, config: draft.config, warnings: draft.warnings })
        }
        _ => Err(draft.errors),
    }
}

fn manifests_in(dir: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let failed = |error: std::io::Error| Diagnostic::of_file(dir, format!("cannot be read: {error}"));
    let mut paths = Vec::new();
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "agent") {
            paths.push(path);
        }
        if paths.len() > MAX_MANIFESTS {
            return Err(Diagnostic::of_file(dir, format!("holds more than {MAX_MANIFESTS} manifests")).into());
        }
    }
    if paths.is_empty() {
        let none = Diagnostic::of_file(dir, "holds no manifest").with_help("a manifest's name ends in `.agent`");
        return Err(none.into());
    }
    paths.sort();
    Ok(paths)
}

fn name_taken(earlier: &[Draft], draft: &mut Draft) {
    let Some((name, place)) = &draft.name else { return };
    let taken = |other: &&Draft| other.name.as_ref().is_some_and(|(taken, _)| taken == name);
    if let Some(other) = earlier.iter().find(taken) {
        let message = format!("{} is taken already, in {}", quote(name), other.source.path.display());
        let help = "names are unique in a directory".to_owned();
        draft.errors.push(draft.source.diagnostic(*place, "name", message, Some(help)));
    }
}

fn webhook_taken(earlier: &[Draft], draft: &mut Draft) {
    let mut found = Vec::new();
    for (hook, [path, port]) in &draft.hooks {
        let of_file = |other: &Draft| other.hooks.iter().find_map(|(taken, _)| rules::clash(taken, hook));
        if let Some((other, (field, message, help))) = earlier.iter().find_map(|other| Some((other, of_file(other)?))) {
            let message = format!("{message}, in {}", other.source.path.display());
            found.push(draft.source.diagnostic(
                if field == "webhook_path" { *path } else { *port },
                &format!("triggers[{}].{field}", hook.index),
                message,
                Some(help.to_owned()),
            ));
        }
    }
    draft.errors.extend(found);
}
