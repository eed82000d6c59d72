//! Credentials that only one process has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::SecretSource;
use crate::manifest::table::{Key, Kind, Kinds, SOME_SECONDS, Section};

/// Credentials that only one process has, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretScopeConfig {
    /// Whether the process has secrets.
    pub enabled: bool,
    /// By name, unresolved.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Seconds after which a secret expires; none is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<f64>,
    /// Seconds for single secrets; each names one of `secrets`.
    pub ttls: BTreeMap<String, f64>,
    /// They are forgotten when the process stops.
    pub revoke_on_stop: bool,
}

impl Default for SecretScopeConfig {
    fn default() -> Self {
        Self { enabled: false, secrets: BTreeMap::new(), default_ttl: None, ttls: BTreeMap::new(), revoke_on_stop: true }
    }
}

pub(in crate::manifest) const SECRETS: Section = Section {
    name: "secrets",
    kinds: Kinds::One,
    keys: &[
        Key::new("enabled", Kind::Bool, "Whether the process has secrets.").or("false"),
        Key::new(
            "secrets",
            Kind::Map(&Kind::SecretSource),
            "Each secret by name: `${NAME}`, which is resolved on every start, or a literal.",
        )
        .or("{}"),
        Key::new("default_ttl", SOME_SECONDS, "Seconds after which a secret expires; not set is never."),
        Key::new("ttls", Kind::Map(&SOME_SECONDS), "Seconds for single secrets.").or("{}"),
        Key::new("revoke_on_stop", Kind::Bool, "They are forgotten when the process stops.").or("true"),
    ],
};
