//! One run of an agent, from event to outcome.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, Message, Run, TriggerEvent, Usage};

/// Turns an invocation into an outcome.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Runs once.
    ///
    /// Run again with the same [`Run`] id it takes the same steps, so that a layer can answer those
    /// that already happened. It looks at `invocation.run.cancel()` between steps; dropping the
    /// future stops it wherever it is, as a crash would.
    async fn invoke(&self, invocation: Invocation) -> Result<Outcome, Error>;
}

/// What an agent is run with.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The run.
    pub run: Run,
    /// What woke the agent.
    pub event: TriggerEvent,
    /// What it shall know besides: state, missions, memories. Each becomes a system message.
    pub notes: Vec<Note>,
    /// Earlier exchanges, oldest first.
    pub history: Vec<Arc<Message>>,
}

/// Something an agent is told before the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its heading.
    pub title: String,
    /// What it says.
    pub text: String,
}

impl Note {
    /// A note.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: text.into() }
    }
}

impl From<&Note> for Message {
    fn from(note: &Note) -> Self {
        Self::system(format!("[{}]\n{}", note.title, note.text))
    }
}

/// How a run ended, and what it asks of its process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The agent's final words.
    pub reply: String,
    /// How many turns the model took.
    pub turns: u32,
    /// What they used.
    pub usage: Usage,
    /// What shall become of the process.
    pub directive: Directive,
}

/// What a run, or a layer, asks of the process. The process obeys and does not ask who wrote it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Directive {
    /// Go on.
    #[default]
    Continue,
    /// Start no new run until someone resumes the process, or until `until`.
    Pause {
        /// For the operator.
        why: String,
        /// When the pause ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<DateTime<Utc>>,
    },
    /// Stop the process.
    Stop {
        /// For the operator.
        why: String,
    },
}

impl Directive {
    /// A pause without an end.
    pub fn pause(why: impl Into<String>) -> Self {
        Self::Pause { why: why.into(), until: None }
    }

    /// A stop.
    pub fn stop(why: impl Into<String>) -> Self {
        Self::Stop { why: why.into() }
    }

    /// Moves the directive up to `other` if that is stronger, so that no layer lowers what another
    /// decided. Of two pauses the one that lasts longer stays.
    pub fn raise(&mut self, other: Self) {
        if other.rank() > self.rank() {
            *self = other;
        }
    }

    fn rank(&self) -> (u8, DateTime<Utc>) {
        match self {
            Self::Continue => (0, DateTime::<Utc>::MIN_UTC),
            Self::Pause { until, .. } => (1, until.unwrap_or(DateTime::<Utc>::MAX_UTC)),
            Self::Stop { .. } => (2, DateTime::<Utc>::MAX_UTC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_only_ever_raised() {
        let mut directive = Directive::Continue;
        directive.raise(Directive::pause("budget"));
        directive.raise(Directive::Continue);
        assert_eq!(directive, Directive::pause("budget"));
        directive.raise(Directive::Pause { why: "short".into(), until: Some(DateTime::UNIX_EPOCH) });
        assert_eq!(directive, Directive::pause("budget"));
        directive.raise(Directive::stop("mission complete"));
        directive.raise(Directive::pause("late"));
        assert_eq!(directive, Directive::stop("mission complete"));
    }
}
