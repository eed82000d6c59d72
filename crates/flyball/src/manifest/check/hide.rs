//! What of a file must not be shown beside a mistake.

use super::Checker;
use crate::manifest::config::SECRETS;
use crate::manifest::source::secret_looking;
use crate::manifest::substitute::sole_reference;
use crate::manifest::table::Kind;
use crate::manifest::tree::{Data, Node};

impl Checker<'_> {
    /// Hides every value below `node` that is hidden by its kind. What is only a reference may be seen.
    pub(super) fn hide(&mut self, kind: &Kind, node: &Node) {
        match (kind, &node.data) {
            (Kind::Map(of), Data::Map(entries)) => entries.iter().for_each(|entry| self.hide(of, &entry.value)),
            (Kind::List(of) | Kind::OneOrList(of), Data::List(items)) => items.iter().for_each(|item| self.hide(of, item)),
            // Its own keys are looked at when it is read.
            (Kind::Section(_), _) => {}
            (Kind::List(of) | Kind::Map(of), _) if matches!(of, Kind::Section(_)) => {}
            _ if kind.is_hidden() => self.hide_all(node),
            _ => {}
        }
    }

    /// Hides what looks like a secret by its key, wherever it stands: a mistake beside it must not show it.
    pub fn hide_by_looks(&mut self, node: &Node) {
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| self.hide_by_looks(item)),
            Data::Map(entries) => {
                for entry in entries {
                    let scope = entry.key == "secrets" && SECRETS.keys.iter().any(|key| entry.value.get(key.name).is_some());
                    let private = secret_looking(&entry.key) || matches!(entry.key.as_str(), "headers" | "env");
                    if private && !scope {
                        self.hide_all(&entry.value);
                    }
                    self.hide_by_looks(&entry.value);
                }
            }
            _ => {}
        }
    }

    pub(super) fn hide_all(&mut self, node: &Node) {
        match &node.data {
            Data::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            Data::Map(entries) => entries.iter().for_each(|entry| self.hide_all(&entry.value)),
            Data::Text(text) if sole_reference(text) => {}
            Data::Bool(_) | Data::Null => {}
            _ => self.hidden.push(node.bytes.clone()),
        }
    }
}
