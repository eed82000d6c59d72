//! Long-term memory: what was worth keeping, found again by what it is about.

mod embedded;
mod toolbox;

use std::time::Duration;

use async_trait::async_trait;

use crate::Error;

pub use embedded::EmbeddedMemory;
pub use toolbox::MemoryToolbox;
pub(crate) use toolbox::bullets;

/// Keeps texts and finds them again.
#[async_trait]
pub trait Memory: Send + Sync {
    /// The texts that fit `query` best, best first: at most `max`, none with a score under `min_score`.
    ///
    /// Scores lie between 0 and 1; what they mean is the provider's. Callers set the deadline by
    /// dropping the future.
    ///
    /// # Errors
    /// [`Error::Memory`] when the provider cannot answer.
    async fn search(&self, query: &str, max: usize, min_score: f64) -> Result<Vec<MemoryHit>, Error>;

    /// Keeps `text` under `id`. Storing the same id again replaces what was there, so that recovery may do it twice.
    /// Dropping the future leaves open whether it was kept.
    ///
    /// # Errors
    /// [`Error::Memory`] when the provider cannot keep it.
    async fn store(&self, text: &str, id: &str) -> Result<(), Error>;
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryHit {
    /// The id under which it was stored.
    pub id: String,
    /// The text.
    pub text: String,
    /// How well it fits, from 0 to 1.
    pub score: f64,
}

/// How a memory is asked, wherever it is asked from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recall {
    /// Hits at most.
    pub(crate) max: usize,
    /// The least score.
    pub(crate) min_score: f64,
    /// How long a search or a store may take.
    pub(crate) timeout: Duration,
}

impl Recall {
    /// Searches within the time limit; a provider that takes longer counts as one that failed.
    pub(crate) async fn search(&self, memory: &dyn Memory, query: &str) -> Result<Vec<MemoryHit>, Error> {
        let mut hits = self.in_time(memory.search(query, self.max, self.min_score)).await?;
        // A provider of somebody else's may not keep to the limits.
        hits.truncate(self.max);
        Ok(hits)
    }

    /// Stores within the time limit.
    pub(crate) async fn store(&self, memory: &dyn Memory, text: &str, id: &str) -> Result<(), Error> {
        self.in_time(memory.store(text, id)).await
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let late = || Err(Error::Memory(format!("no answer within {} ms", self.timeout.as_millis())));
        tokio::time::timeout(self.timeout, answer).await.unwrap_or_else(|_| late())
    }
}
