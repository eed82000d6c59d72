//! A transport that knows which requests it handed on, and whether the other side is gone.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::RoleClient;
use rmcp::model::{GetExtensions, JsonRpcMessage};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::health::Health;

/// Rides along with a request, inside the process, and is set when the request is handed to the transport.
#[derive(Debug, Clone, Default)]
pub(super) struct SentMark(Arc<AtomicBool>);

impl SentMark {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A transport, watched.
pub(super) struct Link<T> {
    inner: T,
    health: Arc<Health>,
}

/// Why a message did not go out.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the connection is closed")]
    Closed,
    #[error(transparent)]
    Transport(Box<dyn std::error::Error + Send + Sync>),
}

impl<T> Link<T> {
    pub(super) fn new(inner: T, health: Arc<Health>) -> Self {
        Self { inner, health }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Link<T> {
    type Error = LinkError;

    fn send(&mut self, item: TxJsonRpcMessage<RoleClient>) -> impl Future<Output = Result<(), LinkError>> + Send + 'static {
        let mark = match &item {
            JsonRpcMessage::Request(request) => request.request.extensions().get::<SentMark>().cloned(),
            _ => None,
        };
        let health = Arc::clone(&self.health);
        let sending = self.inner.send(item);
        async move {
            if health.is_broken() {
                return Err(LinkError::Closed);
            }
            // Set first: a write that fails half-way may have been read.
            if let Some(mark) = mark {
                mark.set();
            }
            sending.await.map_err(|error| LinkError::Transport(Box::new(error)))
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.inner.receive().await;
        if message.is_none() {
            self.health.note_broken();
        }
        message
    }

    async fn close(&mut self) -> Result<(), LinkError> {
        self.health.note_broken();
        self.inner.close().await.map_err(|error| LinkError::Transport(Box::new(error)))
    }
}
