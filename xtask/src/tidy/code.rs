//! Rust text with everything blanked that is not code, so that a rule can search it as text.

/// The text without comments, strings and characters; every line keeps its length in bytes.
pub fn only_code(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    let mut at = 0;
    while at < out.len() {
        let end = match literal_or_comment(text, at) {
            Some(end) => {
                blank(&mut out[at..end]);
                end
            }
            None => at + 1,
        };
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Code without the items behind `#[cfg(test)]`; wants what [`only_code`] gave.
pub fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for attribute in ["#[cfg(test", "#[cfg(all(test"] {
        for (start, _) in code.match_indices(attribute) {
            let end = end_of_item(code.as_bytes(), start);
            blank(&mut out[start..end]);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// Where the comment, string or character that begins at `at` ends; `None` if none begins there.
fn literal_or_comment(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => Some(find(bytes, at, b"\n").unwrap_or(bytes.len())),
        b'/' if rest.starts_with(b"/*") => Some(end_of_block_comment(bytes, at)),
        b'"' => Some(end_of_string(bytes, at + 1)),
        b'r' if starts_raw_string(bytes, at) => Some(end_of_raw_string(bytes, at + 1)),
        b'\'' => end_of_character(text, at),
        _ => None,
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// An `r` before `"` or `#"` that is not the end of a name; `br` and `cr` are prefixes.
fn starts_raw_string(bytes: &[u8], at: usize) -> bool {
    let name = |at: usize| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_';
    let before = match at {
        0 => None,
        _ if matches!(bytes[at - 1], b'b' | b'c') => at.checked_sub(2),
        _ => Some(at - 1),
    };
    let hashes = bytes[at + 1..].iter().take_while(|&&byte| byte == b'#').count();
    before.is_none_or(|before| !name(before)) && bytes.get(at + 1 + hashes) == Some(&b'"')
}

fn end_of_raw_string(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    find(bytes, at + hashes + 1, &close).map_or(bytes.len(), |end| end + close.len())
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn end_of_character(text: &str, at: usize) -> Option<usize> {
    let mut rest = text[at + 1..].char_indices();
    let (_, first) = rest.next()?;
    if first == '\\' {
        // The escaped character may itself be a quote.
        rest.next();
        return rest.find(|(_, c)| *c == '\'').map(|(end, _)| at + 1 + end + 1);
    }
    let (end, second) = rest.next()?;
    (second == '\'').then_some(at + 1 + end + 1)
}

/// The end of the item behind an attribute: its `;`, or the brace that closes its first one.
fn end_of_item(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squeezed(text: &str) -> String {
        only_code(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_go_and_code_stays() {
        assert_eq!(squeezed("a(); // b()\n/* c() /* d() */ e() */ f(); /// g()"), "a(); f();");
    }

    #[test]
    fn strings_of_every_kind_go() {
        assert_eq!(
            squeezed(r###"a("b\"c", r"d", r#"e"f"#, br"g", b"h", 'i', '"', '\'', '\u{1f}')"###),
            "a( , , , b , b , , , , )"
        );
    }

    #[test]
    fn lifetimes_and_names_that_end_in_r_stay() {
        assert_eq!(squeezed("fn a<'b>(c: &'b str) { var \"x\" }"), "fn a<'b>(c: &'b str) { var }");
    }

    #[test]
    fn positions_do_not_move() {
        let text = "let a = \"ü\n\"; // é\nb();\n";
        let code = only_code(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.find("b();"), text.find("b();"));
    }

    #[test]
    fn items_behind_cfg_test_go() {
        let code = "a();\n#[cfg(test)]\nmod tests { fn b() { c() } }\n#[cfg(test)]\nmod more;\nd();";
        assert_eq!(without_tests(code).split_whitespace().collect::<Vec<_>>(), ["a();", "d();"]);
    }
}
