//! `flyball.yaml`: how the processes of a directory are run together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use flyball_journal::Retention;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Env;
use super::check::Checker;
use super::diagnostic::{ManifestError, quote};
use super::document::RUNTIME;
use super::paths::below;
use super::read::{directory_of, finish, sections, text_of, typed};
use super::source::Source;

/// How the processes of a directory are run together. The command line is stronger than it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeFile {
    /// When the run ends.
    pub until: Until,
    /// The address of the control API, as HOST:PORT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// The data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// How much of the past the journals keep.
    pub keep: KeepConfig,
}

/// How much of the past the journals keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepConfig {
    /// So many bytes of each; 0 is all of it.
    pub max_bytes: u64,
    /// What is younger than so many days; 0 is however old.
    pub max_days: f64,
}

impl Default for KeepConfig {
    fn default() -> Self {
        Self { max_bytes: Retention::default().max_bytes.unwrap_or(0), max_days: 0.0 }
    }
}

impl KeepConfig {
    /// As the journal takes it.
    pub fn retention(&self) -> Retention {
        Retention {
            max_bytes: (self.max_bytes > 0).then_some(self.max_bytes),
            max_age: (self.max_days > 0.0).then(|| Duration::from_secs_f64(self.max_days * 86_400.0)),
        }
    }
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Not before someone says so.
    #[default]
    Signal,
    /// When every mission is over.
    Mission,
}

/// Reads `flyball.yaml` in `dir`; the defaults where there is none.
///
/// # Errors
/// Every mistake in it at once.
pub fn load_runtime_file(dir: &Path, env: &Env<'_>) -> Result<RuntimeFile, ManifestError> {
    let path = dir.join("flyball.yaml");
    if !path.exists() {
        return Ok(RuntimeFile::default());
    }
    let mut source = Source::new(&path, text_of(&path)?);
    let mut checker = Checker::new(env);
    let settings = sections(&mut checker, &mut source, &RUNTIME);
    check_listen(&mut checker, &settings);
    let read = typed::<RuntimeFile>(&mut checker, settings);
    let (diagnostics, _) = finish(checker, &mut source);
    match read {
        Some(mut file) if diagnostics.is_empty() => {
            file.data.iter_mut().for_each(|data| below(data, &directory_of(&path)));
            Ok(file)
        }
        _ => Err(ManifestError { diagnostics }),
    }
}

fn check_listen(checker: &mut Checker<'_>, settings: &Map<String, Value>) {
    let Some(listen) = settings.get("listen").and_then(Value::as_str) else { return };
    let host_and_port = listen.rsplit_once(':');
    if !host_and_port.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        let place = checker.places.get("listen").copied().unwrap_or_default();
        let help = "write HOST:PORT, such as 127.0.0.1:9100".to_owned();
        checker.error(place, "listen", format!("is {}, which is no address", quote(listen)), Some(help));
    }
}
