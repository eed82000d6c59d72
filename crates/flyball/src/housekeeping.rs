//! What is done by the clock, and for no agent: old parts of the journals are dropped.

use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::Utc;
use flyball_journal::{Log, Retention};
use tokio_cron_scheduler::{Job, JobScheduler};

/// Jobs of a node, in UTC, until it is ended.
pub struct Housekeeping {
    scheduler: JobScheduler,
}

/// When old segments are dropped: every ten minutes, and not on the minute, when agents' schedules are due.
pub const COMPACTION: &str = "30 3/10 * * * *";

impl Housekeeping {
    /// Keeps `logs` as small as `retention` allows, each time that `compaction`, a cron expression whose first field
    /// is seconds, says so.
    pub async fn start(compaction: &str, logs: Vec<Arc<Log>>, retention: Retention) -> Result<Self> {
        let scheduler = JobScheduler::new().await.context("starting the housekeeping")?;
        let job = Job::new_async(compaction, move |_, _| {
            let logs = logs.clone();
            Box::pin(async move { compact(logs, retention).await })
        });
        scheduler.add(job.context("planning the housekeeping")?).await.context("planning the housekeeping")?;
        scheduler.start().await.context("starting the housekeeping")?;
        Ok(Self { scheduler })
    }

    /// Ends it. What is under way goes on to its end.
    pub async fn end(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::warn!(%error, "the housekeeping did not end in order");
        }
    }
}

/// Drops what need not be kept. What cannot be dropped now is tried again next time.
pub async fn compact(logs: Vec<Arc<Log>>, retention: Retention) {
    let work = move || {
        for log in logs {
            match log.compact(&retention, Utc::now()) {
                Ok(done) if !done.dropped.is_empty() => {
                    let (segments, bytes) = (done.dropped.len(), done.bytes);
                    tracing::info!(segments, bytes, carried = ?done.carried, "old parts of the journal were dropped");
                }
                Ok(done) if !done.kept_for.is_empty() => {
                    tracing::warn!(processes = ?done.kept_for, "the journal cannot be made smaller yet: these need its old parts");
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the journal could not be made smaller"),
            }
        }
    };
    // Reading and writing segments blocks.
    let _ = tokio::task::spawn_blocking(work).await;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_next_compaction_is_never_more_than_ten_minutes_away() {
        let mut housekeeping = Housekeeping::start(COMPACTION, Vec::new(), Retention::default()).await.expect("it starts");
        let next = housekeeping.scheduler.time_till_next_job().await.expect("the scheduler answers");
        assert!(next.is_some_and(|next| next <= Duration::from_secs(600)), "{next:?}");
        housekeeping.end().await;
    }
}
