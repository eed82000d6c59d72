//! Records by what they are about.

use std::collections::HashMap;

use flyball_core_agent::{RunId, StepId};
use flyball_journal::{Entry, Record};

/// Gives each record a label: its process, its kind, and what tells it from others of its kind.
#[derive(Default)]
pub struct Labels {
    tools: HashMap<(RunId, StepId), String>,
}

impl Labels {
    /// The next record's label. A result is known by its call, which was shown before.
    pub fn of(&mut self, record: &Record) -> String {
        let detail = match &record.entry {
            Entry::StateTransition { to_state, .. } => to_state.to_string(),
            Entry::ModelReply { step, .. } => step.to_string(),
            Entry::ToolCall { run, step, tool, .. } => {
                self.tools.insert((run.clone(), step.clone()), tool.clone());
                tool.clone()
            }
            Entry::ToolResult { run, step, .. } => self.tools.get(&(run.clone(), step.clone())).cloned().unwrap_or_default(),
            Entry::Note { layer, body, .. } => format!("{layer} {}", body["event"].as_str().unwrap_or_default()),
            _ => String::new(),
        };
        format!("{} {} {detail}", record.process, record.entry.kind()).trim_end().to_owned()
    }
}
