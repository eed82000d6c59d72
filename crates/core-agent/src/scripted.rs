//! A deterministic model for tests and demonstrations: it answers from rules in a YAML file.
//!
//! It is a test double. It understands nothing; it looks at what it was shown, takes the first rule
//! whose conditions all hold, and answers what the rule says. The same turn always gets the same
//! answer, so a run that is resumed after a crash takes the same path.
//!
//! ```yaml
//! rules:                          # the first rule that matches answers the turn
//!   - name: monitor looks         # optional; for error messages
//!     when:                       # optional; every condition that is given must hold
//!       process: monitor          # the process's name
//!       step: t0                  # the step's id: `t0`, `t1`, or a layer's own, such as `judge`
//!       trigger: [cron, file_watch]  # a kind or a list of kinds: what fired, and no tool was called since
//!       after: check_health       # a tool of this name answered in the last turn
//!       result: 'rows: (?<n>\d+)' # a regex on that tool's answer (on any answer of the last turn without `after`)
//!       event: 'file (?<f>\S+)'   # a regex on the event's prompt, the last user message
//!       shown: 'healthy'          # a regex on all messages, joined by newlines
//!     call:                       # tools to call, side by side
//!       - tool: quarantine
//!         args: {file: "{{f}}", rows: "{{n|json}}"}
//!     say: "quarantining {{f}}"   # what to say; with or without calls
//! ```
//!
//! A regex's named groups fill the `{{name}}` of the rule's own texts and arguments. A string that is
//! nothing but `{{name|json}}` becomes the JSON value that the group captured. A group that took part
//! in no match is an error of the turn.
//!
//! Rules are checked when they are read: unknown keys, bad regexes, names that no regex of the rule
//! captures, and rules that neither call nor say anything are refused, with the file, the line, the
//! column and the rule's name.

mod error;
mod read;
mod rule;
mod shown;
mod template;

use std::path::Path;

use async_trait::async_trait;

use crate::{CallError, Failure, Model, Reply, Turn};

pub use error::Error;
use rule::Rule;
use shown::Shown;

/// A model that answers from rules. See the [module](self) for their format.
#[derive(Debug)]
pub struct ScriptedModel {
    name: String,
    rules: Vec<Rule>,
}

impl ScriptedModel {
    /// Reads the rules of the file at `path`, which must be UTF-8 of at most 1 MiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = read::file(path)?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// Reads rules from YAML; `name` stands for the file in error messages.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), rules: read::rules(text, name)? })
    }

    /// The name of the first rule that matches `turn`, for a test or a person who writes a script.
    pub fn rule_for(&self, turn: &Turn) -> Option<&str> {
        let shown = Shown::new(turn);
        self.rules.iter().find(|rule| rule.matches(&shown).is_some()).map(Rule::name)
    }
}

#[async_trait]
impl Model for ScriptedModel {
    async fn reply(&self, turn: &Turn) -> Result<Reply, CallError> {
        let shown = Shown::new(turn);
        for rule in &self.rules {
            if let Some(captures) = rule.matches(&shown) {
                let reply = rule.answer(&shown, &captures);
                return reply.map_err(|why| {
                    Failure::unsent(format!("{}: rule '{}' (line {}): {why}", self.name, rule.name(), rule.line())).into()
                });
            }
        }
        Err(Failure::unsent(format!("no rule of {} answers {shown}", self.name)).into())
    }
}
