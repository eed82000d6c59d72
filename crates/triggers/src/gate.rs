//! Between a subscription, which begins in `open`, and the sink, which comes with `run`.

use std::sync::Arc;

use flyball_core_agent::TriggerEvent;
use tokio::sync::{Semaphore, watch};

use crate::{Error, Handled, NotTaken, Refusal, Sink};

/// Events of one trigger that wait for its process at the same time. Further ones are refused, and
/// whoever emitted them is told.
const MAX_WAITING: usize = 100;

/// The trigger's side.
pub(crate) struct Gate {
    sink: watch::Sender<Option<Sink>>,
    places: Arc<Semaphore>,
}

/// The subscription's side.
#[derive(Clone)]
pub(crate) struct Entrance {
    sink: watch::Receiver<Option<Sink>>,
    places: Arc<Semaphore>,
}

impl Gate {
    /// A gate that is shut until [`Gate::run`].
    pub(crate) fn new() -> Self {
        Self { sink: watch::Sender::new(None), places: Arc::new(Semaphore::new(MAX_WAITING)) }
    }

    pub(crate) fn entrance(&self) -> Entrance {
        Entrance { sink: self.sink.subscribe(), places: Arc::clone(&self.places) }
    }

    /// Lets events through to `sink` until that takes no more.
    pub(crate) async fn run(self, sink: Sink) -> Error {
        self.sink.send_replace(Some(sink.clone()));
        sink.closed().await;
        Error::Unavailable("the process is not taking events".to_owned())
    }
}

impl Entrance {
    /// Waits for the sink, offers `event` to it, and returns once that is durable or refused.
    pub(crate) async fn pass(&self, event: TriggerEvent) -> Result<Handled, NotTaken> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| NotTaken(format!("{}: {MAX_WAITING} events wait already", event.trigger_id)))?;
        let refused = |why: String| NotTaken(format!("{}: {why}", event.trigger_id));
        let sink = self.sink.clone().wait_for(Option::is_some).await.map(|sink| sink.clone());
        match sink {
            Ok(Some(sink)) => match sink.offer(event.clone()).await {
                Ok(_) => Ok(Handled::Taken),
                Err(Refusal::Filtered { .. }) => Ok(Handled::Ignored),
                Err(refusal) => Err(refused(refusal.to_string())),
            },
            Ok(None) | Err(_) => Err(refused("the trigger has ended".to_owned())),
        }
    }
}
