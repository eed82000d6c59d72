//! A file's text, and how much of a line may be shown.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Excerpt};
use super::secret::MASK;
use super::tree::Place;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Source {
    pub path: PathBuf,
    pub text: String,
    /// It could be read as YAML.
    pub is_yaml: bool,
    /// Bytes that must not be shown.
    pub hidden: Vec<Range<usize>>,
}

/// Characters of a line that are shown around a mistake.
const WIDTH: usize = 110;
/// Of which so many stand before it.
const LEAD: usize = 60;

impl Source {
    pub fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text, is_yaml: true, hidden: Vec::new() }
    }

    /// A diagnostic at `place` of this file. Call it when all that must be hidden is known.
    pub fn diagnostic(&self, place: Place, field: &str, message: String, help: Option<String>) -> Diagnostic {
        Diagnostic {
            file: self.path.clone(),
            line: place.line,
            column: place.column,
            field: field.to_owned(),
            message,
            help,
            excerpt: self.excerpt(place),
        }
    }

    fn excerpt(&self, place: Place) -> Option<Excerpt> {
        let (start, line) = self.line(place.line)?;
        let mut shown: Vec<char> = Vec::new();
        let mut before = None;
        let mut masked = false;
        for (index, (at, c)) in line.char_indices().enumerate() {
            if index + 1 == place.column {
                before = Some(shown.len());
            }
            if self.hidden.iter().any(|range| range.contains(&(start + at))) {
                if !masked {
                    shown.extend(MASK.chars());
                }
                masked = true;
            } else {
                masked = false;
                shown.push(if c == '\t' {
                    ' '
                } else if c.is_control() {
                    '\u{fffd}'
                } else {
                    c
                });
            }
        }
        let before = before.unwrap_or(shown.len());
        Some(crop(&shown, before))
    }

    /// The line's first byte and the line without its end.
    fn line(&self, number: usize) -> Option<(usize, &str)> {
        let mut start = 0;
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            if index + 1 == number {
                return Some((start, line.trim_end_matches(['\n', '\r'])));
            }
            start += line.len();
        }
        None
    }

    /// Hides what stands after a `:` in lines that look like secrets, for a text that is no YAML
    /// and so does not say what is one.
    pub fn hide_by_looks(&mut self) {
        let mut start = 0;
        // The indentation of the section whose values are all private, while in one.
        let mut section: Option<usize> = None;
        for line in self.text.split_inclusive('\n') {
            let indent = line.len() - line.trim_start().len();
            if section.is_some_and(|outer| indent <= outer && !line.trim().is_empty()) {
                section = None;
            }
            let private = section.is_some() || secret_looking(line);
            let key = line.trim().trim_end_matches(':');
            if matches!(key, "secrets" | "headers" | "env") && line.trim().ends_with(':') && section.is_none() {
                section = Some(indent);
            } else if private {
                let colon = line.find(':').map_or(indent, |at| at + 1);
                let from = colon + line[colon..].len() - line[colon..].trim_start().len();
                self.hidden.push(start + from..start + line.trim_end().len());
            }
            start += line.len();
        }
    }
}

/// Whether a key, or a line, speaks of a credential.
pub(super) fn secret_looking(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let words = ["secret", "token", "passw", "credential", "authorization", "api_key", "apikey", "api-key", "webhook_url"];
    words.iter().any(|word| text.contains(word))
}

fn crop(line: &[char], before: usize) -> Excerpt {
    let from = if line.len() <= WIDTH { 0 } else { before.saturating_sub(LEAD).min(line.len() - WIDTH) };
    let to = line.len().min(from + WIDTH);
    let mut text: String = line[from..to].iter().collect();
    let mut before = before - from;
    if from > 0 {
        text.insert(0, '…');
        before += 1;
    }
    if to < line.len() {
        text.push('…');
    }
    Excerpt { text: text.trim_end().to_owned(), before }
}
