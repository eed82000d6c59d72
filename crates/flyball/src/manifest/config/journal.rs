//! What is written down, and where.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::table::{Key, Kind, Kinds, Section, Word};

/// What is written down of a process, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// How much.
    pub level: JournalLevel,
    /// Where.
    pub backend: JournalBackend,
    /// The log's directory; in the data directory where this is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What the journal holds is recovered at start. Always so in this version.
    pub recover_on_start: bool,
}

/// How much is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JournalLevel {
    /// Every step.
    #[default]
    Full,
}

/// Where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalBackend {
    /// On disk.
    #[default]
    File,
    /// In memory, and so forgotten at the end.
    Memory,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { level: JournalLevel::Full, backend: JournalBackend::File, path: None, recover_on_start: true }
    }
}

const ONLY_FULL: &str = "leave it out: everything is written down (`full`)";
const LEVEL: Kind = Kind::Choice(&[Word::new("full"), Word::refused("checkpoint", ONLY_FULL), Word::refused("none", ONLY_FULL)]);
const BACKEND: Kind = Kind::Choice(&[Word::new("file"), Word::new("memory")]);

pub(in crate::manifest) const JOURNAL: Section = Section {
    name: "journal",
    kinds: Kinds::One,
    keys: &[
        Key::new("level", LEVEL, "How much is written down.").or("full"),
        Key::new("backend", BACKEND, "Where: on disk, or in memory and so forgotten at the end.").or("file"),
        Key::new(
            "path",
            Kind::Path,
            "The log's directory; in the data directory where this is not set. Commands that look back find it there too.",
        ),
        Key::new("recover_on_start", Kind::Bool, "What the journal holds is recovered at start. Only `true` is supported.")
            .or("true"),
    ],
};
