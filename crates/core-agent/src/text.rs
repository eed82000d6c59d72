//! Cutting text to a size.

/// `text`, cut to at most `max` characters, with a last line that says how much is missing.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => {
            let missing = text[end..].chars().count();
            format!("{}\n[... truncated {missing} characters ...]", &text[..end])
        }
    }
}

/// The first line's first `max` characters, with an ellipsis where something was cut.
pub fn one_line(text: &str, max: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(max) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
