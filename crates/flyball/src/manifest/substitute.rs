//! `${NAME}` and `${NAME:-default}` in text.

use super::Env;

/// A reference that cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Variables that have no default and are not set.
    #[error("{} not set", named(.0))]
    Missing(Vec<String>),
    /// A `${` begins no reference. It is not quoted, for it may stand in a secret.
    #[error("holds '${{' that begins no reference")]
    Malformed,
}

impl BadReference {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Missing(names) => {
                let name = names.first().map_or("NAME", String::as_str);
                let them = if names.len() == 1 { "it" } else { "them" };
                format!("set {them}, or give a default: ${{{name}:-value}}")
            }
            Self::Malformed => "write ${NAME} or ${NAME:-default}; for the two characters themselves write $${".into(),
        }
    }
}

/// Fills in every reference of `text` from `env`. A variable that is set but empty counts as set.
/// A default reaches up to the first `}`; `$${` stands for `${` itself.
///
/// # Errors
/// Names every variable that is missing, or the first piece that is no reference.
pub fn substitute(text: &str, env: &Env<'_>) -> Result<String, BadReference> {
    let mut filled = String::with_capacity(text.len());
    let mut missing = Vec::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Literal(literal) => filled.push_str(literal),
            Piece::Reference { name, default } => match (env(name), default) {
                (Some(value), _) => filled.push_str(&value),
                (None, Some(default)) => filled.push_str(default),
                (None, None) if missing.iter().any(|known| known == name) => {}
                (None, None) => missing.push(name.to_owned()),
            },
        }
    }
    if missing.is_empty() { Ok(filled) } else { Err(BadReference::Missing(missing)) }
}

/// Whether `text` holds a reference at all.
pub(super) fn has_reference(text: &str) -> bool {
    pieces(text).is_ok_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Reference { .. })))
}

/// Whether `text` is one reference without a default, so that showing it gives nothing away.
pub(super) fn sole_reference(text: &str) -> bool {
    pieces(text).is_ok_and(|pieces| matches!(pieces[..], [Piece::Reference { default: None, .. }]))
}

enum Piece<'a> {
    Literal(&'a str),
    Reference { name: &'a str, default: Option<&'a str> },
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, BadReference> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            pieces.push(Piece::Literal(before));
            pieces.push(Piece::Literal("${"));
            rest = &from[2..];
            continue;
        }
        if !before.is_empty() {
            pieces.push(Piece::Literal(before));
        }
        let inside = &from[2..];
        let (reference, after) = reference(inside).ok_or(BadReference::Malformed)?;
        pieces.push(reference);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Reads what follows `${` up to and with its `}`.
fn reference(inside: &str) -> Option<(Piece<'_>, &str)> {
    let (body, after) = inside.split_once('}')?;
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    let first = name.bytes().next()?;
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !first.is_ascii_digit();
    (fits && !body.contains('\n')).then_some((Piece::Reference { name, default }, after))
}

fn named(names: &[String]) -> String {
    match names {
        [name] => format!("environment variable {name} is"),
        _ => format!("environment variables {} are", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn references_are_filled_in_from_the_environment_or_their_default() {
        for (text, filled) in [
            ("x ${A} y", "x one y"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", ""),
            ("${B:-}", ""),
            ("${B:-${A}}", "${A}"),
            ("$${A} $A", "${A} $A"),
            ("${B:-http://h:80/x?a=b}", "http://h:80/x?a=b"),
        ] {
            assert_eq!(substitute(text, &env).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn every_missing_variable_is_named_once() {
        let missing = BadReference::Missing(vec!["B".into(), "C".into()]);
        assert_eq!(substitute("${B} ${C} ${B}", &env), Err(missing.clone()));
        assert_eq!(missing.to_string(), "environment variables B, C are not set");
    }

    #[test]
    fn what_only_looks_like_a_reference_is_refused() {
        for text in ["${1A}", "${}", "${A", "${A-b}", "${A:-b\nc}", "${A B}"] {
            assert_eq!(substitute(text, &env), Err(BadReference::Malformed), "{text}");
        }
    }
}
