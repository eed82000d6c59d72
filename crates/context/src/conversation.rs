//! What was said in the last runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use flyball_core_agent::{Message, text};

/// One run as the next ones remember it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The run's id: an exchange that is pushed again under the same id is the same exchange.
    pub id: String,
    /// What the agent was told.
    pub user: String,
    /// What it answered in the end.
    pub reply: String,
}

impl Exchange {
    /// An exchange.
    pub fn new(id: impl Into<String>, user: impl Into<String>, reply: impl Into<String>) -> Self {
        Self { id: id.into(), user: user.into(), reply: reply.into() }
    }
}

/// The last exchanges, oldest first. It locks itself.
#[derive(Debug)]
pub struct Conversation {
    max_exchanges: usize,
    exchanges: Mutex<VecDeque<Kept>>,
}

/// An exchange as the messages that it becomes, which are made once and shared with every run.
#[derive(Debug)]
struct Kept {
    id: String,
    messages: [Arc<Message>; MESSAGES_PER_EXCHANGE],
    chars: usize,
}

/// Messages that one exchange becomes.
const MESSAGES_PER_EXCHANGE: usize = 2;

/// One side of an exchange is cut at this many characters; the journal has it whole.
const MAX_SIDE_CHARS: usize = 8_000;

/// A history is at most this long, whatever the number of messages, so that it leaves room in a model's window.
const MAX_HISTORY_CHARS: usize = 200_000;

impl Conversation {
    /// A buffer of at most `max_messages` messages. An exchange is two and is never split, so of an
    /// odd number one place stays empty.
    pub fn new(max_messages: usize) -> Self {
        Self { max_exchanges: max_messages / MESSAGES_PER_EXCHANGE, exchanges: Mutex::default() }
    }

    /// Adds an exchange and drops the oldest ones over the limit. Each side is cut at 8,000 characters.
    pub fn push(&self, exchange: Exchange) {
        let mut exchanges = self.lock();
        if exchanges.iter().any(|known| known.id == exchange.id) {
            return;
        }
        let (user, reply) = (text::clip(&exchange.user, MAX_SIDE_CHARS), text::clip(&exchange.reply, MAX_SIDE_CHARS));
        let chars = user.chars().count() + reply.chars().count();
        let messages = [Arc::new(Message::user(user)), Arc::new(Message::assistant(reply))];
        exchanges.push_back(Kept { id: exchange.id, messages, chars });
        while exchanges.len() > self.max_exchanges {
            exchanges.pop_front();
        }
    }

    /// The exchanges as messages, oldest first; of a very long conversation the newest 200,000 characters
    /// in whole exchanges.
    pub fn history(&self) -> Vec<Arc<Message>> {
        let exchanges = self.lock();
        let mut room = MAX_HISTORY_CHARS;
        let fitting = exchanges.iter().rev().take_while(|exchange| {
            let fits = exchange.chars <= room;
            room = room.saturating_sub(exchange.chars);
            fits
        });
        let skipped = exchanges.len() - fitting.count();
        let kept = exchanges.iter().skip(skipped);
        kept.flat_map(|exchange| exchange.messages.iter().cloned()).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.exchanges.lock().expect("no holder of the conversation panics")
    }
}
