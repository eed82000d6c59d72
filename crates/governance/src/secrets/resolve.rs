//! Variables of the environment inside a text.

use zeroize::Zeroizing;

/// A variable that a text names, that is not set, and that has no default.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("names the environment variable {0}, which is not set: set it, or write ${{{0}:-default}}")]
pub struct MissingVariable(pub String);

/// `text` with every `${VAR}` and `${VAR:-default}` in it replaced by what `env` says.
///
/// A variable that is set counts though it is empty. A default reaches to the first `}` and holds no
/// line break; what does not have this form stays as it is. What is put in is not looked at again.
pub fn resolve_text(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Zeroizing<String>, MissingVariable> {
    let mut resolved = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        resolved.push_str(before);
        match reference(from) {
            Some((name, default, length)) => {
                let value = env(name).map(Zeroizing::new);
                let text = value.as_ref().map(|value| value.as_str()).or(default);
                resolved.push_str(text.ok_or_else(|| MissingVariable(name.to_owned()))?);
                rest = &from[length..];
            }
            None => {
                resolved.push_str("${");
                rest = &from[2..];
            }
        }
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// The name, the default and the length of the reference with which `text` begins.
fn reference(text: &str) -> Option<(&str, Option<&str>, usize)> {
    let inner = &text[2..text.find('}')?];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let mut chars = name.chars();
    let named =
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    (named && !inner.contains('\n')).then_some((name, default, inner.len() + 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<String, MissingVariable> {
        let env = |name: &str| match name {
            "HOST" => Some("example.org".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        resolve_text(text, &env).map(|text| text.as_str().to_owned())
    }

    #[test]
    fn variables_are_put_in_wherever_they_stand() {
        assert_eq!(resolved("https://${HOST}/${NONE:-v1}?x=${EMPTY:-no}").as_deref(), Ok("https://example.org/v1?x="));
        assert_eq!(resolved("plain").as_deref(), Ok("plain"));
    }

    #[test]
    fn what_only_looks_like_a_variable_stays() {
        for text in ["${", "${1}", "${A B}", "$HOST", "${HOST", "${}", "${A:-x\ny}"] {
            assert_eq!(resolved(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(resolved("${NONE}"), Err(MissingVariable("NONE".into())));
    }
}
