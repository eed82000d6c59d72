//! What an agent knows between runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::manifest::table::{FRACTION, Key, Kind, Kinds, Section, Word};

/// What an agent knows between runs: state, conversation, memory, environment, files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct ContextConfig {
    pub writable_keys: Vec<String>,
    pub initial_state: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_provider: Option<MemoryProvider>,
    pub memory_max: u32,
    pub memory_min_score: f64,
    pub memory_auto_store: bool,
    pub conversation_max_messages: u32,
    pub conversation_history: bool,
    pub state_tool: bool,
    pub file_mounts: BTreeMap<String, PathBuf>,
    pub env_prefix: String,
}

/// Where long-term memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryProvider {
    /// In the process's own journal and memory. `in_memory` is an older name for it.
    #[serde(alias = "in_memory")]
    Embedded,
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            writable_keys: Vec::new(),
            initial_state: Map::new(),
            memory_provider: None,
            memory_max: 5,
            memory_min_score: 0.0,
            memory_auto_store: false,
            conversation_max_messages: 100,
            conversation_history: true,
            state_tool: true,
            file_mounts: BTreeMap::new(),
            env_prefix: "AGENT_".into(),
        }
    }
}

/// The words of `memory_provider` and of `memory.provider`.
pub(in crate::manifest) const PROVIDER: Kind = Kind::Choice(&[
    Word::new("embedded"),
    Word::new("in_memory"),
    Word::refused("chroma", USE_EMBEDDED),
    Word::refused("mem0", USE_EMBEDDED),
]);
/// Memories found for one run. More would crowd the prompt.
pub(in crate::manifest) const MEMORY_MAX: Kind = Kind::Int(1, 100);

const USE_EMBEDDED: &str = "use `embedded`";
/// Why the settings of other memories are refused.
pub(in crate::manifest) const NOT_EMBEDDED: &str = "the `embedded` memory needs no such setting";

pub(in crate::manifest) const CONTEXT: Section = Section {
    name: "context",
    kinds: Kinds::One,
    keys: &[
        Key::new("writable_keys", Kind::List(&Kind::Filled), "The keys of the state that may be written; an empty list is all.")
            .or("[]"),
        Key::new("initial_state", Kind::Map(&Kind::Json), "The state of the first start. `world` is another name for it.")
            .or("{}"),
        Key::new("memory_provider", PROVIDER, "Where long-term memory lies; there is none where this is not set."),
        Key::new("memory_max", MEMORY_MAX, "How many memories a run is given.").or("5"),
        Key::new("memory_min_score", FRACTION, "Memories that match less are left out.").or("0.0"),
        Key::new("memory_auto_store", Kind::Bool, "Every exchange is remembered.").or("false"),
        Key::new(
            "conversation_max_messages",
            Kind::Int(2, 10_000),
            "How many messages of earlier exchanges a run is given; an exchange is two.",
        )
        .or("100")
        .because("a conversation without an end would fill every prompt; to give none write `conversation_history: false`"),
        Key::new("conversation_history", Kind::Bool, "Whether earlier exchanges are given at all.").or("true"),
        Key::new("state_tool", Kind::Bool, "The agent gets tools with which it reads and writes its state.").or("true"),
        Key::new("file_mounts", Kind::Map(&Kind::Path), "Files that the agent may read, by name.").or("{}"),
        Key::new("env_prefix", Kind::Filled, "Environment variables that begin so are shown to the agent.").or("AGENT_"),
        Key::refused("memory_collection", NOT_EMBEDDED),
        Key::refused("memory_persist_directory", NOT_EMBEDDED),
        Key::refused("memory_user_id", NOT_EMBEDDED),
        Key::refused("memory_timeout", NOT_EMBEDDED),
        Key::refused("conversation_clear_on_stop", "the conversation is kept; `conversation_history: false` gives none to a run"),
    ],
};
