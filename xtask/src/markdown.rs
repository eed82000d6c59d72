//! As much of Markdown as links need.

use std::ops::Range;

/// Where a link leads, and where in the text that is written.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// Counted from 1.
    pub line: usize,
    /// The bytes of `target` in the text.
    pub at: Range<usize>,
    pub target: String,
}

/// What a link's target is, before anything is looked up.
#[derive(Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// Outside of the repository: a scheme, or a name for rustdoc.
    Elsewhere,
    /// A path as written (empty: this file), and the heading after `#`.
    Inside { path: &'a str, heading: Option<&'a str> },
}

/// Splits a target. Rust paths (`crate::Layer`) are rustdoc's to check.
pub fn target(target: &str) -> Target<'_> {
    if target.contains("::") || target.contains("://") || target.starts_with("mailto:") {
        return Target::Elsewhere;
    }
    match target.split_once('#') {
        Some((path, heading)) => Target::Inside { path, heading: Some(heading) },
        None => Target::Inside { path: target, heading: None },
    }
}

/// Every inline link, image and link definition outside of code.
pub fn links(text: &str) -> Vec<Link> {
    let prose = without_code(text);
    let mut found = Vec::new();
    let mut line_start = 0;
    for (number, line) in prose.split_inclusive('\n').enumerate() {
        for range in targets_of(line) {
            let at = line_start + range.start..line_start + range.end;
            found.push(Link { line: number + 1, target: text[at.clone()].to_owned(), at });
        }
        line_start += line.len();
    }
    found
}

/// The ids that headings get in a rendered page.
pub fn headings(text: &str) -> Vec<String> {
    let prose = without_fences(text);
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| slug(line.trim_start_matches('#').trim())).collect()
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn targets_of(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = line[from..].find("](") {
        let start = from + at + 2;
        let length = target_length(&line[start..]);
        found.push(start..start + length);
        from = start + length;
    }
    // A definition: `[name]: target`.
    if line.starts_with('[')
        && let Some(at) = line.find("]: ")
    {
        let start = at + 3;
        let length = line[start..].find(char::is_whitespace).unwrap_or(line.len() - start);
        found.push(start..start + length);
    }
    found.retain(|range| !range.is_empty());
    found
}

/// Up to the closing parenthesis or the title, with parentheses inside allowed in pairs.
fn target_length(rest: &str) -> usize {
    let mut open = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => open += 1,
            ')' if open == 0 => return at,
            ')' => open -= 1,
            c if c.is_whitespace() => return at,
            _ => {}
        }
    }
    rest.len()
}

/// The text with code replaced by blanks of the same length, so that positions stay true.
fn without_code(text: &str) -> String {
    let mut out = without_fences(text).into_bytes();
    let mut at = 0;
    while let Some(start) = (at..out.len()).find(|&i| out[i] == b'`') {
        let ticks = run_of_ticks(&out, start);
        match closing_ticks(&out, start + ticks, ticks) {
            Some(end) => {
                blank(&mut out[start..end]);
                at = end;
            }
            None => at = start + ticks,
        }
    }
    into_text(out)
}

fn without_fences(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut fence: Option<&str> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let marker = ["```", "~~~"].into_iter().find(|marker| line.trim_start().starts_with(marker));
        let inside = fence.is_some() || marker.is_some();
        match (fence, marker) {
            (None, Some(marker)) => fence = Some(marker),
            (Some(open), Some(marker)) if open == marker => fence = None,
            _ => {}
        }
        if inside {
            blank(&mut out[start..start + line.len()]);
        }
        start += line.len();
    }
    into_text(out)
}

fn run_of_ticks(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().take_while(|&&byte| byte == b'`').count()
}

/// The end of the next run of exactly `ticks` in the same paragraph.
fn closing_ticks(bytes: &[u8], from: usize, ticks: usize) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'`' => {
                let run = run_of_ticks(bytes, at);
                at += run;
                if run == ticks {
                    return Some(at);
                }
            }
            b'\n' if bytes.get(at + 1) == Some(&b'\n') => return None,
            _ => at += 1,
        }
    }
    None
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Only whole characters are ever blanked, so nothing is lost here.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(text: &str) -> Vec<String> {
        links(text).into_iter().map(|link| link.target).collect()
    }

    #[test]
    fn links_images_and_definitions_are_found_with_their_place() {
        let text = "a [b](c.md \"title\")\n![d](e(1).png)\n[f]: g.md#h\n";
        let found = links(text);
        assert_eq!(targets(text), ["c.md", "e(1).png", "g.md#h"]);
        assert_eq!(found.iter().map(|link| link.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(found.iter().all(|link| text[link.at.clone()] == link.target));
    }

    #[test]
    fn code_holds_no_links() {
        assert!(targets("```text\n[a](b.md)\n```\nand `[c](d.md)` and ``[e](`f`)``\n").is_empty());
    }

    #[test]
    fn a_link_whose_text_is_code_is_a_link() {
        assert_eq!(targets("[`ü`](d.md)"), ["d.md"]);
    }

    #[test]
    fn a_lone_backtick_hides_nothing() {
        assert_eq!(targets("a ` tick\n\n[b](c.md) ` another"), ["c.md"]);
    }

    #[test]
    fn targets_elsewhere_are_told_from_those_inside() {
        assert_eq!(target("https://example.org/a.md"), Target::Elsewhere);
        assert_eq!(target("crate::Layer"), Target::Elsewhere);
        assert_eq!(target("#here"), Target::Inside { path: "", heading: Some("here") });
        assert_eq!(target("a/b.md"), Target::Inside { path: "a/b.md", heading: None });
    }

    #[test]
    fn headings_get_the_ids_of_a_rendered_page() {
        let text = "# The `Layer` trait, again\n```sh\n# a comment\n```\n## One-two\n";
        assert_eq!(headings(text), ["the-layer-trait-again", "one-two"]);
    }
}
