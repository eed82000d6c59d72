//! The shapes in which a value can come back.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// A piece of an encoded value shorter than this would be found by chance.
const MIN_PIECE: usize = 8;

/// `value` as it is, and as JSON, URL and base64 encoders write it, each once.
pub(super) fn forms(value: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![Zeroizing::new(value.to_owned()), json(value)];
    for upper in [true, false] {
        for plus in [true, false] {
            forms.push(url(value, upper, plus));
        }
    }
    for alphabet in [STANDARD, URL_SAFE] {
        forms.extend(base64_alone(value.as_bytes(), alphabet));
        for offset in 0..3 {
            forms.extend(base64_piece(value.as_bytes(), offset, alphabet));
        }
    }
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms.dedup();
    forms
}

fn json(value: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::to_string(value).unwrap_or_default());
    Zeroizing::new(quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned())
}

fn url(value: &str, upper: bool, plus: bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 3));
    for byte in value.bytes() {
        let written = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte));
                Ok(())
            }
            b' ' if plus => {
                text.push('+');
                Ok(())
            }
            _ if upper => write!(text, "%{byte:02X}"),
            _ => write!(text, "%{byte:02x}"),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    text
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What base64 makes of `value` alone, with and without its padding.
fn base64_alone(value: &[u8], alphabet: &[u8; 64]) -> [Zeroizing<String>; 2] {
    let mut bare = Zeroizing::new(String::with_capacity(value.len() * 2 + 4));
    for at in (0..value.len() * 8).step_by(6) {
        bare.push(char::from(alphabet[six_bits(value, at)]));
    }
    let mut padded = Zeroizing::new(String::with_capacity(bare.len() + 4));
    padded.push_str(&bare);
    while !padded.len().is_multiple_of(4) {
        padded.push('=');
    }
    [padded, bare]
}

/// The characters that base64 makes of `value` and of nothing else, where `value` stands `offset`
/// bytes after a group's begin with other text around it, as in `user:value`.
fn base64_piece(value: &[u8], offset: usize, alphabet: &[u8; 64]) -> Option<Zeroizing<String>> {
    // The first character that shares no bit with what stands before.
    let first = (6 - (offset * 8) % 6) % 6;
    let mut text = Zeroizing::new(String::with_capacity(value.len() * 2));
    let mut at = first;
    while at + 6 <= value.len() * 8 {
        text.push(char::from(alphabet[six_bits(value, at)]));
        at += 6;
    }
    (text.len() >= MIN_PIECE).then_some(text)
}

/// Six bits of `value` from bit `at`; zeros after its end.
fn six_bits(value: &[u8], at: usize) -> usize {
    let bit = |at: usize| value.get(at / 8).map_or(0, |byte| usize::from((byte >> (7 - at % 8)) & 1));
    (at..at + 6).fold(0, |bits, at| (bits << 1) | bit(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(value: &str, form: &str) -> bool {
        forms(value).iter().any(|known| known.as_str() == form)
    }

    #[test]
    fn every_encoding_of_a_value_is_known() {
        assert!(has("p w/\"1", "p w/\"1"));
        assert!(has("p w/\"1", "p w/\\\"1"));
        assert!(has("p w/\"1", "p%20w%2F%221"));
        assert!(has("p w/\"1", "p+w%2f%221"));
        assert!(has("abcd", "YWJjZA==") && has("abcd", "YWJjZA"));
    }

    #[test]
    fn base64_is_known_wherever_the_value_stands_in_it() {
        // base64 of "correct horse", "u:correct horse" and "us:correct horse".
        for encoded in ["Y29ycmVjdCBob3JzZQ==", "dTpjb3JyZWN0IGhvcnNl", "dXM6Y29ycmVjdCBob3JzZQ=="] {
            let pieces = forms("correct horse");
            assert!(pieces.iter().any(|piece| encoded.contains(piece.as_str())), "{encoded}");
        }
    }

    #[test]
    fn longer_forms_come_first() {
        let lengths: Vec<usize> = forms("a b/c?d=e").iter().map(|form| form.len()).collect();
        assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
    }
}
