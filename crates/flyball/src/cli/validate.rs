//! `flyball validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::Output;
use super::output;
use crate::manifest::{self, Manifest, ManifestError, RuntimeFile};

/// Check manifests without running them.
#[derive(Debug, Args)]
pub struct Validate {
    /// A manifest, or a directory of *.agent files
    path: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// The exit code of a mistake in what was given.
pub const MISTAKE: u8 = 2;

impl Validate {
    pub fn execute(&self) -> Result<ExitCode> {
        match load(&self.path) {
            Ok((manifests, _)) => {
                match self.output {
                    Output::Human => manifests.iter().for_each(|manifest| {
                        output::line(&summary(manifest));
                        warn(manifest);
                    }),
                    Output::Json => {
                        output::json(&json!({"ok": true, "manifests": manifests.iter().map(described).collect::<Vec<_>>()}))?
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => {
                match self.output {
                    Output::Human => output::note(&error.to_string()),
                    Output::Json => output::json(&json!({"ok": false, "diagnostics": error.diagnostics}))?,
                }
                Ok(ExitCode::from(MISTAKE))
            }
        }
    }
}

/// The manifests at `path`, a file or a directory, and what `flyball.yaml` beside them says of the run.
pub fn load(path: &std::path::Path) -> Result<(Vec<Manifest>, RuntimeFile), ManifestError> {
    let env = manifest::process_env;
    if path.is_dir() {
        let directory = manifest::load_directory(path, &env)?;
        return Ok((directory.manifests, directory.runtime));
    }
    Ok((vec![manifest::load_manifest(path, &env)?], RuntimeFile::default()))
}

/// Says what is allowed and probably not meant.
pub fn warn(manifest: &Manifest) {
    for warning in &manifest.warnings {
        output::note(&format!("warning: {warning}"));
    }
}

fn summary(manifest: &Manifest) -> String {
    let config = &manifest.config;
    let triggers: Vec<&str> = config.triggers.iter().map(|trigger| trigger.kind.name()).collect();
    let triggers = if triggers.is_empty() { "none".to_owned() } else { triggers.join(", ") };
    format!("{}: ok ({}, model {}, triggers: {triggers})", manifest.path.display(), manifest.name, config.model)
}

fn described(manifest: &Manifest) -> serde_json::Value {
    json!({"path": manifest.path, "name": manifest.name, "config": manifest.config, "warnings": manifest.warnings})
}
