//! Which secrets an agent may use, and for how long.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::vault::{MIN_CHARS, is_name};
use crate::Problems;

/// A process's own secrets. The texts may hold the secrets themselves, so `Debug` shows names only
/// and there is no `Serialize`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretScopeConfig {
    /// Whether there are secrets at all.
    pub enabled: bool,
    /// By name: the secret itself, or a text with `${VAR}` or `${VAR:-default}` in it.
    pub secrets: BTreeMap<String, String>,
    /// Seconds after which a secret expires, counted from the process's start; never where nothing is said.
    pub default_ttl: Option<f64>,
    /// The same for single secrets.
    pub ttls: BTreeMap<String, f64>,
    /// Overwrite all values with zeros when the process stops.
    pub revoke_on_stop: bool,
}

impl Default for SecretScopeConfig {
    fn default() -> Self {
        Self { enabled: false, secrets: BTreeMap::new(), default_ttl: None, ttls: BTreeMap::new(), revoke_on_stop: true }
    }
}

impl fmt::Debug for SecretScopeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretScopeConfig")
            .field("enabled", &self.enabled)
            .field("secrets", &self.secrets.keys())
            .field("default_ttl", &self.default_ttl)
            .field("ttls", &self.ttls)
            .field("revoke_on_stop", &self.revoke_on_stop)
            .finish()
    }
}

impl SecretScopeConfig {
    /// What is wrong with it, by field. No value is quoted.
    pub fn check(&self) -> Problems {
        let mut problems = Problems::new();
        for (name, text) in &self.secrets {
            let path = format!("secrets.{name}");
            if !is_name(name) {
                problems.push((path, "is no name for a secret: use letters, digits, `_`, `-` and inner dots".into()));
            } else if !text.contains("${") && text.chars().count() < MIN_CHARS {
                problems.push((path, format!("is shorter than {MIN_CHARS} characters: it could not be masked in results")));
            }
        }
        if self.default_ttl.is_some_and(|ttl| !is_ttl(ttl)) {
            problems.push(("default_ttl".into(), "must be a number of seconds above 0; leave it out for never".into()));
        }
        for (name, ttl) in &self.ttls {
            let path = format!("ttls.{name}");
            if !self.secrets.contains_key(name) {
                problems.push((path, "there is no secret of that name in `secrets`".into()));
            } else if !is_ttl(*ttl) {
                problems.push((path, "must be a number of seconds above 0".into()));
            }
        }
        problems
    }

    /// Seconds for which `name` lives; none for ever.
    pub(super) fn ttl(&self, name: &str) -> Option<f64> {
        self.ttls.get(name).copied().or(self.default_ttl)
    }
}

pub(super) fn is_ttl(seconds: f64) -> bool {
    seconds.is_finite() && seconds > 0.0
}
