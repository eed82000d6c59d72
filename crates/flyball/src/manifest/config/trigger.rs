//! What wakes an agent.

use std::path::PathBuf;

use flyball_triggers::{CronConfig, Error, Missed, Overlap, Secret, SignatureScheme, WebhookAuth, WebhookConfig};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::manifest::SecretText;
use crate::manifest::table::{Key, Kind, Kinds, SECONDS, Section, Span, Word};

/// What wakes an agent. `type` says which of the other fields mean something; a manifest may set
/// only those, and only those are written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the table below describes every key")]
pub struct TriggerConfig {
    #[serde(rename = "type")]
    pub kind: TriggerKind,
    pub cron_expression: Option<String>,
    pub cron_timezone: Option<String>,
    pub missed: Missed,
    pub missed_cap: u32,
    pub missed_max_age: f64,
    pub overlap: Overlap,
    pub jitter: f64,
    pub webhook_path: String,
    pub webhook_port: u16,
    pub webhook_host: String,
    #[serde(deserialize_with = "one_or_several")]
    pub hmac_secret: Vec<SecretText>,
    pub signature_scheme: SignatureScheme,
    pub signature_header: Option<String>,
    pub signature_tolerance: u64,
    pub auth: Option<WebhookAuth>,
    pub allowed_sources: Vec<String>,
    pub webhook_max_body_bytes: u64,
    pub watch_path: Option<PathBuf>,
    pub watch_patterns: Vec<String>,
    pub watch_events: Vec<WatchEvent>,
    pub watch_debounce_seconds: f64,
    pub watch_recursive: bool,
    pub watch_backend: WatchBackend,
    pub watch_poll_interval: f64,
    pub watch_max_pending_events: u32,
    pub event_type: Option<String>,
    pub event_source: Option<String>,
    pub topic: Option<String>,
    pub filter_expression: Option<String>,
}

/// The five triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// A schedule.
    #[default]
    Cron,
    /// An HTTP POST.
    Webhook,
    /// A change in a directory.
    FileWatch,
    /// An event on the bus.
    Event,
    /// A message to a topic.
    Message,
}

/// What may happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "they say what they mean")]
pub enum WatchEvent {
    Created,
    Modified,
    Deleted,
    Moved,
}

/// How a directory is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchBackend {
    /// By the system where it can, else by looking.
    #[default]
    Auto,
    /// By the system. `watchdog` is an older name for it.
    #[serde(alias = "watchdog")]
    Native,
    /// By looking every `watch_poll_interval` seconds.
    Polling,
}

impl TriggerKind {
    /// As it is written in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::Webhook => "webhook",
            Self::FileWatch => "file_watch",
            Self::Event => "event",
            Self::Message => "message",
        }
    }
}

impl TriggerConfig {
    /// The settings of a schedule as its trigger has them.
    pub(crate) fn cron(&self) -> CronConfig {
        CronConfig {
            cron_expression: self.cron_expression.clone().unwrap_or_default(),
            cron_timezone: self.cron_timezone.clone(),
            missed: self.missed,
            missed_cap: self.missed_cap,
            missed_max_age: self.missed_max_age,
            overlap: self.overlap,
            jitter: self.jitter,
        }
    }

    /// The settings of a webhook as its trigger has them.
    pub(crate) fn webhook(&self) -> Result<WebhookConfig, Error> {
        let source = |(index, text): (usize, &String)| {
            text.parse().map_err(|why: String| Error::Config(format!("allowed_sources[{index}]: {why}")))
        };
        Ok(WebhookConfig {
            webhook_path: self.webhook_path.clone(),
            webhook_port: self.webhook_port,
            webhook_host: self.webhook_host.clone(),
            hmac_secret: self.hmac_secret.iter().map(|secret| Secret::new(secret.expose())).collect(),
            signature_scheme: self.signature_scheme,
            signature_header: self.signature_header.clone(),
            signature_tolerance: self.signature_tolerance,
            auth: self.auth,
            allowed_sources: self.allowed_sources.iter().enumerate().map(source).collect::<Result<_, _>>()?,
            webhook_max_body_bytes: usize::try_from(self.webhook_max_body_bytes).unwrap_or(usize::MAX),
        })
    }
}

impl Default for TriggerConfig {
    fn default() -> Self {
        Self {
            kind: TriggerKind::Cron,
            cron_expression: None,
            cron_timezone: None,
            missed: Missed::Latest,
            missed_cap: 100,
            missed_max_age: 0.0,
            overlap: Overlap::Skip,
            jitter: 0.0,
            webhook_path: "/webhook".into(),
            webhook_port: 9090,
            webhook_host: "127.0.0.1".into(),
            hmac_secret: Vec::new(),
            signature_scheme: SignatureScheme::Generic,
            signature_header: None,
            signature_tolerance: 300,
            auth: None,
            allowed_sources: Vec::new(),
            webhook_max_body_bytes: 1_048_576,
            watch_path: None,
            watch_patterns: vec!["*".into()],
            watch_events: vec![WatchEvent::Created, WatchEvent::Modified],
            watch_debounce_seconds: 0.5,
            watch_recursive: true,
            watch_backend: WatchBackend::Auto,
            watch_poll_interval: 1.0,
            watch_max_pending_events: 10_000,
            event_type: None,
            event_source: None,
            topic: None,
            filter_expression: None,
        }
    }
}

