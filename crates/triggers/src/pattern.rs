//! Topics and the patterns that match them.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A topic longer than this is a mistake, or data put where a name belongs.
const MAX_TOPIC_BYTES: usize = 255;

/// What a subscription listens to: dot-separated segments, where `*` stands for exactly one segment
/// and `>`, at the end only, for one or more.
///
/// Event types and message topics follow the same rules. Matching is case-sensitive.
///
/// ```
/// use flyball_triggers::Pattern;
///
/// let alerts = Pattern::parse("pipeline.alerts.*")?;
/// assert!(alerts.matches("pipeline.alerts.late"));
/// assert!(!alerts.matches("pipeline.alerts.late.again"));
/// assert!(Pattern::parse("pipeline.>")?.matches("pipeline.alerts.late.again"));
/// # Ok::<(), flyball_triggers::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// Reads a pattern. The error is an [`Error::Config`] that says what is wrong where.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check(text, "pattern", |segment, last| match segment {
            "*" => Ok(()),
            ">" if last => Ok(()),
            ">" => Err("'>' stands for all remaining segments, so it must be the last one".to_owned()),
            other => check_name(other, "a wildcard is a whole segment: '*' for one, '>' at the end for the rest"),
        })?;
        Ok(Self { text: text.to_owned() })
    }

    /// Whether `topic` is one that this pattern listens to. What is no topic matches nothing.
    pub fn matches(&self, topic: &str) -> bool {
        let mut names = topic.split('.');
        for segment in self.text.split('.') {
            if segment == ">" {
                let mut rest = names.peekable();
                return rest.peek().is_some() && rest.all(|name| !name.is_empty());
            }
            match names.next() {
                Some(name) if !name.is_empty() && (segment == "*" || segment == name) => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Checks that something can be emitted or published under `topic`: dot-separated names without wildcards.
pub fn check_topic(topic: &str) -> Result<(), Error> {
    check(topic, "topic", |segment, _| check_name(segment, "wildcards are for those who listen"))
}

fn check(text: &str, what: &str, segment_ok: impl Fn(&str, bool) -> Result<(), String>) -> Result<(), Error> {
    let wrong = |why: String| Error::Config(format!("{what} {:?}: {why}", shown(text)));
    if text.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    if text.len() > MAX_TOPIC_BYTES {
        return Err(wrong(format!("it has {} bytes; {MAX_TOPIC_BYTES} are allowed", text.len())));
    }
    let mut segments = text.split('.').enumerate().peekable();
    while let Some((index, segment)) = segments.next() {
        let last = segments.peek().is_none();
        segment_ok(segment, last).map_err(|why| wrong(format!("segment {}: {why}", index + 1)))?;
    }
    Ok(())
}

fn check_name(name: &str, about_wildcards: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("it is empty: a dot stands at an end, or two stand together".to_owned());
    }
    if name.contains(['*', '>']) {
        return Err(format!("'{name}' holds a wildcard; {about_wildcards}"));
    }
    match name.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(c) => Err(format!("{c:?} cannot stand in a name")),
        None => Ok(()),
    }
}

fn shown(text: &str) -> String {
    flyball_core_agent::text::one_line(text, 80)
}
