//! From the manifest's triggers to triggers.

use std::sync::Arc;

use flyball_triggers::{
    CronConfig, CronTrigger, Error, EventConfig, EventTrigger, FileWatchConfig, FileWatchTrigger, MessageConfig, MessageTrigger,
    Secret, Trigger, WatchBackend, WatchEvent, WebhookConfig, WebhookTrigger,
};

use super::Surroundings;
use crate::manifest::{self, TriggerConfig, TriggerKind};

/// Makes every trigger; the error names the first that cannot be made.
pub(super) fn build(configs: &[TriggerConfig], surroundings: &Surroundings) -> Result<Vec<Box<dyn Trigger>>, String> {
    let each = configs.iter().enumerate();
    each.map(|(index, config)| one(config, surroundings).map_err(|error| format!("triggers[{index}]: {error}"))).collect()
}

fn one(config: &TriggerConfig, surroundings: &Surroundings) -> Result<Box<dyn Trigger>, Error> {
    let clock = Arc::clone(&surroundings.clock);
    let needed = |value: &Option<String>| value.clone().unwrap_or_default();
    Ok(match config.kind {
        TriggerKind::Cron => {
            let cron =
                CronConfig { cron_expression: needed(&config.cron_expression), cron_timezone: config.cron_timezone.clone() };
            Box::new(CronTrigger::new(cron, clock)?)
        }
        TriggerKind::Webhook => Box::new(WebhookTrigger::new(webhook(config), clock)?),
        TriggerKind::FileWatch => Box::new(FileWatchTrigger::new(file_watch(config), clock)?),
        TriggerKind::Event => {
            let event = EventConfig { event_type: needed(&config.event_type), event_source: config.event_source.clone() };
            Box::new(EventTrigger::new(event, Arc::clone(&surroundings.event_bus), clock)?)
        }
        TriggerKind::Message => {
            let message = MessageConfig { topic: needed(&config.topic) };
            Box::new(MessageTrigger::new(message, Arc::clone(&surroundings.broker), clock)?)
        }
    })
}

fn webhook(config: &TriggerConfig) -> WebhookConfig {
    WebhookConfig {
        webhook_path: config.webhook_path.clone(),
        webhook_port: config.webhook_port,
        webhook_host: config.webhook_host.clone(),
        hmac_secret: config.hmac_secret.as_ref().map(|secret| Secret::new(secret.expose())),
        webhook_max_body_bytes: usize::try_from(config.webhook_max_body_bytes).unwrap_or(usize::MAX),
    }
}

fn file_watch(config: &TriggerConfig) -> FileWatchConfig {
    let events = config.watch_events.iter().map(|event| match event {
        manifest::WatchEvent::Created => WatchEvent::Created,
        manifest::WatchEvent::Modified => WatchEvent::Modified,
        manifest::WatchEvent::Deleted => WatchEvent::Deleted,
        manifest::WatchEvent::Moved => WatchEvent::Moved,
    });
    FileWatchConfig {
        watch_path: config.watch_path.clone().unwrap_or_default(),
        watch_patterns: config.watch_patterns.clone(),
        watch_events: events.collect(),
        watch_debounce_seconds: config.watch_debounce_seconds,
        watch_recursive: config.watch_recursive,
        watch_backend: match config.watch_backend {
            manifest::WatchBackend::Auto => WatchBackend::Auto,
            manifest::WatchBackend::Native => WatchBackend::Native,
            manifest::WatchBackend::Polling => WatchBackend::Polling,
        },
        watch_poll_interval: config.watch_poll_interval,
        watch_max_pending_events: config.watch_max_pending_events as usize,
    }
}
