#![doc = include_str!("../README.md")]

mod bus;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod cron;
mod emit;
mod error;
mod event;
mod file_watch;
mod filter;
mod filtered;
mod gate;
mod identity;
mod message;
mod pattern;
mod retry;
mod secret;
mod sink;
mod trigger;
mod webhook;

pub use bus::{
    BusEvent, Delivery, EventBus, Handled, Handler, InProcessBroker, InProcessBus, Message, MessageBroker, NotTaken, Subscription,
};
pub use cron::{Cron, CronConfig, CronTrigger, Missed};
pub use emit::{DEFAULT_MAX_HOPS, EmitTools};
pub use error::Error;
pub use event::{EventConfig, EventTrigger};
pub use file_watch::{FileWatchConfig, FileWatchTrigger, WatchBackend, WatchEvent};
pub use filter::{Filter, FilterCounts, Verdict};
pub use filtered::Filtered;
pub use message::{MessageConfig, MessageTrigger};
pub use pattern::{Pattern, check_topic};
pub use secret::Secret;
pub use sink::{Cursor, Moved, News, Offer, Receipt, Refusal, Sink};
pub use trigger::{Overlap, Trigger};
pub use webhook::{SignatureScheme, Source, WebhookAuth, WebhookConfig, WebhookListeners, WebhookTrigger};