impl Serialize for TriggerConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind)?;
        match self.kind {
            TriggerKind::Cron => {
                set(&mut map, "cron_expression", self.cron_expression.as_ref())?;
                set(&mut map, "cron_timezone", self.cron_timezone.as_ref())?;
                map.serialize_entry("missed", &self.missed)?;
                map.serialize_entry("missed_cap", &self.missed_cap)?;
                map.serialize_entry("missed_max_age", &self.missed_max_age)?;
                map.serialize_entry("overlap", &self.overlap)?;
                map.serialize_entry("jitter", &self.jitter)?;
            }
            TriggerKind::Webhook => {
                map.serialize_entry("webhook_path", &self.webhook_path)?;
                map.serialize_entry("webhook_port", &self.webhook_port)?;
                map.serialize_entry("webhook_host", &self.webhook_host)?;
                match self.hmac_secret.as_slice() {
                    [] => {}
                    [one] => map.serialize_entry("hmac_secret", one)?,
                    several => map.serialize_entry("hmac_secret", several)?,
                }
                map.serialize_entry("signature_scheme", &self.signature_scheme)?;
                set(&mut map, "signature_header", self.signature_header.as_ref())?;
                map.serialize_entry("signature_tolerance", &self.signature_tolerance)?;
                set(&mut map, "auth", self.auth.as_ref())?;
                map.serialize_entry("allowed_sources", &self.allowed_sources)?;
                map.serialize_entry("webhook_max_body_bytes", &self.webhook_max_body_bytes)?;
            }
            TriggerKind::FileWatch => {
                set(&mut map, "watch_path", self.watch_path.as_ref())?;
                map.serialize_entry("watch_patterns", &self.watch_patterns)?;
                map.serialize_entry("watch_events", &self.watch_events)?;
                map.serialize_entry("watch_debounce_seconds", &self.watch_debounce_seconds)?;
                map.serialize_entry("watch_recursive", &self.watch_recursive)?;
                map.serialize_entry("watch_backend", &self.watch_backend)?;
                map.serialize_entry("watch_poll_interval", &self.watch_poll_interval)?;
                map.serialize_entry("watch_max_pending_events", &self.watch_max_pending_events)?;
            }
            TriggerKind::Event => {
                set(&mut map, "event_type", self.event_type.as_ref())?;
                set(&mut map, "event_source", self.event_source.as_ref())?;
            }
            TriggerKind::Message => set(&mut map, "topic", self.topic.as_ref())?,
        }
        set(&mut map, "filter_expression", self.filter_expression.as_ref())?;
        map.end()
    }
}

fn set<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretText>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Secrets {
        One(SecretText),
        Several(Vec<SecretText>),
    }
    Ok(match Secrets::deserialize(deserializer)? {
        Secrets::One(secret) => vec![secret],
        Secrets::Several(secrets) => secrets,
    })
}

const TYPE: Kind =
    Kind::Choice(&[Word::new("cron"), Word::new("webhook"), Word::new("file_watch"), Word::new("event"), Word::new("message")]);
const MISSED: Kind = Kind::Choice(&[Word::new("skip"), Word::new("latest"), Word::new("all")]);
const OVERLAP: Kind = Kind::Choice(&[Word::new("skip"), Word::new("queue"), Word::new("parallel")]);
/// More than a day late is another schedule.
const JITTER: Kind = Kind::Float(Span { min: 0.0, open: false, max: 86_400.0 });
const SCHEME: Kind = Kind::Choice(&[
    Word::new("generic"),
    Word::new("github"),
    Word::new("stripe"),
    Word::new("standard"),
    Word::new("slack"),
    Word::new("telegram"),
]);
const AUTH: Kind = Kind::Choice(&[Word::new("none")]);
/// A day: clocks that differ by more are wrong.
const TOLERANCE: Kind = Kind::Int(1, 86_400);
const WATCH_EVENT: Kind = Kind::Choice(&[Word::new("created"), Word::new("modified"), Word::new("deleted"), Word::new("moved")]);
const BACKEND: Kind = Kind::Choice(&[Word::new("auto"), Word::new("native"), Word::new("watchdog"), Word::new("polling")]);
/// An hour: a watch that looks less often is a cron trigger. A hundredth: one that looks more often does nothing else.
const POLL: Kind = Kind::Float(Span { min: 0.01, open: false, max: 3600.0 });
/// What changes for an hour is no change.
const DEBOUNCE: Kind = Kind::Float(Span { min: 0.0, open: false, max: 3600.0 });
/// A gibibyte, since a body is held in memory.
const BODY: Kind = Kind::Int(1, 1_073_741_824);

