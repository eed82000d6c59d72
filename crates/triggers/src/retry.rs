//! Offering an event until it is taken.

use std::time::Duration;

use flyball_core_agent::TriggerEvent;

use crate::{Cursor, Error, Overlap, Receipt, Refusal, Sink};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Offers `event` again and again, with growing pauses, until the process takes it. `None` for one that
/// is not wanted: it is done with at once.
///
/// There is no last try: the trigger holds this one event, its later news wait or merge behind it,
/// and to give it up would lose what happened. It ends when the process is gone.
pub(crate) async fn offer_patiently(
    sink: &Sink,
    event: TriggerEvent,
    cursor: Cursor,
    overlap: Overlap,
) -> Result<Option<Receipt>, Error> {
    let mut wait = FIRST_WAIT;
    loop {
        match sink.offer_at(event.clone(), cursor.clone(), overlap).await {
            Ok(receipt) => return Ok(Some(receipt)),
            Err(Refusal::Filtered { .. } | Refusal::Overlaps) => return Ok(None),
            Err(never @ Refusal::TooDeep) => {
                tracing::error!(trigger = event.trigger_id, %never, "the event is let go");
                return Ok(None);
            }
            Err(closed @ Refusal::Closed) => return Err(Error::Unavailable(closed.to_string())),
            Err(refusal) => {
                tracing::warn!(trigger = event.trigger_id, %refusal, "the event waits");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
