//! A till that takes the money and says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use flyball_core_agent::{CallError, Failure, ToolCall, ToolReply, ToolSpec, Toolbox};

use crate::paying::pay;

#[derive(Default)]
pub struct SilentTill {
    paid: AtomicUsize,
}

impl SilentTill {
    /// How often it was paid.
    pub fn paid(&self) -> usize {
        self.paid.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Toolbox for SilentTill {
    async fn list(&self) -> Result<Vec<Arc<ToolSpec>>, CallError> {
        Ok(pay(None))
    }

    async fn call(&self, _call: &ToolCall) -> Result<ToolReply, CallError> {
        self.paid.fetch_add(1, Ordering::SeqCst);
        Err(Failure::unknown("the line went dead").into())
    }
}
