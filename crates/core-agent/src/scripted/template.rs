//! Texts with places that a regex's named groups fill.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a rule's regexes captured, by group name.
pub(super) type Captures = BTreeMap<String, String>;

/// A text with `{{name}}` in it.
#[derive(Debug, Clone)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Capture(String),
    /// `{{name|json}}`, always the only part.
    Json(String),
}

impl Template {
    /// Reads a template; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                parts.push(Part::Text(rest[..start].to_owned()));
            }
            let inner = &rest[start + 2..];
            let end = inner.find("}}").ok_or_else(|| format!("'{{{{' without '}}}}' in \"{text}\""))?;
            parts.push(place(inner[..end].trim())?);
            rest = &inner[end + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.len() > 1 && parts.iter().any(|part| matches!(part, Part::Json(_))) {
            return Err(format!("'|json' works only where it is the whole string, unlike in \"{text}\""));
        }
        Ok(Self { parts })
    }

    /// The groups that must capture something.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Capture(name) | Part::Json(name) => Some(name.as_str()),
        })
    }

    /// The template filled; a JSON value other than a string only for `{{name|json}}`.
    pub(super) fn fill(&self, captures: &Captures) -> Result<Value, String> {
        if let [Part::Json(name)] = self.parts.as_slice() {
            let text = captured(captures, name)?;
            return serde_json::from_str(text)
                .map_err(|error| format!("{{{{{name}|json}}}} captured what is no JSON ({error}): {}", brief(text)));
        }
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Capture(name) | Part::Json(name) => filled.push_str(captured(captures, name)?),
            }
        }
        Ok(Value::String(filled))
    }
}

/// Arguments in whose strings, at any depth, captures are filled in.
#[derive(Debug, Clone)]
pub(super) enum ArgTemplate {
    Plain(Value),
    Text(Template),
    List(Vec<ArgTemplate>),
    Map(Vec<(String, ArgTemplate)>),
}

impl ArgTemplate {
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(Template::parse(text)?),
            Value::Array(items) => Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                let pair = |(key, value): (&String, &Value)| Ok::<_, String>((key.clone(), Self::parse(value)?));
                Self::Map(map.iter().map(pair).collect::<Result<_, _>>()?)
            }
            plain => Self::Plain(plain.clone()),
        })
    }

    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(template) => template.names().collect(),
            Self::List(items) => items.iter().flat_map(Self::names).collect(),
            Self::Map(pairs) => pairs.iter().flat_map(|(_, value)| value.names()).collect(),
        }
    }

    pub(super) fn fill(&self, captures: &Captures) -> Result<Value, String> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(template) => template.fill(captures)?,
            Self::List(items) => Value::Array(items.iter().map(|item| item.fill(captures)).collect::<Result<_, _>>()?),
            Self::Map(pairs) => {
                let pair = |(key, value): &(String, Self)| Ok::<_, String>((key.clone(), value.fill(captures)?));
                Value::Object(pairs.iter().map(pair).collect::<Result<_, _>>()?)
            }
        })
    }
}

fn place(inner: &str) -> Result<Part, String> {
    let (name, filter) = inner.split_once('|').map_or((inner, None), |(name, filter)| (name.trim(), Some(filter.trim())));
    if name.is_empty() {
        return Err("'{{}}' names no capture".to_owned());
    }
    match filter {
        None => Ok(Part::Capture(name.to_owned())),
        Some("json") => Ok(Part::Json(name.to_owned())),
        Some(other) => Err(format!("'{{{{{name}|{other}}}}}' knows no filter '{other}'; there is only 'json'")),
    }
}

fn captured<'a>(captures: &'a Captures, name: &str) -> Result<&'a str, String> {
    captures.get(name).map(String::as_str).ok_or_else(|| format!("the group '{name}' took part in no match"))
}

fn brief(text: &str) -> String {
    crate::text::one_line(text, 80)
}
