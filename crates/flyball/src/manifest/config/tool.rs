//! What is known of a tool.

use flyball_core_agent::Effect;
use serde::{Deserialize, Serialize};

use crate::manifest::table::{Key, Kind, Kinds, Section, Word};

/// What is known of a tool that its server does not say, or is not trusted to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToolConfig {
    /// What a call does to the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The tool that tells whether an earlier call of this one happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<String>,
}

const EFFECT: Kind = Kind::Choice(&[Word::new("read"), Word::new("idempotent"), Word::new("irreversible")]);

pub(in crate::manifest) const TOOL: Section = Section {
    name: "tool",
    kinds: Kinds::One,
    keys: &[
        Key::new(
            "effect",
            EFFECT,
            "What a call does to the world, and so what may be done after a crash. Not set counts as `irreversible`.",
        ),
        Key::new("reconcile", Kind::Filled, "The tool that tells whether an earlier call of this one happened."),
    ],
};
