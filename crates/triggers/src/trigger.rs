//! What every trigger is.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{Error, FilterCounts, Sink};

/// Watches for something and offers an event each time it happens.
#[async_trait]
pub trait Trigger: Send {
    /// Names the trigger within its process: the same after a restart, another for another configuration.
    fn id(&self) -> &str;

    /// `cron`, `webhook`, `file_watch`, `event`, `message`.
    fn kind(&self) -> &'static str;

    /// What its filter has done so far, and each change of that; `None` where it has no filter.
    fn filter_counts(&self) -> Option<watch::Receiver<FilterCounts>> {
        None
    }

    /// Takes hold of what the trigger needs: its port, its watch, its subscription. From here on
    /// nothing that happens is missed, and after an `Ok` nothing that could have been checked is wrong.
    async fn open(&mut self) -> Result<(), Error>;

    /// Offers events to `sink` until it cannot go on. Dropping the future stops the trigger.
    /// A refusal is the trigger's to handle: it waits and offers again, or tells its source.
    async fn run(self: Box<Self>, sink: Sink) -> Error;
}
