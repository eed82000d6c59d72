//! How far a mission has come: a fold of its notes, and the same function live.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use flyball_core_agent::RunId;
use flyball_journal::{Entry, Record};
use serde::{Deserialize, Serialize};

use super::verdict::{Decision, Verdict};

/// The name of the layer and of its notes.
pub(super) const LAYER: &str = "mission";

/// Where a mission is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissionStatus {
    /// It never began.
    #[default]
    Idle,
    /// It is on.
    Active,
    /// An operator holds it: runs go on, but none is counted or judged, and time stands still.
    Paused,
    /// It is achieved.
    Completed,
    /// It ran out of time or runs, or an operator gave it up.
    Failed,
}

/// How far a mission has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MissionState {
    /// Where it is.
    pub status: MissionStatus,
    /// Which attempt at the mission this is, from 1; each start after an end is a new one.
    pub episode: u32,
    /// The goal as it was when the episode began.
    pub objective: String,
    /// When the episode began, later by the time for which it was paused.
    pub started_at: Option<DateTime<Utc>>,
    /// Completed runs of the episode.
    pub invocations: u32,
    /// The last verdict.
    pub last_evaluation: Option<Evaluation>,
    /// Why it is where it is; empty while it is on.
    pub reason: String,
    /// When it was completed or failed.
    pub ended_at: Option<DateTime<Utc>>,
    paused_at: Option<DateTime<Utc>>,
    counted: VecDeque<Counted>,
}

/// A verdict, and the run after which it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The run.
    pub run: RunId,
    /// When.
    pub at: DateTime<Utc>,
    /// What the judge said.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What followed.
    pub decision: Decision,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Counted {
    run: RunId,
    n: u32,
    judged: bool,
}

/// The newest counted runs that are remembered. More than can be on at a time, so that one which is
/// resumed is always among them.
const MAX_COUNTED: usize = 256;

/// One fact of a mission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Fact {
    /// An episode began.
    Started { episode: u32, at: DateTime<Utc>, objective: String },
    /// A run was completed: the episode's `n`th.
    Ran { n: u32 },
    /// The judge gave a verdict.
    Evaluated {
        n: u32,
        at: DateTime<Utc>,
        #[serde(flatten)]
        verdict: Verdict,
        decision: Decision,
    },
    /// The judge gave none.
    NoVerdict { n: u32, why: String },
    /// It is achieved.
    Completed { at: DateTime<Utc>, reason: String },
    /// It failed.
    Failed { at: DateTime<Utc>, reason: String },
    /// An operator holds it.
    Paused { at: DateTime<Utc>, reason: String },
    /// It goes on.
    Resumed { at: DateTime<Utc> },
}

/// Where the mission of the process whose records these are stands.
pub fn mission_state(records: &[Record]) -> MissionState {
    let mut state = MissionState::default();
    records.iter().for_each(|record| state.apply(record));
    state
}

impl MissionState {
    /// Takes one record in. Records of others change nothing.
    pub fn apply(&mut self, record: &Record) {
        match &record.entry {
            Entry::Note { layer, run, body } if layer == LAYER => {
                if let Ok(fact) = serde_json::from_value(body.clone()) {
                    self.add(run.as_ref(), &fact);
                }
            }
            Entry::Checkpoint { layers, .. } => {
                let saved = layers.get(LAYER).cloned();
                *self = saved.and_then(|saved| serde_json::from_value(saved).ok()).unwrap_or_default();
            }
            _ => {}
        }
    }

    pub(super) fn add(&mut self, run: Option<&RunId>, fact: &Fact) {
        match fact {
            Fact::Started { episode, at, objective } => {
                let (episode, objective, started_at) = (*episode, objective.clone(), Some(*at));
                *self = Self { status: MissionStatus::Active, episode, objective, started_at, ..Self::default() };
            }
            Fact::Ran { n } => self.count(run, *n),
            Fact::Evaluated { at, verdict, decision, .. } => {
                self.mark_judged(run);
                self.last_evaluation = run.map(|run| {
                    let (run, verdict) = (run.clone(), verdict.clone());
                    Evaluation { run, at: *at, verdict, decision: *decision }
                });
            }
            Fact::NoVerdict { .. } => self.mark_judged(run),
            Fact::Completed { at, reason } => {
                self.turn(MissionStatus::Completed, reason);
                self.ended_at = Some(*at);
            }
            Fact::Failed { at, reason } => {
                self.turn(MissionStatus::Failed, reason);
                self.ended_at = Some(*at);
            }
            Fact::Paused { at, reason } => {
                self.turn(MissionStatus::Paused, reason);
                self.paused_at = Some(*at);
            }
            Fact::Resumed { at } => {
                self.turn(MissionStatus::Active, "");
                if let (Some(start), Some(paused)) = (self.started_at, self.paused_at.take()) {
                    // A clock that was set back must not lend the mission time it never had.
                    self.started_at = Some(start + (*at - paused).max(chrono::TimeDelta::zero()));
                }
            }
        }
    }

    /// As which completed run `run` was counted, if it was.
    pub(super) fn number_of(&self, run: &RunId) -> Option<u32> {
        self.counted.iter().find(|counted| &counted.run == run).map(|counted| counted.n)
    }

    /// Whether the verdict after `run` is already known.
    pub(super) fn is_judged(&self, run: &RunId) -> bool {
        self.counted.iter().any(|counted| &counted.run == run && counted.judged)
    }

    fn count(&mut self, run: Option<&RunId>, n: u32) {
        let Some(run) = run else { return };
        if self.number_of(run).is_some() {
            return;
        }
        self.invocations = self.invocations.max(n);
        self.counted.push_back(Counted { run: run.clone(), n, judged: false });
        if self.counted.len() > MAX_COUNTED {
            self.counted.pop_front();
        }
    }

    fn mark_judged(&mut self, run: Option<&RunId>) {
        for counted in self.counted.iter_mut().filter(|counted| Some(&counted.run) == run) {
            counted.judged = true;
        }
    }

    fn turn(&mut self, status: MissionStatus, reason: &str) {
        self.status = status;
        reason.clone_into(&mut self.reason);
    }
}
