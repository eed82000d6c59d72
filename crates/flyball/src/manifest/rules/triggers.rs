//! Triggers: each is held against its own checks, and webhooks against each other.

use std::path::Path;
use std::sync::Arc;

use flyball_core_agent::SystemClock;
use flyball_triggers::{Cron, Error, FileWatchConfig, FileWatchTrigger, Filter, Pattern, WebhookTrigger};

use super::Rules;
use crate::manifest::check::Checker;
use crate::manifest::config::{TriggerConfig, TriggerKind};
use crate::manifest::merge::locate;

/// Where a webhook listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manifest) struct Hook {
    /// Which trigger it is.
    pub index: usize,
    pub host: String,
    pub port: u16,
    pub path: String,
}

/// The webhooks among `triggers`.
pub(in crate::manifest) fn hooks(triggers: &[TriggerConfig]) -> Vec<Hook> {
    let webhooks = triggers.iter().enumerate().filter(|(_, trigger)| trigger.kind == TriggerKind::Webhook);
    let hook = |(index, trigger): (usize, &TriggerConfig)| Hook {
        index,
        host: trigger.webhook_host.replace("localhost", "127.0.0.1"),
        port: trigger.webhook_port,
        path: trigger.webhook_path.clone(),
    };
    webhooks.map(hook).collect()
}

/// Why both cannot be, if so, as the field at fault, what is wrong and what helps. Webhooks share an
/// address; they cannot share a path on it, and a port of all addresses is open but once.
pub(in crate::manifest) fn clash(one: &Hook, other: &Hook) -> Option<(&'static str, String, &'static str)> {
    let any = |host: &str| matches!(host, "0.0.0.0" | "::");
    if one.port != other.port {
        None
    } else if one.host == other.host {
        let message = format!("{} on port {} is taken already", other.path, other.port);
        (one.path == other.path).then_some(("webhook_path", message, "give each webhook on a port a path of its own"))
    } else {
        let message = format!("{} is taken already on another address", other.port);
        let help = "give both the same webhook_host, or ports of their own";
        (any(&one.host) || any(&other.host)).then_some(("webhook_port", message, help))
    }
}

/// What a webhook says of where it listens stands in the file as it is meant. In place of a value that was wrong
/// there is the default, with which nothing can clash.
pub(in crate::manifest) fn is_told(checker: &Checker<'_>, hook: &Hook) -> bool {
    let wrong = |key: &str| {
        let (field, _) = locate(checker, &format!("triggers[{}].{key}", hook.index));
        checker.errors.iter().any(|error| error.field == field)
    };
    !["webhook_port", "webhook_path", "webhook_host"].into_iter().any(wrong)
}

/// Of six fields that end in `*`, and so may be meant with the seconds first as in Quartz and Spring: the same with the
/// seconds last. `* * * * * *` is what it looks like, either way.
fn seconds_last(expression: &str) -> Option<String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [seconds, rest @ ..] = &fields[..] else { return None };
    let suspicious = fields.len() == 6 && fields[5] == "*" && fields.iter().any(|field| *field != "*");
    suspicious.then(|| format!("{} {seconds}", rest.join(" ")))
}

/// The keys of a trigger's payload, where they are always the same.
fn keys(kind: TriggerKind) -> Option<&'static [&'static str]> {
    match kind {
        TriggerKind::Cron => Some(&["scheduled_time", "cron_expression", "timezone"]),
        TriggerKind::FileWatch => Some(&["path", "filename", "event_type", "event_types"]),
        TriggerKind::Event => Some(&["event_type", "event_id", "source", "data"]),
        TriggerKind::Message => Some(&["topic", "message_id", "sender", "content"]),
        TriggerKind::Webhook => None,
    }
}

/// A schedule.
const EVERY_MINUTE: &str = "* * * * *";

