//! What a process does with a trigger's news, for tests of one trigger.

use flyball_triggers::{News, Offer};
use tokio::sync::mpsc;

/// The next event; where a trigger stands is passed over.
pub async fn next_offer(news: &mut mpsc::Receiver<News>) -> Option<Offer> {
    loop {
        match news.recv().await? {
            News::Offer(offer) => return Some(offer),
            News::Moved(_) => {}
        }
    }
}