pub(in crate::manifest) const TRIGGER: Section = Section {
    name: "trigger",
    kinds: Kinds::Trigger,
    keys: &[
        Key::new("type", TYPE, "Which trigger it is.").required(),
        Key::new("cron_expression", Kind::Filled, "Five fields, or six of which the last is seconds.").of("cron").required(),
        Key::new("cron_timezone", Kind::Filled, "An IANA name such as `Europe/Zurich`; UTC where it is not set.").of("cron"),
        Key::new("missed", MISSED, "Which instants fire that passed while nobody could take them: none, the latest, or all.")
            .of("cron")
            .or("latest"),
        Key::new("missed_cap", Kind::Int(1, 10_000), "Of `missed: all`, so many fire at most, the latest ones.")
            .of("cron")
            .or("100"),
        Key::new("missed_max_age", SECONDS, "What was missed so many seconds ago does not fire; 0 is never too long.")
            .of("cron")
            .or("0.0"),
        Key::new("overlap", OVERLAP, "What becomes of an instant that comes while an earlier one is not handled yet.")
            .of("cron")
            .or("skip"),
        Key::new("jitter", JITTER, "Each firing is delayed by up to so many seconds, by another time for each process.")
            .of("cron")
            .or("0.0"),
        Key::new("webhook_path", Kind::Filled, "The exact path.").of("webhook").or("/webhook"),
        Key::new("webhook_port", Kind::Int(1025, 65535), "The port.")
            .of("webhook")
            .or("9090")
            .because("ports up to 1024 need rights that an agent should not have"),
        Key::new("webhook_host", Kind::Filled, "The address on which is listened. Webhooks with one address and different paths share it.")
            .of("webhook").or("127.0.0.1"),
        Key::new(
            "hmac_secret",
            Kind::OneOrList(&Kind::Secret),
            "The key with which senders sign; a list while one replaces another. Needed where others than this machine can send.",
        )
        .of("webhook"),
        Key::new("signature_scheme", SCHEME, "How senders sign; `standard` is Standard Webhooks.").of("webhook").or("generic"),
        Key::new("signature_header", Kind::Filled, "The header with the signature, where it is not the scheme's own.")
            .of("webhook"),
        Key::new("signature_tolerance", TOLERANCE, "Seconds that a timestamp signed by `stripe`, `standard` or `slack` may be off.")
            .of("webhook")
            .or("300"),
        Key::new("auth", AUTH, "`none` lets anybody send, where others than this machine can and nobody signs.").of("webhook"),
        Key::new(
            "allowed_sources",
            Kind::List(&Kind::Filled),
            "Addresses and networks, such as `10.0.0.0/8`, that may send; all where it is empty. The TCP peer counts, not a header.",
        )
        .of("webhook")
        .or("[]"),
        Key::new("webhook_max_body_bytes", BODY, "A longer body is answered with 413.").of("webhook").or("1048576"),
        Key::new("watch_path", Kind::Path, "The directory; it is created where it is missing.").of("file_watch").required(),
        Key::new("watch_patterns", Kind::List(&Kind::Filled), "Globs, of which one must match the file's name.")
            .of("file_watch")
            .or("[\"*\"]"),
        Key::new("watch_events", Kind::List(&WATCH_EVENT), "What must have happened.").of("file_watch").or("[created, modified]"),
        Key::new("watch_debounce_seconds", DEBOUNCE, "Changes of one file within so many seconds are one.")
            .of("file_watch")
            .or("0.5"),
        Key::new("watch_recursive", Kind::Bool, "Directories below count too.").of("file_watch").or("true"),
        Key::new("watch_backend", BACKEND, "How changes are seen. `watchdog` means `native`.").of("file_watch").or("auto"),
        Key::new("watch_poll_interval", POLL, "Seconds between two looks, where it is `polling`.").of("file_watch").or("1.0"),
        Key::new("watch_max_pending_events", Kind::Int(1, 1_000_000), "So many changed files may wait.")
            .of("file_watch")
            .or("10000"),
        Key::new("event_type", Kind::Filled, "The event's type; `*` stands for one segment, `>` at the end for all that follow.")
            .of("event")
            .required(),
        Key::new("event_source", Kind::Filled, "Only events of this source.").of("event"),
        Key::new("topic", Kind::Filled, "A topic; `*` stands for one segment, `>` at the end for all that follow.")
            .of("message")
            .required(),
        Key::new(
            "filter_expression",
            Kind::Filled,
            "A condition in CEL, such as `payload.lag > 3`; an event for which it is not true is ignored.",
        ),
        Key::refused("trusted", "every payload is shown to the model as data from outside"),
        Key::refused("custom_config", "only the five types cron, webhook, file_watch, event and message are there"),
    ],
};
