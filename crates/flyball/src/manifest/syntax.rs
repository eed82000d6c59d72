//! What was probably meant where a text is no YAML.

use super::tree::Place;

/// Advice for the mistakes that are made most.
pub(super) fn help(text: &str, place: Place) -> Option<String> {
    let line = text.lines().nth(place.line.checked_sub(1)?)?;
    let value = line.split_once(':').map_or(line, |(_, value)| value).trim_start();
    let after_marker = place.line > 1 && text.lines().nth(place.line - 2).is_some_and(|before| before.trim() == "---");
    let advice = if after_marker {
        "a file holds one manifest; put another one in a file of its own"
    } else if line.trim_start_matches(' ').starts_with('\t') {
        "indent by spaces; YAML allows no tabs there"
    } else if value.starts_with('*') || value.starts_with("- *") {
        "put a value that begins with `*` in quotes, such as \"*/5 * * * *\""
    } else if value.starts_with(['@', '%', '`', '&', '!']) {
        "put a value that begins with this character in quotes"
    } else if line.contains("${") && line.contains(['{', '[']) && !line.contains(['"', '\'']) {
        "inside { } put ${NAME} in quotes: \"${NAME}\""
    } else if value.matches(": ").count() > 0 && !value.starts_with(['"', '\'', '{', '[']) {
        "put a value that holds `: ` in quotes"
    } else {
        return None;
    };
    Some(advice.to_owned())
}
