//! Reading and checking a script.

mod form;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use regex::Regex;
use serde_saphyr::{Location, Spanned};

use super::Error;
use super::rule::{Call, Rule, When};
use super::template::{ArgTemplate, Template};
use form::{CallForm, RuleForm, ScriptForm, WhenForm};

/// A script longer than this is a mistake.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;

/// A name is suggested if it is at least this like the one that was written.
const LIKE_ENOUGH: f64 = 0.7;

pub(super) fn file(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_SCRIPT_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_SCRIPT_BYTES {
        return Err(unreadable(std::io::Error::other("it is longer than 1 MiB")));
    }
    Ok(text)
}

pub(super) fn rules(text: &str, name: &str) -> Result<Vec<Rule>, Error> {
    let script: ScriptForm = serde_saphyr::from_str(text).map_err(|error| unparsed(&error, text, name))?;
    let mut rules = Vec::with_capacity(script.rules.len());
    for (index, form) in script.rules.into_iter().enumerate() {
        rules.push(Reader::new(name, index, &form).rule(form)?);
    }
    Ok(rules)
}

/// Checks one rule, and knows how to say where it is.
struct Reader<'a> {
    file: &'a str,
    rule: String,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str, index: usize, form: &Spanned<RuleForm>) -> Self {
        let rule = form.value.name.clone().unwrap_or_else(|| format!("number {}", index + 1));
        Self { file, rule }
    }

    fn rule(&self, form: Spanned<RuleForm>) -> Result<Rule, Error> {
        let place = form.referenced;
        let RuleForm { name: _, when, call, say } = form.value;
        if call.is_empty() && say.is_none() {
            return Err(self.error(place, "it neither calls a tool (call:) nor says anything (say:)"));
        }
        let when = self.when(when)?;
        let captured = self.captured(&when, place)?;
        let call = call.into_iter().map(|call| self.call(call, &captured)).collect::<Result<_, _>>()?;
        let say = say.map(|say| self.say(&say, &captured)).transpose()?;
        Ok(Rule { name: self.rule.clone(), line: place.line(), when, call, say })
    }

    fn when(&self, form: WhenForm) -> Result<When, Error> {
        let regex = |condition: &str, text: Option<Spanned<String>>| {
            let compile = |text: Spanned<String>| {
                Regex::new(&text.value).map_err(|error| self.error(text.referenced, &format!("{condition}: {error}")))
            };
            text.map(compile).transpose()
        };
        Ok(When {
            process: form.process,
            step: form.step,
            trigger: form.trigger.map(|kinds| kinds.0),
            after: form.after,
            result: regex("result", form.result)?,
            event: regex("event", form.event)?,
            shown: regex("shown", form.shown)?,
        })
    }

    /// The names that the rule's regexes capture; no two regexes may share one.
    fn captured(&self, when: &When, place: Location) -> Result<Vec<String>, Error> {
        let mut owners = BTreeMap::new();
        for (condition, regex) in when.regexes() {
            for group in regex.capture_names().flatten() {
                if let Some(first) = owners.insert(group.to_owned(), condition) {
                    let message = format!("both {first}: and {condition}: capture '{group}'; rename one of them");
                    return Err(self.error(place, &message));
                }
            }
        }
        Ok(owners.into_keys().collect())
    }

    fn call(&self, form: CallForm, captured: &[String]) -> Result<Call, Error> {
        let place = form.args.as_ref().map_or(form.tool.referenced, |args| args.referenced);
        let value = form.args.map_or_else(|| serde_json::Value::Object(serde_json::Map::new()), |args| args.value.into());
        let args = ArgTemplate::parse(&value).map_err(|message| self.error(place, &format!("args: {message}")))?;
        self.all_captured("args", &args.names(), captured, place)?;
        Ok(Call { tool: form.tool.value, args })
    }

    fn say(&self, text: &Spanned<String>, captured: &[String]) -> Result<Template, Error> {
        let template = Template::parse(&text.value).map_err(|message| self.error(text.referenced, &format!("say: {message}")))?;
        let names: Vec<&str> = template.names().collect();
        self.all_captured("say", &names, captured, text.referenced)?;
        Ok(template)
    }

    fn all_captured(&self, field: &str, names: &[&str], captured: &[String], place: Location) -> Result<(), Error> {
        let Some(name) = names.iter().find(|name| !captured.iter().any(|known| known == *name)) else { return Ok(()) };
        let known: Vec<&str> = captured.iter().map(String::as_str).collect();
        let hint = suggestion(name, &known);
        Err(self.error(place, &format!("{field}: no regex of this rule captures '{name}'{hint}")))
    }

    fn error(&self, place: Location, message: &str) -> Error {
        Error::Invalid {
            name: self.file.to_owned(),
            line: place.line(),
            column: place.column(),
            rule: Some(self.rule.clone()),
            message: message.to_owned(),
        }
    }
}

fn unparsed(error: &serde_saphyr::Error, text: &str, name: &str) -> Error {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let message = match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field '{field}'{}; there are: {}", suggestion(field, expected), expected.join(", "))
        }
        serde_saphyr::Error::SerdeMissingField { field, .. } => format!("the field '{field}' is missing"),
        other => other.to_string(),
    };
    let rule = rule_around(text, place.line());
    Error::Invalid { name: name.to_owned(), line: place.line(), column: place.column(), rule, message }
}

/// The name of the rule around `line`, read from the text because the YAML around it did not parse.
fn rule_around(text: &str, line: u64) -> Option<String> {
    let upto = usize::try_from(line).ok()?;
    let names = text.lines().take(upto).filter_map(|line| line.trim().strip_prefix("- name:"));
    names.last().map(|name| name.trim().trim_matches(['"', '\'']).to_owned())
}

fn suggestion(written: &str, known: &[&str]) -> String {
    let likeness = |name: &&str| strsim::jaro_winkler(written, name);
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|name| likeness(name) >= LIKE_ENOUGH) {
        Some(name) => format!(" (did you mean '{name}'?)"),
        None => String::new(),
    }
}
