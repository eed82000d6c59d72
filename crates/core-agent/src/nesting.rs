//! How deep JSON may be nested that comes from outside.
//!
//! Parsers stop at some 128 levels, and what comes in is wrapped in further ones before it is written
//! down. So there is a limit where it comes in: whatever was taken can be read back.

use serde_json::Value;

/// So many lists and objects may lie in each other.
pub const MAX_NESTING: usize = 64;

/// How many lists and objects lie in each other at the deepest place of `json`, without parsing it. Of what
/// is no JSON it counts the brackets that are open.
pub fn levels(json: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    most
}

/// Goes on behind the quote that ends a text.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

/// Whether `value` keeps to [`MAX_NESTING`].
pub fn fits(value: &Value) -> bool {
    fits_in(value, MAX_NESTING)
}

fn fits_in(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits_in(item, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|value| fits_in(value, levels - 1)),
        _ => true,
    }
}

/// `value` as it is, or as a text where it is nested too deep.
pub fn flattened(value: Value) -> Value {
    if fits(&value) { value } else { Value::String(value.to_string()) }
}

/// What is said of a value that does not [fit](fits).
pub fn refusal() -> String {
    format!("it is nested too deep: at most {MAX_NESTING} lists and objects may lie in each other")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, level| if level % 2 == 0 { json!([1, inner]) } else { json!({"a": inner, "b": 1}) })
    }

    #[test]
    fn brackets_count_where_they_are_no_text() {
        for (text, counted) in [
            ("", 0),
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[1,{"b":[]}],"c":[[]]}"#, 4),
            (r#"["[[[[", "\"[[[", "\\", [], "]]"]"#, 2),
            ("[[[", 3),
            ("]]][", 1),
            (r#"["unfinished\"#, 1),
        ] {
            assert_eq!(levels(text.as_bytes()), counted, "{text}");
        }
        assert_eq!(levels(nested(90).to_string().as_bytes()), 90);
    }

    #[test]
    fn the_limit_is_the_same_for_a_value_and_for_its_text() {
        for count in [1, MAX_NESTING - 1, MAX_NESTING, MAX_NESTING + 1, 120] {
            let value = nested(count);
            assert_eq!(fits(&value), levels(value.to_string().as_bytes()) <= MAX_NESTING, "{count}");
            assert_eq!(flattened(value.clone()) == value, fits(&value));
        }
    }
}
