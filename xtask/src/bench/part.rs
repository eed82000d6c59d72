//! What is measured: the groups, and in each the parts that are measured in turn.

use super::row::Row;
use super::rows;
use super::samples::Samples;

/// Parts that belong into one table, because they are measured in the same minutes.
pub struct Group {
    /// Its name for `--only`.
    pub name: &'static str,
    pub parts: &'static [Part],
    /// What the samples come to.
    pub rows: fn(&Samples) -> Vec<Row>,
}

/// One measurement.
pub struct Part {
    /// Its name among the samples.
    pub key: &'static str,
    pub by: By,
    /// It is not measured more often than this; `None` is every round.
    pub rounds: Option<u32>,
}

/// Who measures.
pub enum By {
    /// Our own program, with these words.
    Ours(fn(Scale) -> Vec<String>),
    /// A script of the peer's folder.
    Peer {
        /// Its file.
        script: &'static str,
        /// Its arguments.
        words: fn(Scale) -> Vec<String>,
        /// Programs that it starts.
        needs: &'static [&'static str],
    },
}

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub rounds: u32,
    /// Of one part of a measurement of ours, and of a load on the peer.
    pub seconds: f64,
    /// Runs that the peer makes.
    pub peer_runs: u32,
    /// Records of a recovery.
    pub records: u64,
}

impl Scale {
    pub const FULL: Self = Self { rounds: 3, seconds: 5.0, peer_runs: 1_500, records: 1_000_000 };
    pub const QUICK: Self = Self { rounds: 1, seconds: 1.0, peer_runs: 300, records: 100_000 };
}

const fn ours(key: &'static str, words: fn(Scale) -> Vec<String>) -> Part {
    Part { key, by: By::Ours(words), rounds: None }
}

const fn peer(key: &'static str, script: &'static str, words: fn(Scale) -> Vec<String>) -> Part {
    Part { key, by: By::Peer { script, words, needs: &[] }, rounds: None }
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn peer_runs(line: &str, scale: Scale) -> Vec<String> {
    words(&format!("{line} -n {}", scale.peer_runs))
}

pub const GROUPS: &[Group] = &[
    Group { name: "disk", rows: rows::disk, parts: &[ours("disk", |_| words("disk"))] },
    Group {
        name: "append",
        rows: rows::append,
        parts: &[ours("append", |_| words("append")), peer("append.peer", "c_journal.py", |_| words("append -n 20000"))],
    },
    Group { name: "appenders", rows: rows::appenders, parts: &[ours("appenders", |_| words("appenders"))] },
    Group {
        name: "runs",
        rows: rows::runs,
        parts: &[
            ours("runs.64", |_| words("runs")),
            peer("runs.peer", "a_invoke.py", |scale| peer_runs("--journal full --tool local", scale)),
            ours("runs.64.brief", |_| words("runs --without-history")),
            peer("runs.peer.brief", "a_invoke.py", |scale| peer_runs("--journal full --tool local --history off", scale)),
            ours("runs.1", |_| words("runs --processes 1")),
            ours("runs.1.window", |_| words("runs --processes 1 --window 64")),
            ours("runs.nowhere", |_| words("runs --without-disk")),
        ],
    },
    Group {
        name: "webhook",
        rows: rows::webhook,
        parts: &[
            ours("webhook.room", |scale| webhook_words("webhook --max-pending 1000000", scale)),
            ours("webhook", |scale| webhook_words("webhook", scale)),
            ours("webhook.64", |scale| webhook_words("webhook --processes 64", scale)),
            ours("webhook.plain", |_| words("plain")),
            webhook_peer("webhook.peer", |scale| webhook_peer_words("none", scale)),
            webhook_peer("webhook.peer.full", |scale| webhook_peer_words("full", scale)),
        ],
    },
    Group {
        name: "recover",
        rows: rows::recover,
        parts: &[
            ours("recover", |scale| words(&format!("recover -n {}", scale.records))),
            peer("recover.peer", "c_journal.py", |scale| words(&format!("recover -n {}", scale.records))),
            ours("recover.small", |scale| recover_checkpointed(scale.records / 100, 180)),
            ours("recover.middle", |scale| recover_checkpointed(scale.records / 10, 180)),
            ours("recover.large", |scale| recover_checkpointed(scale.records, 180)),
            ours("recover.busy.small", |scale| recover_checkpointed(scale.records / 100, 1)),
            ours("recover.busy.middle", |scale| recover_checkpointed(scale.records / 10, 1)),
            ours("recover.busy.large", |scale| recover_checkpointed(scale.records, 1)),
        ],
    },
    // What is written is counted, and does not depend on the machine.
    Group {
        name: "turns",
        rows: rows::turns,
        parts: &[Part { key: "turns", by: By::Ours(|_| words("turns")), rounds: Some(1) }],
    },
];

const fn webhook_peer(key: &'static str, words: fn(Scale) -> Vec<String>) -> Part {
    Part { key, by: By::Peer { script: "e_webhook.py", words, needs: &["wrk"] }, rounds: None }
}

/// Twice as long as others: both sides take some thousand events before anything has to wait, and that shall
/// not be most of what they take.
fn webhook_seconds(scale: Scale) -> f64 {
    2.0 * scale.seconds
}

fn webhook_words(line: &str, scale: Scale) -> Vec<String> {
    words(&format!("{line} --seconds {}", webhook_seconds(scale)))
}

fn webhook_peer_words(journal: &str, scale: Scale) -> Vec<String> {
    words(&format!("--mode process -c 64 --journal {journal} -d {:.0}", webhook_seconds(scale)))
}

fn recover_checkpointed(records: u64, seconds_between_events: u64) -> Vec<String> {
    words(&format!("recover --checkpoints -n {records} --every {seconds_between_events}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_part_has_a_name_of_its_own_and_begins_with_its_groups() {
        let mut names = BTreeSet::new();
        for group in GROUPS {
            for part in group.parts {
                assert!(part.key.starts_with(group.name), "{} is in {}", part.key, group.name);
                assert!(names.insert(part.key), "{} is there twice", part.key);
            }
        }
    }

    #[test]
    fn a_group_begins_with_ours() {
        assert!(GROUPS.iter().all(|group| matches!(group.parts.first(), Some(Part { by: By::Ours(_), .. }))));
    }
}
