//! Putting foreign text into our own.

/// The first `max` characters of `text`, without control characters and quotation marks, so that
/// what a drop holds can be quoted in one line of a log, an error or a JSON string.
pub fn clip(text: &str, max: usize) -> String {
    let mut clean = text.chars().map(|c| match c {
        '"' => '\'',
        c if c.is_control() => ' ',
        c => c,
    });
    let mut clipped: String = clean.by_ref().take(max).collect();
    if clean.next().is_some() {
        clipped.push('…');
    }
    clipped
}
