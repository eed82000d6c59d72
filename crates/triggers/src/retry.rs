//! Offering an event until it is taken.

use std::time::Duration;

use flyball_core_agent::TriggerEvent;

use crate::{Error, Refusal, Sink};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Offers `event` again and again, with growing pauses, until the process takes it. One that a filter
/// does not want is done with at once.
///
/// There is no last try: the trigger holds this one event, its later news wait or merge behind it,
/// and to give it up would lose what happened. It ends when the process is gone.
pub(crate) async fn offer_patiently(sink: &Sink, event: TriggerEvent) -> Result<(), Error> {
    let mut wait = FIRST_WAIT;
    loop {
        match sink.offer(event.clone()).await {
            Ok(_) | Err(Refusal::Filtered { .. }) => return Ok(()),
            Err(closed @ Refusal::Closed) => return Err(Error::Unavailable(closed.to_string())),
            Err(refusal) => {
                tracing::warn!(trigger = event.trigger_id, %refusal, "the event waits");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
