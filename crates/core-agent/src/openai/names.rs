//! Tool names that OpenAI's protocol refuses, there and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ToolSpec;

/// The protocol's limit for a function's name, in characters.
const MAX_NAME: usize = 64;

/// Our tool names and those on the wire, which match `^[a-zA-Z0-9_-]{1,64}$`.
pub(super) struct Names {
    to_wire: BTreeMap<String, String>,
    to_ours: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(tools: &[Arc<ToolSpec>]) -> Self {
        let mut names = Self { to_wire: BTreeMap::new(), to_ours: BTreeMap::new() };
        // Names that may stay as they are come first, so that no other is mapped onto them.
        let (fine, odd): (Vec<&str>, Vec<&str>) = tools.iter().map(|tool| tool.name.as_str()).partition(|name| is_fine(name));
        for name in fine {
            names.add(name, name.to_owned());
        }
        for name in odd {
            let plain = mapped(name);
            let wire = if names.to_ours.contains_key(&plain) { with_hash(&plain, name) } else { plain };
            names.add(name, wire);
        }
        names
    }

    /// The name on the wire. A tool that is no longer listed, from the history, is mapped too.
    pub(super) fn wire(&self, ours: &str) -> String {
        match self.to_wire.get(ours) {
            Some(wire) => wire.clone(),
            None if is_fine(ours) => ours.to_owned(),
            None => mapped(ours),
        }
    }

    /// Our name; what the model made up stays as it is, so that the loop can say that there is no such tool.
    pub(super) fn ours(&self, wire: &str) -> String {
        self.to_ours.get(wire).cloned().unwrap_or_else(|| wire.to_owned())
    }

    fn add(&mut self, ours: &str, wire: String) {
        self.to_ours.insert(wire.clone(), ours.to_owned());
        self.to_wire.insert(ours.to_owned(), wire);
    }
}

fn is_fine(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_allowed)
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn mapped(name: &str) -> String {
    let plain: String = name.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    match plain.len() {
        0 => "_".to_owned(),
        1..=MAX_NAME => plain,
        _ => with_hash(&plain, name),
    }
}

fn with_hash(plain: &str, name: &str) -> String {
    let hash = crate::short_hash(name.as_bytes());
    let keep = plain.len().min(MAX_NAME - hash.len() - 1);
    format!("{}_{hash}", &plain[..keep])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(name: &str) -> ToolSpec {
        ToolSpec { name: name.into(), description: String::new(), parameters: json!({}), effect: None, reconcile: None }
    }

    #[test]
    fn every_name_fits_the_protocol_and_comes_back() {
        let long = "x".repeat(80);
        let ours = ["plain", "files:read", "files_read", "files.read", "é", &long];
        let names = Names::new(&ours.map(|name| Arc::new(tool(name))));
        let wires: std::collections::BTreeSet<String> = ours.iter().map(|name| names.wire(name)).collect();
        assert_eq!(wires.len(), ours.len(), "{wires:?}");
        assert!(wires.iter().all(|wire| is_fine(wire)), "{wires:?}");
        assert!(ours.iter().all(|name| names.ours(&names.wire(name)) == *name));
        assert_eq!(names.wire("plain"), "plain");
    }
}
