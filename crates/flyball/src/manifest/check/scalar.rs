//! Single values: text, numbers, words.

use serde_json::Value;

use super::Checker;
use crate::manifest::diagnostic::quote;
use crate::manifest::secret::MASK;
use crate::manifest::substitute::{has_reference, substitute};
use crate::manifest::table::{Kind, Span, Word};
use crate::manifest::tree::{Data, Node};

impl Checker<'_> {
    pub(super) fn scalar(&mut self, kind: &Kind, node: &Node, path: &str) -> Option<Value> {
        match kind {
            Kind::Bool => self.truth(node, path),
            Kind::Int(min, max) => self.whole(kind, *min, *max, node, path),
            Kind::Float(span) => self.number(kind, span, node, path),
            Kind::Choice(words) => self.choice(words, node, path),
            Kind::SecretSource => self.secret_source(node, path),
            _ => self.plain_text(kind, node, path),
        }
    }

    /// `text` with its references filled in; what cannot be is reported.
    pub(super) fn filled_in(&mut self, text: &str, node: &Node, path: &str) -> Option<String> {
        match substitute(text, self.env) {
            Ok(filled) => Some(filled),
            Err(bad) => {
                self.error(node.place, path, bad.to_string(), Some(bad.help()));
                None
            }
        }
    }

    pub(super) fn wrong_type(&mut self, wanted: &str, node: &Node, path: &str) {
        let found = match &node.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        };
        let scalar = matches!(node.data, Data::Bool(_) | Data::Int(_) | Data::Float(_));
        let help = (wanted == "text" && scalar).then(|| "put it in quotes".to_owned());
        self.error(node.place, path, format!("must be {wanted}, and is {found}"), help);
    }

    fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        let text = node.text();
        if text.is_none() {
            self.wrong_type("text", node, path);
        }
        text
    }

    fn plain_text(&mut self, kind: &Kind, node: &Node, path: &str) -> Option<Value> {
        let text = self.text(node, path)?;
        let filled = self.filled_in(text, node, path)?;
        if filled.is_empty() && !matches!(kind, Kind::Text | Kind::Private) {
            self.error(node.place, path, "must not be empty", None);
            return None;
        }
        if matches!(kind, Kind::Secret | Kind::Private) {
            self.refuse_mask(&filled, node, path)?;
        }
        if matches!(kind, Kind::Secret) && !has_reference(text) {
            self.literal_secret(node, path);
        }
        Some(Value::String(filled))
    }

    fn secret_source(&mut self, node: &Node, path: &str) -> Option<Value> {
        let text = self.text(node, path)?;
        let filled = self.filled_in(text, node, path)?;
        if filled.is_empty() {
            self.error(node.place, path, "must not be empty", None);
            return None;
        }
        self.refuse_mask(&filled, node, path)?;
        if !has_reference(text) {
            self.literal_secret(node, path);
        }
        Some(Value::String(text.to_owned()))
    }

    fn refuse_mask(&mut self, text: &str, node: &Node, path: &str) -> Option<()> {
        if text == MASK {
            let help = "write ${NAME} and set the variable".to_owned();
            self.error(node.place, path, "is a masked secret, as it is shown, and not the secret itself", Some(help));
            return None;
        }
        Some(())
    }

    fn literal_secret(&mut self, node: &Node, path: &str) {
        let help = "write ${NAME} and set the variable".to_owned();
        self.warn(node.place, path, "the secret itself stands in the file", Some(help));
    }

    fn truth(&mut self, node: &Node, path: &str) -> Option<Value> {
        let text = match &node.data {
            Data::Bool(truth) => return Some(Value::Bool(*truth)),
            Data::Text(text) => text,
            _ => {
                self.wrong_type("true or false", node, path);
                return None;
            }
        };
        let filled = self.filled_in(text, node, path)?;
        match filled.as_str() {
            "true" if has_reference(text) => Some(Value::Bool(true)),
            "false" if has_reference(text) => Some(Value::Bool(false)),
            _ => {
                self.unfit("true or false", text, node, path);
                None
            }
        }
    }

    fn whole(&mut self, kind: &Kind, min: i64, max: i64, node: &Node, path: &str) -> Option<Value> {
        let number = match &node.data {
            Data::Int(number) => Some(*number),
            Data::Text(text) => {
                let filled = self.filled_in(text, node, path)?;
                filled.trim().parse().ok().filter(|_| has_reference(text))
            }
            Data::Float(_) => None,
            _ => {
                self.wrong_type("a whole number", node, path);
                return None;
            }
        };
        let Some(number) = number else {
            self.unfit("a whole number", node.text().unwrap_or_default(), node, path);
            return None;
        };
        if (min..=max).contains(&number) {
            return Some(Value::from(number));
        }
        self.out_of_range(kind, &number.to_string(), node, path);
        None
    }

    fn number(&mut self, kind: &Kind, span: &Span, node: &Node, path: &str) -> Option<Value> {
        let number = match &node.data {
            #[expect(clippy::cast_precision_loss, reason = "no setting needs more than 53 bits")]
            Data::Int(number) => Some(*number as f64),
            Data::Float(number) => Some(*number),
            Data::Text(text) => {
                let filled = self.filled_in(text, node, path)?;
                filled.trim().parse().ok().filter(|number: &f64| has_reference(text) && number.is_finite())
            }
            _ => {
                self.wrong_type("a number", node, path);
                return None;
            }
        };
        let Some(number) = number else {
            self.unfit("a number", node.text().unwrap_or_default(), node, path);
            return None;
        };
        if span.holds(number) {
            return Some(Value::from(number));
        }
        self.out_of_range(kind, &number.to_string(), node, path);
        None
    }

    fn choice(&mut self, words: &[Word], node: &Node, path: &str) -> Option<Value> {
        // `version: 1.0` without quotes is a number in YAML; nobody means anything else by it.
        if matches!(node.data, Data::Float(1.0)) && words.iter().any(|word| word.name == "1.0") {
            return Some(Value::from("1.0"));
        }
        let text = self.text(node, path)?;
        let filled = self.filled_in(text, node, path)?;
        match words.iter().find(|word| word.name == filled) {
            Some(Word { name, refused: None }) => Some(Value::from(*name)),
            Some(Word { name, refused: Some(instead) }) => {
                let message = format!("'{name}' is not supported by this version");
                self.error(node.place, path, message, Some((*instead).to_owned()));
                None
            }
            None => {
                let known: Vec<&str> = words.iter().filter(|word| word.refused.is_none()).map(|word| word.name).collect();
                let (wanted, help) = match known[..] {
                    [only] => (format!("'{only}'"), None),
                    _ => (format!("one of {}", known.join(", ")), super::unknown::did_you_mean(&filled, known.iter().copied())),
                };
                let message = format!("must be {wanted}, and is {}", shown(text));
                self.error(node.place, path, message, help);
                None
            }
        }
    }

    fn unfit(&mut self, wanted: &str, text: &str, node: &Node, path: &str) {
        let (found, help) = match &node.data {
            Data::Float(number) => (number.to_string(), None),
            _ if has_reference(text) => (shown(text), None),
            _ => (format!("the text {}", quote(text)), unquoted(wanted, text)),
        };
        self.error(node.place, path, format!("must be {wanted}, and is {found}"), help);
    }

    fn out_of_range(&mut self, kind: &Kind, number: &str, node: &Node, path: &str) {
        let range = kind.range().unwrap_or_default();
        let found = node.text().map_or_else(|| number.to_owned(), shown);
        self.error(node.place, path, format!("must be {range}, and is {found}"), None);
    }
}

/// What is said of a value. One from the environment is not quoted: it may be anything.
fn shown(text: &str) -> String {
    if has_reference(text) { format!("what {} stands for", quote(text)) } else { quote(text) }
}

fn unquoted(wanted: &str, text: &str) -> Option<String> {
    let fits = match wanted {
        "true or false" => matches!(text, "true" | "false"),
        _ => text.trim().parse::<f64>().is_ok_and(f64::is_finite),
    };
    match (fits, wanted, text.to_ascii_lowercase().as_str()) {
        (true, ..) => Some("remove the quotes".to_owned()),
        (_, "true or false", "yes" | "on" | "y") => Some("write `true`".to_owned()),
        (_, "true or false", "no" | "off" | "n") => Some("write `false`".to_owned()),
        _ => None,
    }
}
