//! An MCP tool as a [`ToolSpec`].

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::Value;

use crate::{Effect, ToolSpec};

/// `trusted` says whether the server's annotations count.
pub(super) fn spec(tool: Tool, trusted: bool) -> ToolSpec {
    let effect = tool.annotations.as_ref().filter(|_| trusted).and_then(effect);
    ToolSpec {
        name: tool.name.into_owned(),
        description: tool.description.map(std::borrow::Cow::into_owned).or(tool.title).unwrap_or_default(),
        parameters: Value::Object(tool.input_schema.as_ref().clone()),
        effect,
        reconcile: None,
    }
}

/// MCP's hints, where there are any. A tool that adds without being repeatable is irreversible too.
fn effect(hints: &ToolAnnotations) -> Option<Effect> {
    if hints.read_only_hint == Some(true) {
        return Some(Effect::Read);
    }
    if hints.idempotent_hint == Some(true) {
        return Some(Effect::Idempotent);
    }
    let said_something = hints.read_only_hint.or(hints.idempotent_hint).or(hints.destructive_hint).is_some();
    said_something.then_some(Effect::Irreversible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(read_only: Option<bool>, destructive: Option<bool>, idempotent: Option<bool>) -> ToolAnnotations {
        ToolAnnotations::from_raw(None, read_only, destructive, idempotent, None)
    }

    #[test]
    fn hints_become_effects_and_silence_stays_undeclared() {
        let (yes, no) = (Some(true), Some(false));
        let cases = [
            (hints(None, None, None), None),
            (hints(yes, None, None), Some(Effect::Read)),
            (hints(no, None, None), Some(Effect::Irreversible)),
            (hints(no, no, None), Some(Effect::Irreversible)),
            (hints(None, yes, None), Some(Effect::Irreversible)),
            (hints(None, yes, yes), Some(Effect::Idempotent)),
        ];
        for (hints, expected) in cases {
            assert_eq!(effect(&hints), expected, "{hints:?}");
        }
        let tool = Tool::new("t", "d", serde_json::Map::new()).with_annotations(hints(yes, None, None));
        assert_eq!(spec(tool.clone(), false).effect, None);
        assert_eq!(spec(tool, true).effect, Some(Effect::Read));
    }
}
