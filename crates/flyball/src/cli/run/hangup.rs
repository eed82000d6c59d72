//! The terminal, or whoever held the run, is gone: SIGHUP, which would kill without draining.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears of it, unless the run was started to pass over it, as `nohup` does.
pub(super) struct Hangup(Option<Signal>);

/// Its name.
pub(super) const NAME: &str = "SIGHUP";

impl Hangup {
    /// Listens from now on; from then on it kills no more.
    pub fn listen() -> Result<Self> {
        if is_ignored() {
            return Ok(Self(None));
        }
        Ok(Self(Some(signal(SignalKind::hangup()).context("listening for signals")?)))
    }

    /// Returns when it comes. Cancel-safe.
    pub async fn comes(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// To listen to a signal would undo that it is ignored. Only Linux tells without more ado whether it is.
fn is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// SIGHUP is signal 1, the lowest bit of the mask.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn the_mask_tells_whether_a_hangup_is_ignored() {
        assert!(ignores_hangup("Name:\tflyball\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("Name:\tflyball\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
