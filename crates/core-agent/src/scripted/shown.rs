//! What a model was shown, as the conditions of rules look at it.

use std::fmt;

use crate::{Message, Turn, Usage};

/// One turn, taken apart.
pub(super) struct Shown<'a> {
    pub(super) turn: &'a Turn,
    /// The last user message: the event's prompt.
    pub(super) event: &'a str,
    /// The kind of the event, where no tool was called since.
    pub(super) fresh_trigger: Option<&'a str>,
    /// The tools that answered in the last turn, and what they said.
    pub(super) answers: Vec<(&'a str, &'a str)>,
    /// All messages, joined by newlines.
    pub(super) all: String,
}

impl<'a> Shown<'a> {
    pub(super) fn new(turn: &'a Turn) -> Self {
        let messages: Vec<&Message> = turn.messages.iter().map(|message| &**message).collect();
        let last_user = messages.iter().rposition(|message| matches!(message, Message::User { .. }));
        let event = last_user.map_or("", |at| messages[at].text());
        let since = &messages[last_user.map_or(0, |at| at + 1)..];
        let untouched = !since.iter().any(|message| matches!(message, Message::Tool { .. }));
        // Layers may add notes behind the conversation; the last turn is what stands before them.
        let spoken = messages.iter().rev().skip_while(|message| matches!(message, Message::System { .. }));
        let mut answers: Vec<_> = spoken.copied().map_while(tool_answer).collect();
        answers.reverse();
        Self {
            turn,
            event,
            fresh_trigger: trigger_kind(event).filter(|_| untouched),
            answers,
            all: messages.iter().map(|message| message.text()).collect::<Vec<_>>().join("\n"),
        }
    }

    /// Words stand for tokens.
    pub(super) fn usage(&self, said: &str) -> Usage {
        Usage { input_tokens: words(&self.all), output_tokens: words(said) }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process '{}' at step {}", self.turn.run.process(), self.turn.step)?;
        match trigger_kind(self.event) {
            Some(kind) => write!(f, " (trigger: {kind}")?,
            None => f.write_str(" (no trigger")?,
        }
        match self.answers.last() {
            Some((tool, _)) => write!(f, "; last tool: {tool})"),
            None => f.write_str("; no tool answered last)"),
        }
    }
}

/// The kind in the first line of an event's prompt, `Trigger: KIND (id), ...`.
fn trigger_kind(prompt: &str) -> Option<&str> {
    let rest = prompt.lines().next()?.strip_prefix("Trigger: ")?;
    Some(rest.split_once(" (").map_or(rest, |(kind, _)| kind))
}

fn tool_answer(message: &Message) -> Option<(&str, &str)> {
    match message {
        Message::Tool { name, text, .. } => Some((name, text)),
        _ => None,
    }
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}
