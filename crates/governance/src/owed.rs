//! What runs that failed would have asked of their process: a failure carries no directive.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flyball_core_agent::Directive;

/// Kept until somebody asks for it: the process after the failure, or the next run that ends well.
#[derive(Default)]
pub(crate) struct Owed(Mutex<Directive>);

impl Owed {
    pub(crate) fn add(&self, directive: Directive) {
        self.lock().raise(directive);
    }

    pub(crate) fn take(&self) -> Directive {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Directive> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
