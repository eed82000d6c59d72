//! What a process is asked to do, in the order in which it is asked, except that a start can be broken off.

use std::collections::VecDeque;
use std::convert::Infallible;

use flyball_core_agent::TriggerEvent;
use flyball_triggers::{Receipt, Refusal};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::{ControlError, Settlement};

/// What a process is asked to do. Answers come when it is done.
pub(crate) enum Command {
    Start(Start),
    Stop(Stop),
    StopListening(Answer<()>),
    Pause { why: String, answer: Answer<()> },
    Resume(Answer<()>),
    Inject { event: TriggerEvent, answer: oneshot::Sender<Result<Receipt, Refusal>> },
    Put { key: String, value: Value, source: String, answer: Answer<()> },
    Resolve { settlement: Settlement, answer: Answer<()> },
    DeadLetter { event_id: String, again: bool, note: String, answer: Answer<()> },
    Layer { layer: String, request: String, body: Value, answer: Answer<Value> },
}

/// An order to start.
pub(crate) struct Start {
    /// Dropped once the process hears what others say, or will not.
    pub deaf: Option<Deaf>,
    pub answer: Answer<()>,
}

/// An order to stop.
pub(crate) struct Stop {
    /// What other agents say is taken in until `StopListening`.
    pub listen: bool,
    /// `None` where nobody is left who could ask for anything.
    pub answer: Option<Answer<()>>,
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, ControlError>>;

/// Held by a start while its process does not hear yet: whoever waits sees when the last one is gone.
pub(crate) type Deaf = mpsc::Sender<Infallible>;

/// Commands that may wait for a process; a caller beyond that waits itself.
const MAX_COMMANDS: usize = 64;

/// Where a process finds what it is asked to do.
pub(crate) struct Commands {
    taken: mpsc::Receiver<Command>,
    /// Taken while a start was on, and not seen to yet.
    waiting: VecDeque<Command>,
}

impl Commands {
    pub fn channel() -> (mpsc::Sender<Command>, Self) {
        let (give, taken) = mpsc::channel(MAX_COMMANDS);
        (give, Self { taken, waiting: VecDeque::new() })
    }

    /// The next one; `None` when nobody is left who could ask for anything. Cancel-safe.
    pub async fn next(&mut self) -> Option<Command> {
        match self.waiting.pop_front() {
            Some(command) => Some(command),
            None => self.taken.recv().await,
        }
    }

    /// Comes when the process, which is starting, is told to stop. What else it is asked to do waits, as far as there
    /// is room for it; but not for one more start, which would follow upon the stop. Cancel-safe.
    pub async fn stop(&mut self) -> Stop {
        loop {
            match self.taken.recv().await {
                Some(Command::Stop(stop)) => return stop,
                Some(Command::Start(start)) => {
                    drop(start.answer.send(Err(ControlError::State("the process is starting already".into()))));
                }
                Some(other) if self.waiting.len() < MAX_COMMANDS => self.waiting.push_back(other),
                Some(other) => other.refuse("the process is starting, and much waits for it already: try again"),
                None => return Stop { listen: false, answer: None },
            }
        }
    }
}

impl Command {
    /// Answers it with no.
    pub fn refuse(self, why: &str) {
        let error = || ControlError::State(why.to_owned());
        // Whoever asked may have stopped waiting.
        match self {
            Self::Inject { answer, .. } => drop(answer.send(Err(Refusal::Closed))),
            Self::Layer { answer, .. } => drop(answer.send(Err(error()))),
            Self::Stop(Stop { answer, .. }) => drop(answer.map(|answer| answer.send(Err(error())))),
            Self::Start(Start { answer, .. })
            | Self::StopListening(answer)
            | Self::Pause { answer, .. }
            | Self::Resume(answer)
            | Self::Put { answer, .. }
            | Self::Resolve { answer, .. }
            | Self::DeadLetter { answer, .. } => drop(answer.send(Err(error()))),
        }
    }
}
