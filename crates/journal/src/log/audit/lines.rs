//! A segment's lines with their places.

/// A line that is not blank.
pub struct Placed<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, without the newline.
    pub text: &'a [u8],
    /// It ends in a newline, as every line that was written whole does.
    pub whole: bool,
    /// Blank lines stand between it and the line before.
    pub after_blank: bool,
}

/// The lines of a segment that are not blank.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = Placed<'_>> {
    let mut offset = 0;
    let mut blank = false;
    (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')).filter_map(move |(number, line)| {
        let start = offset;
        offset += line.len() as u64;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        if text.is_empty() {
            blank = true;
            return None;
        }
        let after_blank = std::mem::take(&mut blank);
        Some(Placed { number, offset: start, text, whole: text.len() < line.len(), after_blank })
    })
}
