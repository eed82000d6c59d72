//! Triggers: each is held against its own checks, and webhooks against each other.

use std::path::Path;
use std::sync::Arc;

use flyball_core_agent::SystemClock;
use flyball_triggers::{Cron, Error, FileWatchConfig, FileWatchTrigger, Pattern, Secret, WebhookConfig, WebhookTrigger};

use super::Rules;
use crate::manifest::config::{TriggerConfig, TriggerKind};

/// Where a webhook listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manifest) struct Hook {
    /// Which trigger it is.
    pub index: usize,
    pub host: String,
    pub port: u16,
}

/// The webhooks among `triggers`.
pub(in crate::manifest) fn hooks(triggers: &[TriggerConfig]) -> Vec<Hook> {
    let webhooks = triggers.iter().enumerate().filter(|(_, trigger)| trigger.kind == TriggerKind::Webhook);
    let hook = |(index, trigger): (usize, &TriggerConfig)| Hook {
        index,
        host: trigger.webhook_host.replace("localhost", "127.0.0.1"),
        port: trigger.webhook_port,
    };
    webhooks.map(hook).collect()
}

/// Whether both would take the same port. Each webhook listens by itself.
pub(in crate::manifest) fn clash(one: &Hook, other: &Hook) -> bool {
    let any = |host: &str| matches!(host, "0.0.0.0" | "::");
    one.port == other.port && (one.host == other.host || any(&one.host) || any(&other.host))
}

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
        }
        let hooks = hooks(triggers);
        for (nth, hook) in hooks.iter().enumerate() {
            if let Some(earlier) = hooks[..nth].iter().find(|earlier| clash(earlier, hook)) {
                let message = format!("{} is taken already, by triggers[{}]", hook.port, earlier.index);
                self.fault(&format!("triggers[{}].webhook_port", hook.index), message, "give each webhook a port of its own");
            }
        }
    }

    fn cron(&mut self, path: &str, trigger: &TriggerConfig) {
        // Where it is missing that is reported already.
        let Some(expression) = &trigger.cron_expression else { return };
        let zone = trigger.cron_timezone.as_deref();
        if let Err(error) = Cron::parse(expression, None) {
            self.fault(&format!("{path}.cron_expression"), reason(&error), "");
        } else if let Err(error) = Cron::parse(expression, zone) {
            self.fault(&format!("{path}.cron_timezone"), reason(&error), "");
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
    let config = WebhookConfig {
        webhook_path: trigger.webhook_path.clone(),
        webhook_port: trigger.webhook_port,
        webhook_host: trigger.webhook_host.clone(),
        hmac_secret: trigger.hmac_secret.as_ref().map(|secret| Secret::new(secret.expose())),
        webhook_max_body_bytes: usize::try_from(trigger.webhook_max_body_bytes).unwrap_or(usize::MAX),
    };
    WebhookTrigger::new(config, Arc::new(SystemClock)).map(drop)
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
