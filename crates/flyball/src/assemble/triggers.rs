//! From the manifest's triggers to triggers.

use std::sync::Arc;

use flyball_triggers::{
    CronTrigger, Error, EventConfig, EventTrigger, FileWatchConfig, FileWatchTrigger, Filter, Filtered, MessageConfig,
    MessageTrigger, Trigger, WatchBackend, WatchEvent, WebhookTrigger,
};

use super::Surroundings;
use crate::manifest::{self, TriggerConfig, TriggerKind};

/// Makes every trigger; the error names the first that cannot be made.
pub(super) fn build(
    process: &str,
    configs: &[TriggerConfig],
    surroundings: &Surroundings,
) -> Result<Vec<Box<dyn Trigger>>, String> {
    let each = configs.iter().enumerate();
    let one = |index, config| one(process, config, surroundings, format!("{process}'s triggers[{index}]"));
    each.map(|(index, config)| one(index, config).map_err(|error| format!("triggers[{index}]: {error}"))).collect()
}

/// `owner` names the trigger to whoever wants the same path.
fn one(process: &str, config: &TriggerConfig, surroundings: &Surroundings, owner: String) -> Result<Box<dyn Trigger>, Error> {
    let clock = Arc::clone(&surroundings.clock);
    let needed = |value: &Option<String>| value.clone().unwrap_or_default();
    let trigger: Box<dyn Trigger> = match config.kind {
        TriggerKind::Cron => Box::new(CronTrigger::new(config.cron(), clock)?.spread_by(process)),
        TriggerKind::Webhook => Box::new(WebhookTrigger::sharing(config.webhook()?, clock, &surroundings.webhooks, owner)?),
        TriggerKind::FileWatch => Box::new(FileWatchTrigger::new(file_watch(config), clock)?),
        TriggerKind::Event => {
            let event = EventConfig { event_type: needed(&config.event_type), event_source: config.event_source.clone() };
            Box::new(EventTrigger::new(event, Arc::clone(&surroundings.event_bus), clock)?)
        }
        TriggerKind::Message => {
            let message = MessageConfig { topic: needed(&config.topic) };
            Box::new(MessageTrigger::new(message, Arc::clone(&surroundings.broker), clock)?)
        }
    };
    Ok(match &config.filter_expression {
        Some(expression) => Box::new(Filtered::new(trigger, Filter::parse(expression)?)),
        None => trigger,
    })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// How often is looked, and how much may wait, shows in no event: that it is passed on is all there is to see.
    #[test]
    fn every_setting_of_a_file_watch_is_passed_on() {
        let text = r#"
name: watcher
triggers:
  - type: file_watch
    watch_path: /inbox
    watch_patterns: ["*.csv"]
    watch_events: [created, modified, deleted, moved]
    watch_debounce_seconds: 0.25
    watch_recursive: false
    watch_backend: polling
    watch_poll_interval: 7.5
    watch_max_pending_events: 12
"#;
        let manifest = manifest::parse_manifest(Path::new("/a.agent"), text, &|_| None).expect("a good manifest");
        let passed_on = FileWatchConfig {
            watch_path: "/inbox".into(),
            watch_patterns: vec!["*.csv".into()],
            watch_events: vec![WatchEvent::Created, WatchEvent::Modified, WatchEvent::Deleted, WatchEvent::Moved],
            watch_debounce_seconds: 0.25,
            watch_recursive: false,
            watch_backend: WatchBackend::Polling,
            watch_poll_interval: 7.5,
            watch_max_pending_events: 12,
        };
        assert_eq!(file_watch(&manifest.config.triggers[0]), passed_on);
        for (word, backend) in
            [("auto", WatchBackend::Auto), ("native", WatchBackend::Native), ("watchdog", WatchBackend::Native)]
        {
            let text = text.replace("polling", word);
            let manifest = manifest::parse_manifest(Path::new("/a.agent"), &text, &|_| None).expect("a good manifest");
            assert_eq!(file_watch(&manifest.config.triggers[0]).watch_backend, backend, "{word}");
        }
    }
}
