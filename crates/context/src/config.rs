//! What a context is made from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::state::check_size;
use crate::{Error, Memory};

/// Everything that a context can be told.
#[derive(Debug, Clone)]
pub struct ContextConfig {
    /// The state before anything was written.
    pub initial_state: Map<String, Value>,
    /// The state keys that may be written. Empty: all.
    pub writable_keys: Vec<String>,
    /// Whether the agent gets `get_state` and `set_state`.
    pub state_tool: bool,
    /// The long-term memory.
    pub memory: MemoryProvider,
    /// Whether every exchange is stored in the memory.
    pub memory_auto_store: bool,
    /// Memories shown per run, 1 to 100.
    pub memory_max: usize,
    /// Memories with a lower score are not shown, 0 to 1.
    pub memory_min_score: f64,
    /// How long a search or a store may take.
    pub memory_timeout: Duration,
    /// Messages of earlier runs that a run is given, 2 to 10,000. An exchange is two.
    pub conversation_max_messages: usize,
    /// Whether a run is given any.
    pub conversation_history: bool,
    /// Environment variables whose names begin with this are shown to the agent. None: none are.
    pub env_prefix: Option<String>,
    /// Files that the agent may read, by the name it uses.
    pub file_mounts: BTreeMap<String, PathBuf>,
}

/// Where long-term memory lives.
#[derive(Clone, Default)]
pub enum MemoryProvider {
    /// There is none.
    #[default]
    Off,
    /// In this process, without a service: [`EmbeddedMemory`](crate::EmbeddedMemory).
    Embedded,
    /// Somewhere else.
    Custom(Arc<dyn Memory>),
}

impl fmt::Debug for MemoryProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Embedded => "Embedded",
            Self::Custom(_) => "Custom",
        })
    }
}

impl Default for ContextConfig {
    fn default() -> Self {
        Self {
            initial_state: Map::new(),
            writable_keys: Vec::new(),
            state_tool: true,
            memory: MemoryProvider::Off,
            memory_auto_store: false,
            memory_max: 5,
            memory_min_score: 0.0,
            memory_timeout: Duration::from_secs(5),
            conversation_max_messages: 100,
            conversation_history: true,
            env_prefix: None,
            file_mounts: BTreeMap::new(),
        }
    }
}

impl ContextConfig {
    /// Whether the values make sense; [`Context::new`](crate::Context::new) asks this.
    ///
    /// # Errors
    /// [`Error::Config`] that names the field and what it may be.
    pub fn check(&self) -> Result<(), Error> {
        for (key, value) in &self.initial_state {
            check_size(key, value).map_err(|error| Error::Config(format!("initial_state: {error}")))?;
        }
        let wrong = |field: &str, what: String| Err(Error::Config(format!("{field}: {what}")));
        if self.writable_keys.iter().any(String::is_empty) {
            return wrong("writable_keys", "a key must not be empty".to_owned());
        }
        if !(1..=100).contains(&self.memory_max) {
            return wrong("memory_max", format!("must be 1 to 100, is {}", self.memory_max));
        }
        if !(0.0..=1.0).contains(&self.memory_min_score) {
            return wrong("memory_min_score", format!("must be 0 to 1, is {}", self.memory_min_score));
        }
        if self.memory_timeout.is_zero() {
            return wrong("memory_timeout", "must be more than 0".to_owned());
        }
        if self.memory_auto_store && matches!(self.memory, MemoryProvider::Off) {
            return wrong("memory_auto_store", "there is no memory to store in: set one, or leave this out".to_owned());
        }
        if !(2..=10_000).contains(&self.conversation_max_messages) {
            let is = self.conversation_max_messages;
            let what = format!("must be 2 to 10000, is {is}; for no history at all set conversation_history to false");
            return wrong("conversation_max_messages", what);
        }
        if self.env_prefix.as_deref() == Some("") {
            return wrong("env_prefix", "must not be empty, or the whole environment would be shown".to_owned());
        }
        if self.file_mounts.keys().any(String::is_empty) {
            return wrong("file_mounts", "a name must not be empty".to_owned());
        }
        Ok(())
    }
}
