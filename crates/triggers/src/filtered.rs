//! Any trigger, with a filter on its events.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::{Cursor, Error, Filter, FilterCounts, Overlap, Sink, Trigger};

/// A trigger whose events pass through a [`Filter`] before the process is asked.
///
/// Its id is that of the trigger inside: with another filter it is the same trigger still, and knows
/// what was taken before.
pub struct Filtered {
    inner: Box<dyn Trigger>,
    filter: Arc<Filter>,
}

impl Filtered {
    /// `inner`, with `filter` on it.
    pub fn new(inner: Box<dyn Trigger>, filter: Filter) -> Self {
        Self { inner, filter: Arc::new(filter) }
    }
}

#[async_trait]
impl Trigger for Filtered {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn label(&self) -> String {
        self.inner.label()
    }

    fn filter_counts(&self) -> Option<watch::Receiver<FilterCounts>> {
        Some(self.filter.counts())
    }

    fn remark(&self) -> Option<String> {
        self.inner.remark()
    }

    fn overlap(&self) -> Overlap {
        self.inner.overlap()
    }

    fn armed(&self) -> Option<watch::Receiver<Option<DateTime<Utc>>>> {
        self.inner.armed()
    }

    fn lingers(&self) -> bool {
        self.inner.lingers()
    }

    async fn open(&mut self, cursor: &Cursor) -> Result<(), Error> {
        self.inner.open(cursor).await
    }

    async fn run(self: Box<Self>, sink: Sink) -> Error {
        let filtered = sink.filtered(self.filter);
        self.inner.run(filtered).await
    }
}
