//! Manifests: `.agent` files, one process each, and `flyball.yaml` beside them.
//!
//! A file's text becomes a tree that knows where everything stands (`tree`). The tree is checked
//! against tables of keys (`check`, `table`), which also print the reference page; what may be said
//! in two places is brought together (`merge`); then the settings are plain types (`config`), and what
//! must hold between them is checked (`rules`). Every mistake of every step ends as a [`Diagnostic`]
//! with file, line, column and field, and all of them are reported at once.
//!
//! ```
//! use std::path::Path;
//! use flyball::manifest::parse_manifest;
//!
//! let env = |name: &str| (name == "EVERY").then(|| "*/5 * * * *".to_owned());
//! let text = r#"
//! name: watcher
//! triggers:
//!   - {type: cron, cron_expression: "${EVERY}"}
//! config: {concurrency: 2}
//! "#;
//! let manifest = parse_manifest(Path::new("watcher.agent"), text, &env)?;
//! assert_eq!(manifest.config.concurrency, 2);
//!
//! let wrong = parse_manifest(Path::new("watcher.agent"), "name: watcher\nworlds: {}\n", &env).unwrap_err();
//! assert!(wrong.to_string().starts_with("watcher.agent:2:1: worlds: unknown key; did you mean 'world'?"));
//! # Ok::<(), flyball::manifest::ManifestError>(())
//! ```

mod check;
mod config;
mod diagnostic;
mod document;
mod load;
mod merge;
mod paths;
mod read;
mod reference;
mod rules;
mod runtime_file;
mod secret;
mod source;
mod substitute;
mod syntax;
mod table;
mod tags;
mod tree;

pub(crate) use check::did_you_mean;
pub use config::{
    BudgetConfig, ContextConfig, DeliveryConfig, Escalation, HealthConfig, JournalBackend, JournalConfig, JournalLevel,
    MemoryProvider, MissionConfig, OnAnomaly, OnComplete, OnExceeded, ProcessConfig, RestartPolicy, SecretScopeConfig,
    ServerConfig, ToolConfig, ToolCost, Transport, TriggerConfig, TriggerKind, WatchBackend, WatchEvent,
};
pub use diagnostic::{Diagnostic, Excerpt, ManifestError};
pub use load::{Directory, Manifest, load_directory, load_manifest, parse_manifest};
pub use reference::reference;
pub use runtime_file::{KeepConfig, RuntimeFile, Until, load_runtime_file};
pub use secret::{MASK, SecretSource, SecretText};
pub use substitute::{BadReference, substitute};

/// Where variables are looked up; `None` is "not set".
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The program's own environment. A value that is not UTF-8 counts as not set.
pub fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
