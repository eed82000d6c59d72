//! Paths that were reported and wait for the end of their window.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub(super) struct Waiting {
    window: Duration,
    max: usize,
    root: PathBuf,
    /// In the order in which their windows end, for all are of one length and none is extended.
    order: VecDeque<(Instant, PathBuf)>,
    reported: HashMap<PathBuf, Vec<&'static str>>,
    overflow: bool,
}

/// Windows that end within this time of each other are looked at together: both sides of a rename
/// are reported apart, but belong together.
const TOGETHER: Duration = Duration::from_millis(50);

impl Waiting {
    pub(super) fn new(window: Duration, max: usize, root: PathBuf) -> Self {
        Self { window, max, root, order: VecDeque::new(), reported: HashMap::new(), overflow: false }
    }

    /// Notes that something was reported about `path`. Beyond the limit the path is forgotten, and
    /// everything is looked at once the others have been.
    pub(super) fn add(&mut self, path: PathBuf, kind: Option<&'static str>, now: Instant) {
        if let Some(kinds) = self.reported.get_mut(&path) {
            kinds.extend(kind.filter(|kind| !kinds.contains(kind)));
            return;
        }
        if self.reported.len() >= self.max {
            self.overflow = true;
            return;
        }
        self.order.push_back((now + self.window, path.clone()));
        self.reported.insert(path, kind.into_iter().collect());
    }

    /// Notes that anything may have changed.
    pub(super) fn add_all(&mut self, now: Instant) {
        self.add(self.root.clone(), None, now);
    }

    /// Returns when a window ends. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.order.front() {
            Some((due, _)) => tokio::time::sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<(PathBuf, Vec<&'static str>)> {
        let mut due = Vec::new();
        while let Some((_, path)) = self.order.pop_front_if(|(end, _)| *end <= now + TOGETHER) {
            let reported = self.reported.remove(&path).unwrap_or_default();
            due.push((path, reported));
        }
        if std::mem::take(&mut self.overflow) {
            self.add_all(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_window_is_not_extended_and_merges_what_is_reported() {
        let mut waiting = Waiting::new(Duration::from_millis(500), 10, "/w".into());
        let start = Instant::now();
        waiting.add("/w/a".into(), Some("created"), start);
        waiting.add("/w/a".into(), Some("modified"), start + Duration::from_millis(400));
        waiting.add("/w/a".into(), Some("modified"), start + Duration::from_millis(440));
        assert!(waiting.take_due(start + Duration::from_millis(449)).is_empty());
        waiting.due().await;
        assert_eq!(Instant::now() - start, Duration::from_millis(500));
        assert_eq!(waiting.take_due(Instant::now()), [("/w/a".into(), vec!["created", "modified"])]);
    }

    #[tokio::test]
    async fn beyond_the_limit_everything_is_looked_at_later() {
        let mut waiting = Waiting::new(Duration::ZERO, 2, "/w".into());
        let now = Instant::now();
        for path in ["/w/a", "/w/b", "/w/c"] {
            waiting.add(path.into(), None, now);
        }
        assert_eq!(waiting.take_due(now).len(), 2);
        assert_eq!(waiting.take_due(now), [("/w".into(), vec![])]);
        assert!(waiting.take_due(now).is_empty());
    }
}
