//! What passes between a bus and those who listen.

use std::fmt;
use std::future::Future;

use async_trait::async_trait;

/// Takes what a subscription brings. Any `Fn(T) -> Future` of the right result is one.
#[async_trait]
pub trait Handler<T>: Send + Sync {
    /// Takes `item`, and returns once it is safe with the taker, so that whoever sent it may forget
    /// it. The future may be dropped at a deadline; whether it was taken is then open.
    async fn handle(&self, item: T) -> Result<Handled, NotTaken>;
}

#[async_trait]
impl<T, F, Answer> Handler<T> for F
where
    T: Send + 'static,
    F: Fn(T) -> Answer + Send + Sync,
    Answer: Future<Output = Result<Handled, NotTaken>> + Send,
{
    async fn handle(&self, item: T) -> Result<Handled, NotTaken> {
        self(item).await
    }
}

/// What a handler did with what it was handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It is safe with the taker, now or since an earlier arrival.
    Taken,
    /// It was not meant for this one.
    Ignored,
}

/// Why a listener did not take something; it may if it is handed over again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(pub String);

/// What became of something emitted or published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// How many took it.
    pub taken: usize,
    /// Why others, who listen, did not.
    pub failures: Vec<NotTaken>,
}

/// A handler's place on a bus. Dropping it ends the subscription: no call of the handler begins
/// afterwards, one that is under way goes on.
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    end: Option<Box<dyn FnOnce() + Send>>,
}

impl Subscription {
    /// A subscription that is ended by `end`, which must not block.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self { end: Some(Box::new(end)) }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subscription")
    }
}
