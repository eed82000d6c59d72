//! What every trigger is.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Cursor, Error, FilterCounts, Sink};

/// What becomes of an event that comes while an earlier one of its trigger is not handled yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The trigger lets it pass, and that is counted.
    Skip,
    /// It is handled when the earlier one has ended.
    Queue,
    /// It is handled as soon as the process has room for another run.
    #[default]
    Parallel,
}

/// Watches for something and offers an event each time it happens.
#[async_trait]
pub trait Trigger: Send {
    /// Names the trigger within its process: the same after a restart, another for another configuration.
    fn id(&self) -> &str;

    /// `cron`, `webhook`, `file_watch`, `event`, `message`.
    fn kind(&self) -> &'static str;

    /// What it waits for, as whoever configured it would say it: a schedule, an address, a topic. Its id where
    /// nothing better is known.
    fn label(&self) -> String {
        self.id().to_owned()
    }

    /// What its filter has done so far, and each change of that; `None` where it has no filter.
    fn filter_counts(&self) -> Option<watch::Receiver<FilterCounts>> {
        None
    }

    /// What an operator should know of it, in a few words: that nobody has to sign, for example.
    fn remark(&self) -> Option<String> {
        None
    }

    /// What becomes of an event that comes while an earlier one is not handled yet.
    fn overlap(&self) -> Overlap {
        Overlap::Parallel
    }

    /// For what instant its timer is set, and each change of that; `None` where it has no timer. Once the trigger
    /// is gone, so is the sender.
    fn armed(&self) -> Option<watch::Receiver<Option<DateTime<Utc>>>> {
        None
    }

    /// It listens to other agents, who do not try again for long: it goes on taking events while its
    /// process is between two lives.
    fn lingers(&self) -> bool {
        false
    }

    /// Takes hold of what the trigger needs: its port, its watch, its subscription. From here on
    /// nothing that happens is missed, and after an `Ok` nothing that could have been checked is wrong.
    ///
    /// `cursor` is where it stood when it last said so; empty the first time.
    async fn open(&mut self, cursor: &Cursor) -> Result<(), Error>;

    /// Offers events to `sink` until it cannot go on. Dropping the future stops the trigger.
    /// A refusal is the trigger's to handle: it waits and offers again, or tells its source. What is
    /// [`Refusal::Filtered`](crate::Refusal::Filtered) it lets go, and goes on.
    async fn run(self: Box<Self>, sink: Sink) -> Error;
}
