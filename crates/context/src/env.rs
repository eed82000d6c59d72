//! Environment variables that the agent may know.

use std::collections::BTreeMap;
use std::ffi::OsString;

use flyball_core_agent::text;

/// The environment variables whose names begin with a prefix, the prefix kept.
///
/// What looks like a secret is named and never shown: its value is not even kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvView {
    /// `None` where the value is withheld.
    variables: BTreeMap<String, Option<String>>,
}

/// Variables shown; a prefix that is too short must not put a whole environment into every prompt.
const MAX_VARIABLES: usize = 64;

/// A value is shown with this many characters.
const MAX_VALUE_CHARS: usize = 200;

/// A variable with one of these in its name holds a secret.
const SECRET_NAMES: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL"];

impl EnvView {
    /// The variables of this process's environment, as they are now.
    pub fn of_process(prefix: &str) -> Self {
        Self::new(prefix, std::env::vars_os())
    }

    /// Those of `variables` whose names begin with `prefix`; the first 64 by name. Names and values that are not Unicode are
    /// left out.
    pub fn new(prefix: &str, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let wanted = named.filter(|(name, _)| name.starts_with(prefix));
        let mut variables: BTreeMap<_, _> =
            wanted.filter_map(|(name, value)| Some((name.clone(), shown(&name, value.into_string().ok()?)))).collect();
        while variables.len() > MAX_VARIABLES {
            variables.pop_last();
        }
        Self { variables }
    }

    /// The value of a variable, if it is there and not withheld.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.as_deref()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// One line a variable.
    pub fn describe(&self) -> String {
        let lines: Vec<String> = self
            .variables
            .iter()
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={}", text::one_line(value, MAX_VALUE_CHARS)),
                None => format!("{name} (set; its value is withheld)"),
            })
            .collect();
        lines.join("\n")
    }
}

fn shown(name: &str, value: String) -> Option<String> {
    let name = name.to_uppercase();
    let secret = SECRET_NAMES.iter().any(|part| name.contains(part)) || has_credentials(&value);
    (!secret).then_some(value)
}

/// `scheme://user:password@host`, as database URLs have it.
fn has_credentials(value: &str) -> bool {
    value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.contains('@')
    })
}
