//! A process as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    BUDGET, BudgetConfig, CONTEXT, ContextConfig, DELIVERY, DeliveryConfig, HEALTH, HealthConfig, JOURNAL, JournalConfig,
    MISSION, MissionConfig, SECRETS, SERVER, SecretScopeConfig, ServerConfig, TOOL, TRIGGER, ToolConfig, TriggerConfig,
};
use crate::manifest::table::{Key, Kind, Kinds, SECONDS, SOME_SECONDS, Section, Span, Word};

/// All that is said about one process, in code or in a manifest. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct ProcessConfig {
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    pub servers: BTreeMap<String, ServerConfig>,
    pub triggers: Vec<TriggerConfig>,
    pub journal: JournalConfig,
    pub context: ContextConfig,
    pub concurrency: u32,
    pub max_turns: u32,
    pub max_invocation_time: f64,
    pub max_consecutive_failures: u32,
    pub restart_policy: RestartPolicy,
    pub max_restarts: u32,
    pub restart_backoff: f64,
    pub drain_timeout: f64,
    pub heartbeat_interval: f64,
    pub idle_timeout: f64,
    pub max_lifetime: f64,
    pub trigger_delivery: DeliveryConfig,
    pub budget: BudgetConfig,
    pub health: HealthConfig,
    pub mission: MissionConfig,
    pub secrets: SecretScopeConfig,
    pub tools: BTreeMap<String, ToolConfig>,
}

/// After what a process is started again by itself. A process that was stopped, by an operator or by one of its
/// policies, stays so with each of them, and one whose `max_lifetime` is over is started anew with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// After it failed: the same as `on_failure`, since a process comes to no other end that nobody ordered.
    Always,
    /// After it failed, or did not come up.
    OnFailure,
    /// After nothing: one that failed stays so until someone starts it.
    #[default]
    Never,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            model: "openai:gpt-5-mini".into(),
            instructions: None,
            servers: BTreeMap::new(),
            triggers: Vec::new(),
            journal: JournalConfig::default(),
            context: ContextConfig::default(),
            concurrency: 1,
            max_turns: 25,
            max_invocation_time: 0.0,
            max_consecutive_failures: 3,
            restart_policy: RestartPolicy::Never,
            max_restarts: 3,
            restart_backoff: 1.0,
            drain_timeout: 5.0,
            heartbeat_interval: 10.0,
            idle_timeout: 0.0,
            max_lifetime: 0.0,
            trigger_delivery: DeliveryConfig::default(),
            budget: BudgetConfig::default(),
            health: HealthConfig::default(),
            mission: MissionConfig::default(),
            secrets: SecretScopeConfig::default(),
            tools: BTreeMap::new(),
        }
    }
}

const RESTART: Kind = Kind::Choice(&[Word::new("always"), Word::new("on_failure"), Word::new("never")]);
/// An hour: a stop that waits longer is no stop.
const DRAIN: Kind = Kind::Float(Span { min: 0.0, open: false, max: 3600.0 });

/// The keys that stand both at the top of a manifest and under `config:`.
pub(in crate::manifest) const SHARED: [Key; 11] = [
    Key::new(
        "model",
        Kind::Filled,
        "The model: `openai:NAME` (any server of that protocol through `OPENAI_BASE_URL`) or `scripted:FILE`.",
    )
    .or("openai:gpt-5-mini"),
    Key::new("instructions", Kind::Filled, "The agent's system prompt."),
    Key::new("servers", Kind::Map(&Kind::Section(&SERVER)), "MCP servers by name.").or("{}"),
    Key::new("triggers", Kind::List(&Kind::Section(&TRIGGER)), "What wakes the agent.").or("[]"),
    Key::new("journal", Kind::Section(&JOURNAL), "What is written down."),
    Key::new("context", Kind::Section(&CONTEXT), "What the agent knows between runs."),
    Key::new("budget", Kind::Section(&BUDGET), "What it may spend."),
    Key::new("health", Kind::Section(&HEALTH), "When its behaviour counts as ill."),
    Key::new("mission", Kind::Section(&MISSION), "The goal that ends its work."),
    Key::new("secrets", Kind::Section(&SECRETS), "Credentials that only it has."),
    Key::new("tools", Kind::Map(&Kind::Section(&TOOL)), "What is known of single tools, by the tool's name.").or("{}"),
];

/// The keys of the format that neither the top nor `config:` reads yet.
pub(in crate::manifest) const NOT_YET: [Key; 5] = [
    Key::refused("agent_pattern", "leave it out: the agent calls tools until it is done"),
    Key::refused("execution_mode", "leave it out: an agent cannot change itself (`strict`)"),
    Key::refused("open_mode", "leave it out: an agent cannot change itself"),
    Key::refused("hooks", "the journal tells what happened: `flyball logs`"),
    Key::refused("identity", "give credentials to a server by `bearer_token` or `headers`"),
];

pub(in crate::manifest) const PROCESS: Section = Section {
    name: "config",
    kinds: Kinds::One,
    keys: &[
        SHARED[0],
        SHARED[1],
        SHARED[2],
        SHARED[3],
        SHARED[4],
        SHARED[5],
        Key::new("concurrency", Kind::Int(1, 100), "So many runs may be under way at once.").or("1"),
        Key::new("max_turns", Kind::Int(1, 1000), "A run that asks the model more often fails.").or("25"),
        Key::new("max_invocation_time", SECONDS, "Seconds after which a run fails, or is held with a call in doubt; 0 is never.")
            .or("0.0"),
        Key::new("max_consecutive_failures", Kind::Int(1, 1_000_000), "So many failed runs in a row fail the process.").or("3"),
        Key::new("restart_policy", RESTART, "After what the process is started again by itself.").or("never"),
        Key::new("max_restarts", Kind::Int(0, 1_000_000), "So many restarts in a row; a run that succeeds sets the count back.")
            .or("3"),
        Key::new(
            "restart_backoff",
            SECONDS,
            "Seconds before the first restart; each further one waits twice as long, up to a minute.",
        )
        .or("1.0"),
        Key::new("drain_timeout", DRAIN, "Seconds that a stop waits for runs under way.").or("5.0"),
        Key::new("heartbeat_interval", SOME_SECONDS, "Seconds between two looks at idleness and lifetime.").or("10.0"),
        Key::new(
            "idle_timeout",
            SECONDS,
            "Seconds without an event after which the process is suspended until the next; 0 is never.",
        )
        .or("0.0"),
        Key::new("max_lifetime", SECONDS, "Seconds after which the process is drained and started anew; 0 is never.").or("0.0"),
        Key::new("trigger_delivery", Kind::Section(&DELIVERY), "What becomes of an event whose run fails, or that has to wait."),
        SHARED[6],
        SHARED[7],
        SHARED[8],
        SHARED[9],
        SHARED[10],
        NOT_YET[0],
        NOT_YET[1],
        NOT_YET[2],
        NOT_YET[3],
        NOT_YET[4],
        Key::refused("inbox", "send an event to the agent instead: `flyball fire NAME --data JSON`"),
        Key::refused("approval", "limit what the agent may do by `budget: {max_irreversible_per_run: 0}`"),
        Key::refused("guardrails", "limit what the agent may do by `budget` and `tools`"),
        Key::refused("observe", "the journal tells what happened: `flyball logs`"),
        Key::refused("cache", "leave it out: a recorded reply is only used to go on after a crash"),
        Key::refused("optimize_tools", "leave it out: the model is shown every tool"),
        Key::refused("adaptive", "leave it out"),
        Key::refused("extra_tools", "they are functions, and can only be given in code; offer them by an MCP server"),
    ],
};
