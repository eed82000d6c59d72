//! One rule: when it matches, and what it answers.

use regex::Regex;
use serde_json::Value;

use super::shown::Shown;
use super::template::{ArgTemplate, Captures, Template};
use crate::{Reply, WantedCall, nesting};

/// A rule that was checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) line: u64,
    pub(super) when: When,
    pub(super) call: Vec<Call>,
    pub(super) say: Option<Template>,
}

/// Its conditions.
#[derive(Debug, Default)]
pub(super) struct When {
    pub(super) process: Option<String>,
    pub(super) step: Option<String>,
    pub(super) trigger: Option<Vec<String>>,
    pub(super) after: Option<String>,
    pub(super) result: Option<Regex>,
    pub(super) event: Option<Regex>,
    pub(super) shown: Option<Regex>,
}

/// A call it makes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) args: ArgTemplate,
}

impl Rule {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What the regexes captured if every condition holds.
    pub(super) fn matches(&self, shown: &Shown<'_>) -> Option<Captures> {
        self.when.matches(shown)
    }

    /// The answer; the error says which capture is missing or is not what it should be.
    pub(super) fn answer(&self, shown: &Shown<'_>, captures: &Captures) -> Result<Reply, String> {
        let text = match &self.say {
            Some(template) => as_text(template.fill(captures)?),
            None => String::new(),
        };
        let mut calls = Vec::with_capacity(self.call.len());
        for (index, call) in self.call.iter().enumerate() {
            let id = format!("call_{}_{index}", shown.turn.step);
            calls.push(WantedCall { id, name: call.tool.clone(), args: nesting::flattened(call.args.fill(captures)?) });
        }
        let said = calls.iter().fold(text.clone(), |said, call| format!("{said} {} {}", call.name, call.args));
        Ok(Reply { text, calls, usage: shown.usage(&said), ..Reply::default() })
    }
}

impl When {
    /// The regexes that are given, by the name of their condition.
    pub(super) fn regexes(&self) -> impl Iterator<Item = (&'static str, &Regex)> {
        let all = [("result", &self.result), ("event", &self.event), ("shown", &self.shown)];
        all.into_iter().filter_map(|(condition, regex)| Some((condition, regex.as_ref()?)))
    }

    fn matches(&self, shown: &Shown<'_>) -> Option<Captures> {
        let mut captures = Captures::new();
        let holds = is(self.process.as_deref(), shown.turn.run.process())
            && is(self.step.as_deref(), &shown.turn.step.0)
            && self.trigger_holds(shown)
            && self.answers_hold(shown, &mut captures)
            && optional(self.event.as_ref(), shown.event, &mut captures)
            && optional(self.shown.as_ref(), &shown.all, &mut captures);
        holds.then_some(captures)
    }

    fn trigger_holds(&self, shown: &Shown<'_>) -> bool {
        let Some(kinds) = &self.trigger else { return true };
        shown.fresh_trigger.is_some_and(|fired| kinds.iter().any(|kind| kind == fired))
    }

    fn answers_hold(&self, shown: &Shown<'_>, captures: &mut Captures) -> bool {
        if self.after.is_none() && self.result.is_none() {
            return true;
        }
        let mut answers = shown.answers.iter().filter(|(tool, _)| is(self.after.as_deref(), tool));
        match &self.result {
            None => answers.next().is_some(),
            Some(regex) => answers.any(|(_, text)| capture(regex, text, captures)),
        }
    }
}

fn is(wanted: Option<&str>, found: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

fn optional(regex: Option<&Regex>, text: &str, captures: &mut Captures) -> bool {
    regex.is_none_or(|regex| capture(regex, text, captures))
}

fn capture(regex: &Regex, text: &str, captures: &mut Captures) -> bool {
    let Some(found) = regex.captures(text) else { return false };
    for name in regex.capture_names().flatten() {
        if let Some(group) = found.name(name) {
            captures.insert(name.to_owned(), group.as_str().to_owned());
        }
    }
    true
}

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
