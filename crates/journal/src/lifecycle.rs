//! The states of a process and the moves between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleState {
    /// Known, never started.
    #[default]
    Created,
    /// Its parts are being put together.
    Starting,
    /// A run is on.
    Running,
    /// Alive, waiting for a trigger.
    Awaiting,
    /// Alive, taking events in but starting no run.
    Suspended,
    /// Coming to an end.
    Stopping,
    /// Ended in order.
    Stopped,
    /// Ended because it could not go on.
    Failed,
}

/// The reason of a stop after which a process is started anew at once, because it is too old.
pub const TOO_OLD: &str = "max_lifetime is over";

/// The reason of a pause that the next event ends, because there was nothing to do.
pub const IDLE: &str = "idle; the next event wakes it";

impl LifecycleState {
    /// The process takes events in.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Awaiting | Self::Suspended)
    }

    /// The process came to an end, and can be started again.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Created | Self::Stopped | Self::Failed)
    }

    /// The state after a move to `to`, or the reason why there is no such move.
    ///
    /// A crash leaves any state behind, so `Starting` can follow all of them.
    pub fn next(self, to: Self) -> Result<Self, InvalidTransition> {
        use LifecycleState::{Awaiting, Created, Failed, Running, Starting, Stopped, Stopping, Suspended};
        let allowed = match to {
            Created => false,
            Starting => true,
            Running => matches!(self, Starting | Awaiting | Suspended),
            Awaiting => matches!(self, Starting | Running | Suspended),
            Suspended => matches!(self, Starting | Running | Awaiting),
            Stopping => matches!(self, Starting | Running | Awaiting | Suspended | Failed),
            Stopped => matches!(self, Created | Stopping),
            Failed => matches!(self, Starting | Running | Awaiting | Suspended | Stopping),
        };
        if allowed { Ok(to) } else { Err(InvalidTransition { from: self, to }) }
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Awaiting => "awaiting",
            Self::Suspended => "suspended",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        })
    }
}

/// There is no such move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// Where the process is.
    pub from: LifecycleState,
    /// Where it should have gone.
    pub to: LifecycleState,
}