impl Rules<'_, '_> {
    pub(super) fn triggers(&mut self, triggers: &[TriggerConfig], dir: &Path) {
        if triggers.is_empty() {
            self.doubt("triggers", "there are none, so the agent runs only when it is told to", "tell it by `flyball fire NAME`");
        }
        for (index, trigger) in triggers.iter().enumerate() {
            let path = format!("triggers[{index}]");
            match trigger.kind {
                TriggerKind::Cron => self.cron(&path, trigger),
                TriggerKind::Webhook => self.outcome(&path, webhook(trigger)),
                TriggerKind::FileWatch => self.outcome(&path, file_watch(trigger, dir)),
                TriggerKind::Event => self.pattern(&format!("{path}.event_type"), trigger.event_type.as_ref()),
                TriggerKind::Message => self.pattern(&format!("{path}.topic"), trigger.topic.as_ref()),
            }
            if let Some(expression) = &trigger.filter_expression {
                self.filter(&path, trigger.kind, expression);
            }
        }
        let hooks: Vec<Hook> = hooks(triggers).into_iter().filter(|hook| is_told(self.checker, hook)).collect();
        for (nth, hook) in hooks.iter().enumerate() {
            let clashes = |earlier: &Hook| Some((earlier.index, clash(earlier, hook)?));
            if let Some((earlier, (field, message, help))) = hooks[..nth].iter().find_map(clashes) {
                self.fault(&format!("triggers[{}].{field}", hook.index), format!("{message}, by triggers[{earlier}]"), help);
            }
        }
    }

    fn cron(&mut self, path: &str, trigger: &TriggerConfig) {
        // Where it is missing that is reported already.
        let Some(expression) = &trigger.cron_expression else { return };
        let zone = trigger.cron_timezone.as_deref();
        let field = format!("{path}.cron_expression");
        if let Err(error) = Cron::parse(expression, None) {
            self.fault(&field, reason(&error), "");
        } else if let Some(meant) = seconds_last(expression) {
            let message = "the sixth field is the seconds, and `*` there fires every second of each minute that fits";
            self.doubt(&field, message, &format!("put the seconds last: `{meant}`"));
        }
        // Of a schedule that is surely right, so that both mistakes are told.
        if let Err(error) = Cron::parse(EVERY_MINUTE, zone) {
            self.fault(&format!("{path}.cron_timezone"), reason(&error), "");
        }
    }

    fn filter(&mut self, path: &str, kind: TriggerKind, expression: &str) {
        let filter = match Filter::parse(expression) {
            Ok(filter) => filter,
            Err(error) => return self.outcome(path, Err(error)),
        };
        match keys(kind) {
            Some(keys) => self.outcome(path, filter.check_names(keys)),
            None => {
                if let Some(slip) = filter.slip() {
                    self.doubt(&format!("{path}.filter_expression"), slip, "");
                }
            }
        }
    }

    /// An event type and a topic follow the same rules.
    fn pattern(&mut self, path: &str, pattern: Option<&String>) {
        if let Some(Err(error)) = pattern.map(|pattern| Pattern::parse(pattern)) {
            self.fault(path, reason(&error), "");
        }
    }

    /// A trigger's own check says `field: what is wrong`.
    fn outcome(&mut self, path: &str, outcome: Result<(), Error>) {
        let Err(error) = outcome else { return };
        let error = error.to_string();
        let (field, what) = error.split_once(": ").unwrap_or(("type", &error));
        self.fault(&format!("{path}.{field}"), what, "");
    }
}

fn webhook(trigger: &TriggerConfig) -> Result<(), Error> {
    WebhookTrigger::new(trigger.webhook()?, Arc::new(SystemClock)).map(drop)
}

fn file_watch(trigger: &TriggerConfig, dir: &Path) -> Result<(), Error> {
    // Where it is missing that is reported already.
    let Some(path) = &trigger.watch_path else { return Ok(()) };
    let mut config = FileWatchConfig::new(dir.join(path));
    config.watch_patterns.clone_from(&trigger.watch_patterns);
    if trigger.watch_events.is_empty() {
        config.watch_events.clear();
    }
    FileWatchTrigger::new(config, Arc::new(SystemClock)).map(drop)
}

/// What an error says, without the name and the value that it begins with: they stand beside it.
fn reason(error: &Error) -> String {
    let error = error.to_string();
    error.split_once("\": ").map_or(error.as_str(), |(_, reason)| reason).to_owned()
}
