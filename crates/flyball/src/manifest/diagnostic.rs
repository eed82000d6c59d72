//! What is wrong with a file, said so that a person can act on it.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// One mistake, or one warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where it concerns the file as a whole.
    #[serde(serialize_with = "if_any")]
    pub line: usize,
    /// The column in characters, from 1.
    #[serde(serialize_with = "if_any")]
    pub column: usize,
    /// The field, such as `triggers[0].cron_expression`; empty where it is none.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line itself, with secrets masked, and where in it the column lies (in characters).
    pub excerpt: Option<Excerpt>,
}

/// There is no line 0 and no column 0: for programs that is `null`.
fn if_any<S: Serializer>(place: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    Some(*place).filter(|place| *place > 0).serialize(serializer)
}

/// A piece of a file's line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The piece.
    pub text: String,
    /// How many characters of it stand before the mistake.
    pub before: usize,
}

/// Everything that is wrong with a file or a directory. There is at least one diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(transparent)]
pub struct ManifestError {
    /// By file, and in it by line.
    pub diagnostics: Vec<Diagnostic>,
}

impl Diagnostic {
    /// A mistake in no particular line.
    pub(super) fn of_file(file: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: 0, column: 0, field: String::new(), message: message.into(), help: None, excerpt: None }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<Diagnostic> for ManifestError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{:>5} | {}", self.line, excerpt.text)?;
            write!(f, "\n      | {:width$}^", "", width = excerpt.before)?;
        }
        Ok(())
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

/// A value as it may stand in a message: short, in quotes, without control characters.
pub(super) fn quote(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("'{shown}'")
}
